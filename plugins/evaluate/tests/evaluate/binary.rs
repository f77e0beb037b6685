//! Binary tasks: metrics, groups over seeds, and what is refused.

use std::path::Path;

use serde_json::{Value, json};
use supermoe_plugin::ports::PortType;

use crate::stage::{AUGUST, Row, Run, Stage, row, table, write_table};

/// Two tasks; `shift` makes one cell differ from another in its scores alone.
fn rows(shift: f64) -> Vec<Row> {
    let mut rows = vec![
        row("b", AUGUST, "buy", Some(0.0), 0.4),
        row("a", AUGUST, "buy", Some(1.0), 0.9),
        row("c", AUGUST, "buy", Some(1.0), 0.5 - shift),
        row("c", AUGUST + 31, "buy", Some(0.0), 0.2),
        row("d", AUGUST, "buy", None, 0.7),
        row("a", AUGUST, "return", Some(0.0), 0.1),
        row("b", AUGUST, "return", Some(1.0), 0.1),
    ];
    rows.push(Row {
        split: "valid",
        ..row("a", AUGUST - 60, "buy", Some(1.0), 0.3)
    });
    rows
}

/// Runs the plugin on cells: matrix values and rows.
fn run(cells: &[(Value, Vec<Row>)]) -> Run {
    let cells = cells.iter();
    cells
        .fold(Stage::new(), |stage, (matrix, rows)| {
            stage.predictions(matrix.clone(), rows)
        })
        .run()
}

#[test]
fn one_cell_gives_metrics_by_their_plain_names() {
    let run = run(&[(json!({}), rows(0.0))]);
    run.outcome.as_ref().expect("good predictions");
    let metrics = run.metrics();
    for expected in [
        "test/buy/auc 1.0000",
        "test/return/auc 0.5000",
        "test/return/logloss 1.2040",
        "test/mean_auc 0.7500",
    ] {
        assert!(
            metrics.iter().any(|metric| metric == expected),
            "{expected} in {metrics:?}"
        );
    }
    let json = run.json();
    assert_eq!(json["metric_version"], 2);
    assert_eq!(
        run.first_task(),
        json!({ "name": "buy", "kind": "binary", "samples": 4, "unlabelled": 1, "positives": 2 })
    );
    assert_eq!(json["cells"][0]["tasks"]["buy"]["recall_at_p85"], 1.0);
    insta::assert_snapshot!(run.text("report.md"));
}

#[test]
fn cells_are_grouped_over_seeds() {
    let cell =
        |model: &str, seed: u32, shift| (json!({ "model": model, "seed": seed }), rows(shift));
    let run = run(&[
        cell("ple", 1, 0.0),
        cell("ple", 2, 0.2),
        cell("gru|x", 1, 0.4),
    ]);
    run.outcome.as_ref().expect("good predictions");
    insta::assert_snapshot!(run.text("report.md"));
    let metrics = run.metrics();
    assert!(
        metrics.contains(&"test/buy/auc[model=ple] 0.8750".to_owned()),
        "{metrics:?}"
    );
    let json = run.json();
    assert_eq!(json["cells"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["groups"][0]["cells"], 2);
    assert_eq!(
        json["groups"][1]["tasks"]["buy"]["auc"]["deviation"],
        Value::Null
    );
}

#[test]
fn one_class_has_no_auc_and_a_warning() {
    let rows: Vec<Row> = rows(0.0)
        .into_iter()
        .map(|row| Row {
            label: row.label.map(|_| 0.0),
            ..row
        })
        .collect();
    let run = run(&[(json!({}), rows)]);
    run.outcome.as_ref().expect("it is no error");
    let json = run.json();
    assert_eq!(json["cells"][0]["tasks"]["buy"]["auc"], Value::Null);
    assert!(json["cells"][0]["tasks"]["buy"]["logloss"].is_f64());
    assert_eq!(
        run.warnings()[0],
        "task `buy` has one class in test: all 4 labels are 0; it has no AUC"
    );
    assert_eq!(json["cells"][0]["curves"][0]["roc"], json!([]));
    assert!(!run.metrics().iter().any(|metric| metric.contains("auc")));
}

#[test]
fn test_sets_that_differ_are_refused_with_how() {
    let cells = |second: Vec<Row>| {
        run(&[
            (json!({ "model": "a" }), rows(0.0)),
            (json!({ "model": "b" }), second),
        ])
    };
    let mut fewer = rows(0.0);
    fewer.remove(1);
    assert_eq!(
        cells(fewer).error(),
        "`model=b` cannot stand in one table with `model=a`: task `buy`: its test set has 4 samples, the other's 5: \
         0 are in this one alone, 1 in the other alone, for example entity a at 2011-08-01"
    );
    let mut other_label = rows(0.0);
    other_label[0].label = None;
    assert_eq!(
        cells(other_label).error(),
        "`model=b` cannot stand in one table with `model=a`: task `buy`: 1 labels differ, for example entity b at \
         2011-08-01: none here, 0 there"
    );
    let one_task = rows(0.0)
        .into_iter()
        .filter(|row| row.task == "buy")
        .collect();
    assert_eq!(
        cells(one_task).error(),
        "`model=b` cannot stand in one table with `model=a`: its test tasks are buy, the other's buy, return"
    );
    // Other splits may differ: nothing is measured on them.
    let no_valid = rows(0.0)
        .into_iter()
        .filter(|row| row.split != "valid")
        .collect();
    assert_eq!(cells(no_valid).outcome, Ok(()));
    let unnamed = run(&[(json!({}), rows(0.0)), (json!({}), rows(0.0)[1..].to_vec())]);
    assert!(
        unnamed
            .error()
            .starts_with("input 2 cannot stand in one table with input 1: ")
    );
}

#[test]
fn predictions_that_are_none_are_named() {
    let of = |rows: Vec<Row>| run(&[(json!({}), rows)]).error().to_owned();
    let at = "cannot read FOLDER/predictions0/predictions.parquet: ";
    assert_eq!(
        of(Vec::new()),
        format!("{at}it has no rows; expected one for each sample and task of the test split")
    );
    let with = |change: fn(&mut Row)| {
        let mut rows = rows(0.0);
        change(&mut rows[0]);
        of(rows)
    };
    let score = |score: &str| {
        format!(
            "{at}the score of entity b, task `buy`, is {score}; expected a probability from 0 to 1"
        )
    };
    assert_eq!(with(|row| row.score = f64::NAN), score("NaN"));
    assert_eq!(with(|row| row.score = 1.5), score("1.5"));
    assert_eq!(
        with(|row| row.split = "other"),
        format!("{at}`other` is no split: expected train, valid, test or predict")
    );
    assert_eq!(
        with(|row| (row.entity, row.day) = ("a", AUGUST)),
        format!("{at}task `buy`: entity a stands twice at one snapshot in test")
    );
    let no_test = rows(0.0)
        .into_iter()
        .filter(|row| row.split == "valid")
        .collect();
    assert_eq!(
        of(no_test),
        "predictions: there are no predictions of the test split; give it snapshots in `with.splits.test` of the \
         `prepare` stage"
    );
}

#[test]
fn damaged_files_are_named() {
    let in_folder = |prepare: fn(&Path)| {
        let stage = Stage::new();
        let cell = stage.artifact("predictions");
        prepare(&cell);
        let stage = stage.input("predictions", PortType::Predictions, cell, json!({}));
        stage.run().error().to_owned()
    };
    let file = "FOLDER/predictions0/predictions.parquet";
    assert!(in_folder(|_| {}).starts_with(&format!("cannot open {file}: ")));
    let truncated = in_folder(|cell| {
        let file = cell.join("predictions.parquet");
        write_table(&file, &table(&rows(0.0)), None);
        let bytes = std::fs::read(&file).expect("a file");
        std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("a file");
    });
    assert!(
        truncated.starts_with(&format!("cannot read {file}: ")),
        "{truncated}"
    );
    let no_score = in_folder(|cell| {
        let columns = table(&rows(0.0)).project(&[0, 1, 2, 3, 4, 5]);
        write_table(
            &cell.join("predictions.parquet"),
            &columns.expect("columns"),
            None,
        );
    });
    assert_eq!(
        no_score,
        format!("cannot read {file}: it has no column `score`")
    );
    assert_eq!(
        Stage::new().run().error(),
        "there is nothing to evaluate: give the stage `predictions`, or `embeddings` with their `dataset`"
    );
}

#[test]
fn inputs_with_the_same_matrix_values_are_rows_of_their_own() {
    let run = run(&[(json!({}), rows(0.0)), (json!({}), rows(0.4))]);
    let json = run.json();
    assert_eq!(json["groups"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["groups"][1]["input"], 2);
    assert!(
        run.metrics()
            .contains(&"test/buy/auc[input 2] 0.5000".to_owned())
    );
}

#[test]
fn curves_stand_in_the_report() {
    let json = run(&[(json!({}), rows(0.0))]).json();
    assert_eq!(
        json["cells"][0]["curves"][0],
        json!({
            "task": "buy",
            "class": null,
            "roc": [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0], [0.5, 1.0], [1.0, 1.0]],
            "precision_recall": [[0.5, 1.0], [1.0, 1.0]],
            "calibration": [[0.2, 0.0, 1], [0.4, 0.0, 1], [0.5, 1.0, 1], [0.9, 1.0, 1]],
        })
    );
}

#[test]
fn the_report_does_not_depend_on_the_order_of_rows() {
    let mut turned = rows(0.1);
    turned.reverse();
    let (one, two) = (run(&[(json!({}), rows(0.1))]), run(&[(json!({}), turned)]));
    assert_eq!(one.text("report.json"), two.text("report.json"));
}

#[test]
fn asked_to_stop_it_leaves() {
    let run = Stage::new()
        .predictions(json!({}), &rows(0.0))
        .stopped()
        .run();
    assert_eq!(run.error(), "stopped");
}
