//! Which rows, columns and values a table has.

use serde_json::json;
use supermoe_report::ComparisonRequest;

use crate::made_up::{
    Made, OTHER_RUN, RUN, axes, levels, lines, made, names, request, run, three_models,
};

#[test]
fn without_a_wish_models_stand_in_rows_and_tasks_in_columns() {
    let comparison = made(&three_models(), &request());
    assert_eq!(axes(&comparison), (vec!["model"], vec!["task"]));
    assert_eq!(
        lines(&comparison),
        [
            "supermoe: buy *0.8000* n=5, churn *0.7050* n=5, mean *0.7525* n=5",
            "ple: buy 0.7830 n=5, churn 0.7040 n=5, mean 0.7435 n=5",
            "bert: buy 0.7930 n=5, churn 0.6670 n=5, mean 0.7300 n=5",
        ]
    );
    // numpy.std(..., ddof=1)
    let deviation = comparison.rows[0].cells[1]
        .as_ref()
        .and_then(|cell| cell.deviation);
    assert!((deviation.expect("five seeds") - 0.011_180_339_887_498_959).abs() < 1e-12);
    assert_eq!(comparison.metric.as_deref(), Some("auc"));
    assert_eq!(comparison.notes, [""; 0]);
}

#[test]
fn the_lower_is_the_better_where_it_is() {
    let comparison = made(
        &three_models(),
        &ComparisonRequest {
            metrics: names(&["logloss"]),
            ..request()
        },
    );
    assert_eq!(
        lines(&comparison)[0],
        "supermoe: buy *0.2000* n=5, churn *0.2950* n=5, mean *0.2475* n=5"
    );
}

#[test]
fn what_reads_the_same_is_a_tie() {
    let evaluation = Made::new("evaluate")
        .seeds("a", &[("buy", &[0.70001]), ("churn", &[0.5])])
        .seeds("b", &[("buy", &[0.70004]), ("churn", &[0.5])])
        .seeds("c", &[("buy", &[0.6]), ("churn", &[0.5])]);
    let runs = [run(RUN, [evaluation])];
    assert_eq!(
        lines(&made(&runs, &request())),
        [
            "a: buy *0.7000*, churn 0.5000, mean *0.6000*",
            "b: buy *0.7000*, churn 0.5000, mean *0.6000*",
            "c: buy 0.6000, churn 0.5000, mean 0.5500",
        ]
    );
    let digits = ComparisonRequest {
        digits: 5,
        ..request()
    };
    assert_eq!(
        lines(&made(&runs, &digits))[..2],
        [
            "a: buy 0.7000, churn 0.5000, mean 0.6000",
            "b: buy *0.7000*, churn 0.5000, mean *0.6000*",
        ]
    );
}

#[test]
fn what_is_missing_is_shown_and_has_no_part_in_a_mean() {
    let evaluation = Made::new("evaluate")
        .seeds("a", &[("buy", &[0.7, 0.8]), ("churn", &[0.5])])
        .seeds("b", &[("buy", &[0.6, 0.7])]);
    let comparison = made(&[run(RUN, [evaluation])], &request());
    assert_eq!(
        lines(&comparison),
        [
            "a: buy *0.7500* n=2, churn 0.5000, mean 0.6000",
            "b: buy 0.6500 n=2, churn -, mean -",
        ]
    );
    assert_eq!(
        comparison.notes,
        ["2 of 6 cells have no value, written as -"]
    );
}

#[test]
fn any_axis_makes_rows_or_columns() {
    let mut evaluation = Made::new("evaluate");
    for (model, layers, auc) in [("a", 1, 0.6), ("a", 2, 0.7), ("b", 1, 0.5), ("b", 2, 0.4)] {
        let tasks = json!({ "buy": { "auc": auc }, "churn": { "auc": auc + 0.1 } });
        let matrix = json!({ "model": model, "layers": layers, "seed": 1 });
        evaluation = evaluation.cell(matrix, tasks);
    }
    let runs = [run(RUN, [evaluation])];
    let with = |rows: &[&str], columns: &[&str]| {
        let request = ComparisonRequest {
            rows: names(rows),
            columns: names(columns),
            ..request()
        };
        lines(&made(&runs, &request))
    };
    assert_eq!(
        with(&["model"], &["layers"]),
        ["a: 1 *0.6500*, 2 *0.7500*", "b: 1 0.5500, 2 0.4500"],
        "cells are the mean over tasks"
    );
    assert_eq!(
        with(&[], &["layers", "task"])[0],
        "a: 1/buy *0.6000*, 1/churn *0.7000*, 1/mean *0.6500*, 2/buy *0.7000*, 2/churn *0.8000*, 2/mean *0.7500*"
    );
    assert_eq!(
        with(&["task", "layers"], &["model"])[..2],
        ["buy/1: a 0.6000, b *0.5000*", "buy/2: a *0.7000*, b 0.4000"]
    );
    assert_eq!(
        with(&["task"], &[])[2],
        "mean: a/1 0.6500, a/2 0.7500, b/1 0.5500, b/2 0.4500",
        "one row is no contest"
    );
    let request = ComparisonRequest {
        over: names(&["layers", "seed"]),
        filters: levels(&[("task", "churn")]),
        ..request()
    };
    assert_eq!(
        lines(&made(&runs, &request)),
        ["a: churn *0.7500* n=2", "b: churn 0.5500 n=2"]
    );
}

#[test]
fn metrics_make_columns_and_each_has_its_own_best() {
    let request = ComparisonRequest {
        columns: names(&["metric"]),
        metrics: names(&["auc", "logloss"]),
        filters: levels(&[("task", "buy"), ("model", "ple,bert")]),
        ..request()
    };
    let comparison = made(&three_models(), &request);
    assert_eq!(
        lines(&comparison),
        [
            "ple: auc 0.7830 n=5, logloss 0.2170 n=5",
            "bert: auc *0.7930* n=5, logloss *0.2070* n=5",
        ]
    );
    assert_eq!(comparison.metric, None);
}

#[test]
fn classes_are_compared_where_they_are_asked_for() {
    let cell = |model: &str, auc: f64| {
        json!({
            "matrix": { "model": model },
            "tasks": { "kind": { "auc": auc } },
            "classes": { "kind": { "red": { "auc": auc - 0.1 }, "blue": { "auc": auc + 0.1 } } },
        })
    };
    let evaluation = Made::new("evaluate")
        .whole_cell(cell("a", 0.7))
        .whole_cell(cell("b", 0.6));
    let runs = [run(RUN, [evaluation])];
    assert_eq!(
        lines(&made(&runs, &request())),
        ["a: kind *0.7000*", "b: kind 0.6000"]
    );
    let by_class = ComparisonRequest {
        columns: names(&["class"]),
        ..request()
    };
    assert_eq!(
        lines(&made(&runs, &by_class)),
        [
            "a: red *0.6000*, blue *0.8000*",
            "b: red 0.5000, blue 0.7000"
        ]
    );
}

#[test]
fn a_model_for_each_task_is_one_row_beside_models_of_all() {
    let tasks = |buy: f64| json!({ "buy": { "auc": buy } });
    let churn = |churn: f64| json!({ "churn": { "auc": churn } });
    let seesaw = |task: &str| {
        let made = Made::new(&format!("seesaw[task={task}]"))
            .of_cell(json!({ "task": task }))
            .task("buy", "s", "l")
            .task("churn", "s", "l");
        match task {
            "buy" => made
                .cell_of("alone", json!({ "task": "buy", "seed": 0 }), tasks(0.7))
                .cell_of(
                    "together",
                    json!({ "weighting": "equal", "seed": 0 }),
                    tasks(0.6),
                ),
            _ => made
                .cell_of("alone", json!({ "task": "churn", "seed": 0 }), churn(0.5))
                .cell_of(
                    "together",
                    json!({ "weighting": "equal", "seed": 0 }),
                    churn(0.8),
                ),
        }
    };
    // Measured once more, which is the same.
    let again = Made::new("weightings")
        .task("buy", "s", "l")
        .task("churn", "s", "l")
        .cell_of(
            "together",
            json!({ "weighting": "equal", "seed": 0 }),
            json!({ "buy": { "auc": 0.6 }, "churn": { "auc": 0.8 } }),
        );
    let comparison = made(
        &[run(RUN, [seesaw("buy"), seesaw("churn"), again])],
        &request(),
    );
    assert_eq!(axes(&comparison).0, ["stage", "weighting"]);
    assert_eq!(
        lines(&comparison),
        [
            "alone/-: buy *0.7000*, churn 0.5000, mean 0.6000",
            "together/equal: buy 0.6000, churn *0.8000*, mean *0.7000*",
        ]
    );
}

#[test]
fn an_axis_that_is_called_like_one_of_ours_is_told_from_it() {
    let cell = |task: &str, auc: f64| (json!({ "task": task }), json!({ "buy": { "auc": auc } }));
    let (first, second) = (cell("pretext_a", 0.6), cell("pretext_b", 0.7));
    let evaluation = Made::new("evaluate")
        .cell(first.0, first.1)
        .cell(second.0, second.1);
    let comparison = made(&[run(RUN, [evaluation])], &request());
    assert_eq!(axes(&comparison), (vec!["matrix.task"], vec!["task"]));
    assert_eq!(
        lines(&comparison),
        ["pretext_a: buy 0.6000", "pretext_b: buy *0.7000*"]
    );
}

#[test]
fn runs_add_seeds_and_models_to_each_other_and_stand_apart_where_they_differ() {
    let made_of = |model: &str, seed: u64, auc: f64| {
        let matrix = json!({ "model": model, "seed": seed });
        Made::new("evaluate")
            .task("buy", "s", "l")
            .cell(matrix, json!({ "buy": { "auc": auc } }))
    };
    let runs = [
        run(RUN, [made_of("a", 0, 0.6)]),
        run(OTHER_RUN, [made_of("a", 1, 0.7)]),
    ];
    assert_eq!(
        lines(&made(&runs, &request())),
        ["finetune: buy 0.6500 n=2"]
    );
    let runs = [
        run(RUN, [made_of("a", 0, 0.6)]),
        run(OTHER_RUN, [made_of("b", 0, 0.7)]),
    ];
    assert_eq!(
        lines(&made(&runs, &request())),
        ["a: buy 0.6000", "b: buy *0.7000*"]
    );
    let runs = [
        run(RUN, [made_of("a", 0, 0.6)]),
        run(OTHER_RUN, [made_of("a", 0, 0.7)]),
    ];
    let comparison = made(&runs, &request());
    assert_eq!(axes(&comparison).0, ["stage", "run"]);
    assert_eq!(
        lines(&comparison),
        [
            "finetune/01JDH7Z000: buy 0.6000",
            "finetune/01JDH8AAAA: buy *0.7000*"
        ]
    );
}

#[test]
fn probes_stand_apart_from_predictions_of_the_same_model() {
    let cell = |source: &str, auc: f64| json!({ "source": source, "matrix": { "model": "a" }, "tasks": { "buy": { "auc": auc } } });
    let evaluation = Made::new("evaluate")
        .whole_cell(cell("predictions", 0.7))
        .whole_cell(cell("embeddings", 0.6));
    assert_eq!(
        lines(&made(&[run(RUN, [evaluation])], &request())),
        ["predictions: buy *0.7000*", "embeddings: buy 0.6000"]
    );
}

#[test]
fn tasks_that_the_first_metric_does_not_measure_are_named() {
    let evaluation = Made::new("evaluate").cell(
        json!({ "model": "a" }),
        json!({ "buy": { "auc": 0.7 }, "spend": { "rmse": 3.0, "r2": 0.1 } }),
    );
    let runs = [run(RUN, [evaluation])];
    let comparison = made(&runs, &request());
    assert_eq!(lines(&comparison), ["finetune: buy 0.7000"]);
    assert_eq!(
        comparison.notes,
        ["not in the table, for they have other metrics (--metric rmse, --metric r2): spend"]
    );
    let asked = ComparisonRequest {
        metrics: names(&["auc"]),
        ..request()
    };
    assert_eq!(made(&runs, &asked).notes, [""; 0]);
}
