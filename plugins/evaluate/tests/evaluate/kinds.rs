//! Multiclass and regression tasks.

use serde_json::{Value, json};

use crate::stage::{AUGUST, Row, Run, Stage, row};

/// Three samples of three classes; the last has no label.
fn classes() -> Vec<Row> {
    let probabilities = [
        ("a", Some("x"), [0.7, 0.2, 0.1]),
        ("b", Some("y"), [0.5, 0.3, 0.2]),
        ("c", Some("x"), [0.4, 0.4, 0.2]),
        ("d", None, [0.2, 0.3, 0.5]),
    ];
    let rows = probabilities
        .into_iter()
        .flat_map(|(entity, truth, scores)| {
            ["x", "y", "z"]
                .into_iter()
                .zip(scores)
                .map(move |(class, score)| Row {
                    class: Some(class),
                    ..row(
                        entity,
                        AUGUST,
                        "next",
                        truth.map(|truth| f32::from(u8::from(truth == class))),
                        score,
                    )
                })
        });
    rows.collect()
}

fn numbers() -> Vec<Row> {
    vec![
        row("a", AUGUST, "spend", Some(3.0), 2.5),
        row("b", AUGUST, "spend", Some(-0.5), 0.0),
        row("c", AUGUST, "spend", Some(2.0), 2.0),
        row("d", AUGUST, "spend", Some(7.0), 8.0),
        row("e", AUGUST, "spend", None, 1.0),
    ]
}

fn run(rows: &[Row]) -> Run {
    Stage::new().predictions(json!({}), rows).run()
}

fn told(mut rows: Vec<Row>, change: impl FnOnce(&mut Vec<Row>)) -> String {
    change(&mut rows);
    let message = run(&rows).error().to_owned();
    let (_, problem) = message.split_once("predictions.parquet: ").expect("a file");
    problem.to_owned()
}

#[test]
fn each_class_stands_against_the_rest() {
    let run = run(&classes());
    let json = run.json();
    let of_class =
        |class: &str, metric: &str| json["cells"][0]["classes"]["next"][class][metric].clone();
    // x: positives score 0.7 and 0.4, the negative 0.5. y: the positive 0.3, negatives 0.2 and 0.4.
    assert_eq!(of_class("x", "auc"), 0.5);
    assert_eq!(of_class("y", "auc"), 0.5);
    assert_eq!(of_class("z", "auc"), Value::Null);
    let of_task = |metric: &str| {
        json["cells"][0]["tasks"]["next"][metric]
            .as_f64()
            .expect("a number")
    };
    assert_eq!(of_task("auc"), 0.5);
    let of_truth = -(0.7f64.ln() + 0.3f64.ln() + 0.4f64.ln()) / 3.0;
    assert!((of_task("logloss") - of_truth).abs() < 1e-12);
    assert_eq!(
        run.first_task(),
        json!({
            "name": "next", "kind": "multiclass", "samples": 3, "unlabelled": 1,
            "classes": [
                { "name": "x", "positives": 2 }, { "name": "y", "positives": 1 }, { "name": "z", "positives": 0 },
            ],
        })
    );
    assert_eq!(
        run.warnings(),
        [
            "task `next`: of the test samples none or all are of class `z`: no AUC there, and the mean over classes \
             leaves it out"
        ]
    );
    assert!(run.metrics().contains(&"test/next/x/auc 0.5000".to_owned()));
    assert_eq!(json["cells"][0]["curves"][1]["class"], "y");
    insta::assert_snapshot!(run.text("report.md"));
}

#[test]
fn classes_that_do_not_fit_are_refused() {
    assert_eq!(
        told(classes(), |rows| rows[0].class = None),
        "task `next`: some rows have a class and some have none"
    );
    assert_eq!(
        told(classes(), |rows| rows[1].label = Some(1.0)),
        "task `next`: entity a has more than one true class"
    );
    assert_eq!(
        told(classes(), |rows| rows[2].label = None),
        "task `next`: entity a has a label for some classes and none for others"
    );
    assert_eq!(
        told(classes(), |rows| rows
            .retain(|row| (row.entity, row.class) != ("a", Some("y")))),
        "task `next`: class `y` has other test samples (3) than the first class (4); expected a row for each sample \
         and class"
    );
    assert_eq!(
        told(classes(), |rows| rows[1].class = Some("x")),
        "task `next`: entity a stands twice at one snapshot in test, class `x`"
    );
    assert_eq!(
        told(classes(), |rows| rows[4].label = Some(2.0)),
        "label 2 of task `next`; expected 0, 1 or NULL"
    );
}

#[test]
fn numbers_have_errors_and_an_order() {
    let run = run(&numbers());
    let json = run.json();
    let metrics = &json["cells"][0]["tasks"]["spend"];
    assert_eq!(metrics["mae"], 0.5);
    assert!((metrics["rmse"].as_f64().expect("a number") - 0.375f64.sqrt()).abs() < 1e-12);
    assert!((metrics["r2"].as_f64().expect("a number") - 0.948_608_137).abs() < 1e-9);
    assert_eq!(metrics["concordance"], 1.0);
    assert_eq!(json["cells"][0]["mean_auc"], Value::Null);
    assert_eq!(
        json["cells"][0]["curves"][0]["calibration"][0],
        json!([0.0, -0.5, 1])
    );
    insta::assert_snapshot!(run.text("report.md"));
}

#[test]
fn the_file_says_the_kind_where_labels_do_not() {
    let rows = [
        row("a", AUGUST, "visits", Some(0.0), 0.5),
        row("b", AUGUST, "visits", Some(1.0), 3.5),
    ];
    let with = |kinds: Option<&str>| {
        Stage::new()
            .predictions_of_kinds(json!({}), &rows, kinds)
            .run()
    };
    assert!(
        with(None)
            .error()
            .contains("the score of entity b, task `visits`, is 3.5; expected a probability")
    );
    let json = with(Some(r#"{"visits": "regression"}"#)).json();
    assert_eq!(json["tasks"][0]["kind"], "regression");
    assert_eq!(json["cells"][0]["tasks"]["visits"]["mae"], 1.5);
    assert!(
        with(Some(r#"{"visits": "multiclass"}"#))
            .error()
            .contains("some have none")
    );
    assert!(
        with(Some("{"))
            .error()
            .contains("its entry `supermoe.tasks` is no map from task to kind")
    );
    assert!(
        with(Some(r#"{"visits": "ranking"}"#))
            .error()
            .contains("unknown variant `ranking`")
    );
}

#[test]
fn numbers_that_are_none_are_refused() {
    assert_eq!(
        told(numbers(), |rows| rows[0].score = f64::INFINITY),
        "the score of entity a, task `spend`, is inf; expected a finite number of at most 1e150 in size"
    );
    assert_eq!(
        told(numbers(), |rows| rows[0].label = Some(f32::NAN)),
        "label NaN of task `spend`; expected a finite number or NULL"
    );
}

#[test]
fn equal_labels_have_no_order() {
    let rows = [
        row("a", AUGUST, "spend", Some(2.5), 1.0),
        row("b", AUGUST, "spend", Some(2.5), 2.0),
    ];
    let run = run(&rows);
    let json = run.json();
    assert_eq!(
        json["cells"][0]["tasks"]["spend"]["concordance"],
        Value::Null
    );
    assert_eq!(json["cells"][0]["tasks"]["spend"]["mae"], 1.0);
    assert_eq!(
        run.warnings(),
        ["task `spend`: all 2 test labels are equal; it has no R² and no concordance"]
    );
}

#[test]
fn a_task_without_labels_has_no_metrics() {
    let run = run(&[
        row("a", AUGUST, "buy", None, 0.5),
        row("b", AUGUST, "buy", None, 0.6),
    ]);
    assert_eq!(
        run.json()["cells"][0]["tasks"]["buy"]["logloss"],
        Value::Null
    );
    assert_eq!(
        run.warnings(),
        ["task `buy` has no labelled test sample: it has no metrics"]
    );
}

#[test]
fn other_kinds_and_classes_are_no_row_of_the_table() {
    let against = |second: &[Row]| {
        let first = Stage::new().predictions(json!({ "model": "a" }), &classes());
        let run = first.predictions(json!({ "model": "b" }), second).run();
        run.error()
            .replace("`model=b` cannot stand in one table with `model=a`: ", "")
    };
    let two_classes: Vec<Row> = classes()
        .into_iter()
        .filter(|row| row.class != Some("z"))
        .collect();
    assert_eq!(
        against(&two_classes),
        "task `next`: its classes are x, y, the other's x, y, z"
    );
    let numbers: Vec<Row> = numbers()
        .into_iter()
        .map(|row| Row {
            task: "next",
            ..row
        })
        .collect();
    assert_eq!(
        against(&numbers),
        "task `next`: it is a regression task, the other's multiclass"
    );
    let mut later = classes();
    later.iter_mut().for_each(|row| row.day += 31);
    assert_eq!(
        against(&later),
        "task `next`: its test set has 4 samples, the other's 4: 4 are in this one alone, 4 in the other alone, for \
         example entity a at 2011-08-01; its test snapshots are 2011-09-01, the other's 2011-08-01"
    );
    let mut other_truth = classes();
    (other_truth[0].label, other_truth[2].label) = (Some(0.0), Some(1.0));
    assert_eq!(
        against(&other_truth),
        "task `next`: 2 labels differ, for example entity a at 2011-08-01, class `x`: 0 here, 1 there"
    );
}
