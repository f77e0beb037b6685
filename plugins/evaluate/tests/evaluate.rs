//! `evaluate` as a stage runs it: predictions artifacts in, a report and metrics out.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use indexmap::IndexMap;
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};
use supermoe_evaluate::plugin;
use supermoe_plugin::event::{Event, LogLevel};
use supermoe_plugin::ports::PortType;
use supermoe_plugin::request::{InputArtifact, Request};
use supermoe_plugin::sdk::{Context, EventWriter};
use tempfile::TempDir;

/// entity, day, split, task, label, score
type Row = (
    &'static str,
    i64,
    &'static str,
    &'static str,
    Option<f32>,
    f64,
);

const DAY_MS: i64 = 86_400_000;
/// 2011-08-01.
const AUGUST: i64 = 15_187;

fn write(folder: &Path, rows: &[Row]) {
    std::fs::create_dir_all(folder).expect("a folder");
    let text = |of: fn(&Row) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let snapshots: Vec<i64> = rows.iter().map(|row| row.1 * DAY_MS).collect();
    let classes: Vec<Option<&str>> = vec![None; rows.len()];
    let columns: [(&str, ArrayRef); 7] = [
        ("entity", text(|row| row.0)),
        (
            "snapshot",
            Arc::new(TimestampMillisecondArray::from(snapshots)),
        ),
        ("split", text(|row| row.2)),
        ("task", text(|row| row.3)),
        ("class", Arc::new(StringArray::from(classes))),
        (
            "label",
            Arc::new(Float32Array::from_iter(rows.iter().map(|row| row.4))),
        ),
        (
            "score",
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.5))),
        ),
    ];
    write_batch(
        folder,
        &RecordBatch::try_from_iter(columns).expect("columns of one length"),
    );
}

fn write_batch(folder: &Path, batch: &RecordBatch) {
    let file = File::create(folder.join("predictions.parquet")).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

struct Run {
    folder: TempDir,
    outcome: Result<(), String>,
    events: Vec<Event>,
}

/// Runs the plugin on cells: matrix values and rows.
fn run(cells: &[(Value, Vec<Row>)]) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = cells.iter().enumerate().map(|(i, (matrix, rows))| {
        let path = folder.path().join(format!("cell{i}"));
        write(&path, rows);
        (path, matrix.clone())
    });
    let inputs = inputs.collect();
    run_in(folder, inputs)
}

fn run_in(folder: TempDir, inputs: Vec<(PathBuf, Value)>) -> Run {
    let artifacts = inputs.into_iter().map(|(path, matrix)| InputArtifact {
        path,
        port_type: PortType::Predictions,
        matrix: serde_json::from_value(matrix).expect("a map"),
    });
    let report = folder.path().join("report");
    std::fs::create_dir_all(&report).expect("a folder");
    let request = Request {
        protocol: 1,
        plugin: "evaluate".to_owned(),
        params: Map::new(),
        inputs: IndexMap::from([("predictions".to_owned(), artifacts.collect())]),
        outputs: IndexMap::from([("report".to_owned(), report)]),
        checkpoint: None,
        work: folder.path().to_owned(),
        seed: 0,
        threads: 1,
        device: "cpu".to_owned(),
    };
    let events = EventWriter::in_memory();
    let outcome = plugin().run(&mut Context::new(request, events.clone()));
    let outcome = outcome.map_err(|error| {
        error
            .message()
            .replace(&folder.path().display().to_string(), "FOLDER")
    });
    Run {
        outcome,
        events: events.written(),
        folder,
    }
}

impl Run {
    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("report").join(file))
            .expect("the report is written")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text("report.json")).expect("JSON")
    }

    fn metrics(&self) -> Vec<String> {
        let metrics = self.events.iter().filter_map(|event| match event {
            Event::Metric { name, value, .. } => Some(format!("{name} {value:.4}")),
            _ => None,
        });
        metrics.collect()
    }

    fn error(&self) -> &str {
        self.outcome.as_ref().expect_err("it should have failed")
    }
}

/// Two tasks; `shift` makes one cell differ from another in its scores alone.
fn rows(shift: f64) -> Vec<Row> {
    vec![
        ("b", AUGUST, "test", "buy", Some(0.0), 0.4),
        ("a", AUGUST, "test", "buy", Some(1.0), 0.9),
        ("c", AUGUST, "test", "buy", Some(1.0), 0.5 - shift),
        ("c", AUGUST + 31, "test", "buy", Some(0.0), 0.2),
        ("d", AUGUST, "test", "buy", None, 0.7),
        ("a", AUGUST, "test", "return", Some(0.0), 0.1),
        ("b", AUGUST, "test", "return", Some(1.0), 0.1),
        ("a", AUGUST - 60, "valid", "buy", Some(1.0), 0.3),
    ]
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
    assert_eq!(json["metric_version"], 1);
    assert_eq!(
        json["tasks"][0],
        json!({ "name": "buy", "samples": 4, "positives": 2, "unlabelled": 1 })
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
        .map(|row| (row.0, row.1, row.2, row.3, row.4.map(|_| 0.0), row.5))
        .collect();
    let run = run(&[(json!({}), rows)]);
    run.outcome.as_ref().expect("it is no error");
    let json = run.json();
    assert_eq!(json["cells"][0]["tasks"]["buy"]["auc"], Value::Null);
    assert!(json["cells"][0]["tasks"]["buy"]["logloss"].is_f64());
    let warned = run.events.iter().any(|event| {
        matches!(event, Event::Log { level: LogLevel::Warn, message }
            if message == "task `buy` has one class in test: all 4 labels are 0; it has no AUC")
    });
    assert!(warned, "{:?}", run.events);
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
    other_label[0].4 = None;
    assert_eq!(
        cells(other_label).error(),
        "`model=b` cannot stand in one table with `model=a`: task `buy`: 1 labels differ, for example entity b at \
         2011-08-01: none here, 0 there"
    );
    let one_task = rows(0.0).into_iter().filter(|row| row.3 == "buy").collect();
    assert_eq!(
        cells(one_task).error(),
        "`model=b` cannot stand in one table with `model=a`: its test tasks are buy, the other's buy, return"
    );
    // Other splits may differ: nothing is measured on them.
    let no_valid = rows(0.0)
        .into_iter()
        .filter(|row| row.2 != "valid")
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
    let at = "cannot read FOLDER/cell0/predictions.parquet: ";
    assert_eq!(of(Vec::new()), format!("{at}it has no rows"));
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
    assert_eq!(with(|row| row.5 = f64::NAN), score("NaN"));
    assert_eq!(with(|row| row.5 = 1.5), score("1.5"));
    assert_eq!(
        with(|row| row.4 = Some(2.0)),
        format!("{at}label 2 of task `buy`; expected 0, 1 or NULL")
    );
    assert_eq!(
        with(|row| row.2 = "other"),
        format!("{at}split `other`; expected train, valid or test")
    );
    assert_eq!(
        with(|row| (row.0, row.1) = ("a", AUGUST)),
        format!("{at}entity a stands twice at one snapshot in test, task `buy`")
    );
    let no_test = rows(0.0)
        .into_iter()
        .filter(|row| row.2 == "valid")
        .collect();
    assert_eq!(
        of(no_test),
        "predictions: there are no predictions of the test split; give it snapshots in `with.splits.test` of the `prepare` stage"
    );
}

#[test]
fn damaged_files_are_named() {
    let in_folder = |prepare: fn(&Path)| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cell = folder.path().join("cell");
        std::fs::create_dir_all(&cell).expect("a folder");
        prepare(&cell);
        run_in(folder, vec![(cell, json!({}))]).error().to_owned()
    };
    assert!(in_folder(|_| {}).starts_with("cannot open FOLDER/cell/predictions.parquet: "));
    let truncated = in_folder(|cell| {
        write(cell, &rows(0.0));
        let file = cell.join("predictions.parquet");
        let bytes = std::fs::read(&file).expect("a file");
        std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("a file");
    });
    assert!(
        truncated.starts_with("cannot read FOLDER/cell/predictions.parquet: "),
        "{truncated}"
    );
    let no_score = in_folder(|cell| {
        write(cell, &rows(0.0));
        let file = File::open(cell.join("predictions.parquet")).expect("a file");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        let batch = reader
            .and_then(|reader| reader.build())
            .expect("a reader")
            .next()
            .expect("a batch");
        write_batch(
            cell,
            &batch
                .expect("rows")
                .project(&[0, 1, 2, 3, 4, 5])
                .expect("columns"),
        );
    });
    assert_eq!(
        no_score,
        "cannot read FOLDER/cell/predictions.parquet: it has no column `score`"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(
        run_in(folder, Vec::new()).error(),
        "no predictions were given"
    );
}

#[test]
fn the_report_does_not_depend_on_the_order_of_rows() {
    let mut turned = rows(0.1);
    turned.reverse();
    let (one, two) = (run(&[(json!({}), rows(0.1))]), run(&[(json!({}), turned)]));
    assert_eq!(one.text("report.json"), two.text("report.json"));
}
