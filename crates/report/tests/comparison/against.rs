//! Differences from a chosen row, and whether they are more than chance.

use serde_json::json;
use supermoe_report::{
    Comparison, ComparisonCell, ComparisonError, ComparisonRequest, PairedDifference, PairedTest,
};

use crate::made_up::{
    Made, OTHER_RUN, RUN, levels, made, names, refused, request, run, three_models,
};

fn against(level: &str) -> ComparisonRequest {
    ComparisonRequest {
        against: levels(&[("model", level)]),
        ..request()
    }
}

fn difference(comparison: &Comparison, row: usize, column: usize) -> &PairedDifference {
    let cell: &ComparisonCell = comparison.rows[row].cells[column].as_ref().expect("a cell");
    cell.difference.as_ref().expect("a difference")
}

/// `scipy.stats.ttest_rel` of SciPy 1.17.1, row by row, and Holm's correction of these six.
#[test]
fn differences_are_paired_by_seed_and_corrected_for_all_tests() {
    let comparison = made(&three_models(), &against("supermoe"));
    let expected = [
        (
            1,
            0,
            -0.017,
            0.007_421_788_771_994_214_6,
            0.018_543_357_671_617_633,
        ),
        (
            1,
            1,
            -0.001,
            0.621_308_295_037_497_1,
            0.621_308_295_037_497_1,
        ),
        (
            1,
            2,
            -0.009,
            0.006_054_734_461_189_881,
            0.018_543_357_671_617_633,
        ),
        (
            2,
            0,
            -0.007,
            0.004_635_839_417_904_408,
            0.018_543_357_671_617_633,
        ),
        (
            2,
            1,
            -0.038,
            6.429_804_590_173_472e-6,
            3.857_882_754_104_083e-5,
        ),
        (
            2,
            2,
            -0.0225,
            9.070_165_327_013_689e-6,
            4.535_082_663_506_844_5e-5,
        ),
    ];
    for (row, column, mean, p, p_holm) in expected {
        let found = difference(&comparison, row, column);
        let near = |found: Option<f64>, expected: f64| {
            let found = found.expect("five pairs");
            assert!(
                (found - expected).abs() < 1e-6 * expected.abs(),
                "row {row}, column {column}: {found} is not {expected}"
            );
        };
        assert_eq!(found.pairs, 5);
        near(found.mean, mean);
        near(found.p, p);
        near(found.p_holm, p_holm);
    }
    assert!(
        comparison.rows[0]
            .cells
            .iter()
            .flatten()
            .all(|cell| cell.difference.is_none())
    );
    let of = comparison.against.expect("a row to compare with");
    assert_eq!((of.name.as_str(), of.tests), ("model=supermoe", 6));
}

#[test]
fn too_few_seeds_make_no_test_and_say_so() {
    let evaluation = Made::new("evaluate")
        .seeds("a", &[("buy", &[0.7, 0.71])])
        .seeds("b", &[("buy", &[0.6, 0.62])]);
    let runs = [run(RUN, [evaluation])];
    let comparison = made(&runs, &against("a"));
    let found = difference(&comparison, 1, 0);
    assert!((found.mean.expect("two pairs") + 0.095).abs() < 1e-12);
    assert_eq!((found.p, found.p_holm), (None, None));
    assert_eq!(
        comparison.notes,
        ["1 difference has no test: 2 pairs; at least 3 are needed"]
    );
    let wilcoxon = ComparisonRequest {
        test: PairedTest::WilcoxonSignedRank,
        ..against("supermoe")
    };
    assert_eq!(
        made(&three_models(), &wilcoxon).notes,
        [
            "5 differences have no test: 5 pairs differ; at least 6 are needed",
            "1 difference has no test: 3 pairs differ; at least 6 are needed"
        ]
    );
}

#[test]
fn only_seeds_that_both_have_are_pairs() {
    let cell = |model: &str, seed: u64, auc: f64| {
        (
            json!({ "model": model, "seed": seed }),
            json!({ "buy": { "auc": auc } }),
        )
    };
    let mut evaluation = Made::new("evaluate");
    for (matrix, tasks) in [
        cell("a", 1, 0.7),
        cell("a", 2, 0.8),
        cell("b", 3, 0.5),
        cell("b", 2, 0.75),
        cell("c", 9, 0.1),
    ] {
        evaluation = evaluation.cell(matrix, tasks);
    }
    let comparison = made(&[run(RUN, [evaluation])], &against("a"));
    let found = difference(&comparison, 1, 0);
    assert_eq!(found.pairs, 1);
    assert!((found.mean.expect("one pair") + 0.05).abs() < 1e-12);
    let none = difference(&comparison, 2, 0);
    assert_eq!((none.pairs, none.mean), (0, None));
    assert_eq!(none.no_test.as_deref(), Some("no seed in common"));
}

#[test]
fn rows_of_tasks_are_compared_within_their_task() {
    let request = ComparisonRequest {
        rows: names(&["model", "task"]),
        columns: names(&["metric"]),
        metrics: names(&["auc"]),
        ..against("ple")
    };
    let comparison = made(&three_models(), &request);
    let row = |model: &str, task: &str| {
        let rows = comparison.rows.iter();
        let names = rows.map(|row| {
            row.levels
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        });
        names
            .collect::<Vec<_>>()
            .iter()
            .position(|row| row == &[model, task])
            .expect("a row")
    };
    let found = difference(&comparison, row("bert", "churn"), 0);
    assert!((found.mean.expect("pairs") + 0.037).abs() < 1e-12);
}

#[test]
fn a_row_that_is_not_there_or_not_one_is_told() {
    let error = refused(&three_models(), &against("plee"));
    assert_eq!(error.to_string(), "--against: model=plee names no row");
    assert_eq!(
        error.help(),
        "Did you mean `model=ple`? The rows are `model=supermoe`, `model=ple`, `model=bert`"
    );
    let wrong_axis = ComparisonRequest {
        against: levels(&[("modle", "ple")]),
        ..request()
    };
    let error = refused(&three_models(), &wrong_axis);
    assert_eq!(error.to_string(), "--against: there is no axis `modle`");
    assert_eq!(
        error.help(),
        "Did you mean `model`? The axes are `model`. A comma within a value is written `\\,`"
    );
    let one_model = ComparisonRequest {
        filters: levels(&[("model", "ple")]),
        ..against("ple")
    };
    let error = refused(&three_models(), &one_model);
    assert_eq!(
        error.to_string(),
        "--against: `model` makes no rows of this table, which are made by `stage`"
    );
    assert!(error.help().starts_with("Put `model` into --rows."));
    let mut evaluation = Made::new("evaluate");
    for layers in [1, 2] {
        let matrix = json!({ "model": "a", "layers": layers });
        evaluation = evaluation.cell(matrix, json!({ "buy": { "auc": 0.1 * f64::from(layers) } }));
    }
    let several = ComparisonRequest {
        rows: names(&["model", "layers"]),
        ..against("a")
    };
    let error = refused(&[run(RUN, [evaluation])], &several);
    assert!(matches!(error, ComparisonError::ManyBaselines { .. }));
    assert_eq!(
        error.to_string(),
        "--against: model=a names 2 rows: `model=a, layers=1`, `model=a, layers=2`"
    );
}

/// A model's AUCs by seed, each a result of its own.
fn trained(mut made: Made, model: &str, aucs: &[(u64, f64)]) -> Made {
    for (seed, auc) in aucs {
        let matrix = json!({ "model": model, "seed": seed });
        let tasks = json!({ "buy": { "auc": auc } });
        made = made
            .cell(matrix, tasks)
            .of_result(&format!("{model}, seed {seed}, {auc}"));
    }
    made.task("buy", "s", "l")
}

#[test]
fn a_result_that_runs_share_counts_once() {
    let first = || trained(Made::new("evaluate"), "a", &[(0, 0.8), (1, 0.7), (2, 0.75)]);
    let both = |made| trained(made, "b", &[(0, 0.7), (1, 0.65), (2, 0.68)]);
    let request = ComparisonRequest {
        rows: names(&["model"]),
        over: names(&["seed", "run"]),
        ..against("a")
    };
    // The second run took `a` from the cache and trained `b`.
    let runs = [run(RUN, [first()]), run(OTHER_RUN, [both(first())])];
    let comparison = made(&runs, &request);
    let cell = comparison.rows[0].cells[0].as_ref().expect("a cell");
    assert_eq!((cell.n, cell.values.len()), (3, 3));
    assert_eq!(difference(&comparison, 1, 0).pairs, 3);
    assert_eq!(
        comparison.notes,
        [
            "some results stand at several values of seed and run, for they were made once and taken from the cache: \
             each counts once"
        ]
    );
    // Trained anew, with the same figure for one seed: all are results of their own.
    let anew = trained(Made::new("again"), "a", &[(0, 0.81), (1, 0.71), (2, 0.76)]);
    let runs = [run(RUN, [first()]), run(OTHER_RUN, [both(anew)])];
    let comparison = made(&runs, &request);
    assert_eq!(comparison.rows[0].cells[0].as_ref().expect("a cell").n, 6);
    assert_eq!(comparison.notes, Vec::<String>::new());
}

#[test]
fn where_nothing_can_be_compared_it_says_why() {
    let told = |evaluation: Made, request: ComparisonRequest| {
        let comparison = made(&[run(RUN, [evaluation])], &request);
        format!(
            "{}\n{}",
            comparison.terminal(200, str::to_owned),
            comparison.latex()
        )
    };
    let one = Made::new("evaluate").seeds("a", &[("buy", &[0.7, 0.8])]);
    let of_model = |rows: &[&str]| ComparisonRequest {
        rows: names(rows),
        ..against("a")
    };
    let each_with_itself = ComparisonRequest {
        columns: names(&["metric"]),
        ..of_model(&["model", "task"])
    };
    let two_tasks = Made::new("evaluate").seeds("a", &[("buy", &[0.7]), ("churn", &[0.6])]);
    let other_tasks = Made::new("evaluate")
        .seeds("a", &[("buy", &[0.7])])
        .seeds("b", &[("churn", &[0.6])]);
    insta::assert_snapshot!(
        [
            told(one, of_model(&["model"])),
            told(two_tasks, each_with_itself),
            told(other_tasks, of_model(&["model"])),
        ]
        .join("\n----\n")
    );
}

#[test]
fn values_with_commas_are_spelled_as_they_can_be_given() {
    let mut evaluation = Made::new("evaluate");
    for (note, auc) in [("x=1,y=2", 0.7), ("[1,2]", 0.6)] {
        evaluation = evaluation.cell(json!({ "note": note }), json!({ "buy": { "auc": auc } }));
    }
    let request = ComparisonRequest {
        against: levels(&[("note", "x=1")]),
        ..request()
    };
    let error = refused(&[run(RUN, [evaluation.clone()])], &request);
    assert_eq!(
        error.help(),
        r"Did you mean `note=x=1\,y=2`? The rows are `note=x=1\,y=2`, `note=[1,2]`"
    );
    let both = ComparisonRequest {
        filters: levels(&[("note", r"x=1\,y=2, [1\,2]")]),
        ..crate::made_up::request()
    };
    assert_eq!(made(&[run(RUN, [evaluation])], &both).rows.len(), 2);
}
