//! What cannot stand in one table, and names that are not there.

use serde_json::{Value, json};
use supermoe_report::{ComparisonError, ComparisonRequest, EvaluatedRun};

use crate::made_up::{
    Made, OTHER_RUN, RUN, levels, lines, made, names, refused, request, run, three_models,
};

fn tasks() -> Value {
    json!({ "buy": { "auc": 0.7 } })
}

fn two(first: Made, second: Made) -> [EvaluatedRun; 2] {
    let first = first.cell(json!({ "model": "a", "seed": 0 }), tasks());
    let second = second.cell(json!({ "model": "b", "seed": 0 }), tasks());
    [run(RUN, [first]), run(OTHER_RUN, [second])]
}

#[track_caller]
fn assert_refused(first: Made, second: Made, why: &str) {
    let error = refused(&two(first, second), &request());
    assert_eq!(
        error.to_string(),
        format!(
            "rows `model=a` (evaluate of run {RUN}) and `model=b` (evaluate of run {OTHER_RUN}) cannot stand in one \
             table: task `buy`: the second has {why}"
        )
    );
    assert!(error.help().contains("--where run="), "{}", error.help());
}

#[test]
fn rows_of_one_test_set_stand_together() {
    let made_of = || Made::new("evaluate").task("buy", "s", "l");
    let comparison = made(&two(made_of(), made_of()), &request());
    assert_eq!(lines(&comparison), ["a: buy 0.7000", "b: buy 0.7000"]);
}

#[test]
fn rows_of_other_splits_labels_or_versions_are_refused() {
    let made_of = || Made::new("evaluate").task("buy", "s", "l");
    assert_refused(
        made_of(),
        Made::new("evaluate").task("buy", "other", "l"),
        "another test split, of as many samples (103) but not the same ones",
    );
    assert_refused(
        made_of(),
        Made::new("evaluate").task("buy", "s", "other"),
        "other labels on the same test split (40 positives of 100 in both)",
    );
    assert_refused(
        made_of(),
        made_of().version(3),
        "metrics of version 3, the other's of 2",
    );
}

#[test]
fn what_does_not_tell_its_test_set_stands_alone() {
    let silent = || Made::new("evaluate").cell(json!({ "model": "b", "seed": 0 }), tasks());
    let told = Made::new("evaluate")
        .task("buy", "s", "l")
        .cell(json!({ "model": "a", "seed": 0 }), tasks());
    let error = refused(&[run(RUN, [told]), run(OTHER_RUN, [silent()])], &request());
    assert!(
        error
            .to_string()
            .contains("does not tell its test split and labels"),
        "{error}"
    );
    assert_eq!(
        lines(&made(&[run(RUN, [silent()])], &request())),
        ["finetune: buy 0.7000"]
    );
}

#[test]
fn folds_have_test_sets_of_their_own_if_every_row_has_every_fold() {
    let fold = |fold: u64, models: &[&str]| {
        let mut made = Made::new(&format!("evaluate[fold={fold}]"))
            .of_cell(json!({ "fold": fold }))
            .task("buy", &format!("s{fold}"), "l");
        for model in models {
            made = made.cell(json!({ "model": model, "fold": fold }), tasks());
        }
        made
    };
    let request = ComparisonRequest {
        over: names(&["fold"]),
        ..request()
    };
    let complete = [run(RUN, [fold(1, &["a", "b"]), fold(2, &["a", "b"])])];
    let comparison = made(&complete, &request);
    assert_eq!(lines(&comparison)[0], "a: buy 0.7000 n=2");
    assert_eq!(
        comparison.notes,
        ["each fold has a test set of its own, the same for all rows"]
    );
    let one_misses = [run(RUN, [fold(1, &["a", "b"]), fold(2, &["a"])])];
    let error = refused(&one_misses, &request);
    assert!(
        matches!(error, ComparisonError::NotComparable { .. }),
        "{error}"
    );
}

#[test]
fn columns_may_be_of_different_data_but_not_of_different_runs() {
    let country = |country: &str, run_id: &str| {
        let made = Made::new(&format!("evaluate[country={country}]"))
            .task("buy", country, "l")
            .cell(json!({ "model": "a", "country": country }), tasks());
        run(run_id, [made])
    };
    let runs = [country("UK", RUN), country("DE", OTHER_RUN)];
    let by = |columns: &[&str]| ComparisonRequest {
        rows: names(&["model"]),
        columns: names(columns),
        ..request()
    };
    assert_eq!(
        lines(&made(&runs, &by(&["country"]))),
        ["a: UK 0.7000, DE 0.7000"]
    );
    let error = refused(&runs, &by(&["run"]));
    assert!(
        matches!(error, ComparisonError::NotComparable { .. }),
        "{error}"
    );
}

#[test]
fn tasks_metrics_and_classes_are_no_repetitions() {
    for axis in ["task", "metric"] {
        let request = ComparisonRequest {
            over: names(&["seed", axis]),
            ..request()
        };
        let error = refused(&three_models(), &request);
        let expected = ComparisonError::NotOver { axis: axis.into() };
        assert_eq!(error, expected);
        assert!(error.help().contains("cells are the mean over tasks"));
    }
}

#[test]
fn names_that_are_not_there_are_told_with_the_nearest() {
    let of = |request: ComparisonRequest| {
        let error = refused(&three_models(), &request);
        format!("{error}\n{}", error.help())
    };
    insta::assert_snapshot!(
        [
            of(ComparisonRequest {
                rows: names(&["modle"]),
                ..request()
            }),
            of(ComparisonRequest {
                over: names(&["sed"]),
                ..request()
            }),
            of(ComparisonRequest {
                metrics: names(&["acu"]),
                ..request()
            }),
            of(ComparisonRequest {
                filters: levels(&[("model", "bert,plee")]),
                ..request()
            }),
            of(ComparisonRequest {
                filters: levels(&[("mdel", "bert")]),
                ..request()
            }),
            of(ComparisonRequest {
                rows: names(&["model"]),
                columns: names(&["model"]),
                ..request()
            }),
            of(ComparisonRequest {
                metrics: names(&["auc", "logloss"]),
                ..request()
            }),
            of(ComparisonRequest {
                rows: names(&["task"]),
                columns: names(&["metric"]),
                ..request()
            }),
            of(ComparisonRequest {
                columns: names(&["class"]),
                ..request()
            }),
        ]
        .join("\n\n")
    );
}

#[test]
fn numbers_in_the_unit_of_their_task_have_no_mean() {
    let evaluation = Made::new("evaluate").cell(
        json!({ "model": "a" }),
        json!({ "days": { "rmse": 3.5, "r2": 0.5 }, "pounds": { "rmse": 700.0, "r2": 0.25 } }),
    );
    let runs = [run(RUN, [evaluation])];
    let of = |columns: &[&str], metric: &str| ComparisonRequest {
        columns: names(columns),
        metrics: names(&[metric]),
        ..request()
    };
    assert_eq!(
        lines(&made(&runs, &of(&[], "rmse"))),
        ["finetune: days 3.5000, pounds 700.0000"]
    );
    assert_eq!(
        lines(&made(&runs, &of(&["model"], "r2"))),
        ["finetune: a 0.3750"]
    );
    let error = refused(&runs, &of(&["model"], "rmse"));
    assert_eq!(
        error.to_string(),
        "rmse is in the unit of its task: it has no mean over the tasks days, pounds"
    );
}
