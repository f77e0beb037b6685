//! Runs the stage on artifacts that are written here, each test in a folder of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field};
use indexmap::IndexMap;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use supermoe_channels::Dataset;
use supermoe_evaluate::plugin;
use supermoe_plugin::event::Event;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::request::{InputArtifact, Request};
use supermoe_plugin::sdk::{Context, EventWriter};
use tempfile::TempDir;

pub const DAY_MS: i64 = 86_400_000;
/// 2011-08-01.
pub const AUGUST: i64 = 15_187;

/// A row of predictions.
#[derive(Clone)]
pub struct Row {
    pub entity: &'static str,
    pub day: i64,
    pub split: &'static str,
    pub task: &'static str,
    pub class: Option<&'static str>,
    pub label: Option<f32>,
    pub score: f64,
}

/// A row of the test split, without a class.
pub fn row(
    entity: &'static str,
    day: i64,
    task: &'static str,
    label: Option<f32>,
    score: f64,
) -> Row {
    Row {
        entity,
        day,
        split: "test",
        task,
        class: None,
        label,
        score,
    }
}

/// What one run of the stage is given.
pub struct Stage {
    folder: TempDir,
    inputs: IndexMap<String, Vec<InputArtifact>>,
    threads: u32,
    params: Map<String, Value>,
    stops: bool,
}

/// What it left behind.
pub struct Run {
    folder: TempDir,
    pub outcome: Result<(), String>,
    pub events: Vec<Event>,
}

impl Stage {
    pub fn new() -> Stage {
        Stage {
            folder: tempfile::tempdir().expect("a temporary folder"),
            inputs: IndexMap::new(),
            threads: 1,
            params: Map::new(),
            stops: false,
        }
    }

    pub fn predictions(self, matrix: Value, rows: &[Row]) -> Stage {
        self.predictions_of_kinds(matrix, rows, None)
    }

    /// With the file's entry on the kinds of tasks.
    pub fn predictions_of_kinds(self, matrix: Value, rows: &[Row], kinds: Option<&str>) -> Stage {
        let artifact = self.artifact("predictions");
        write_table(&artifact.join("predictions.parquet"), &table(rows), kinds);
        self.input("predictions", PortType::Predictions, artifact, matrix)
    }

    pub fn dataset(self, dataset: &Dataset) -> Stage {
        let artifact = self.artifact("dataset");
        dataset.write(&artifact).expect("written");
        self.input(
            "dataset",
            PortType::Dataset,
            artifact,
            Value::Object(Map::new()),
        )
    }

    pub fn embeddings(self, matrix: Value, embeddings: &[Embedding]) -> Stage {
        let artifact = self.artifact("embeddings");
        let table = embeddings_table(embeddings);
        write_table(&artifact.join("embeddings.parquet"), &table, None);
        self.input("embeddings", PortType::Embeddings, artifact, matrix)
    }

    /// A new folder.
    pub fn artifact(&self, port: &str) -> PathBuf {
        let number = self.inputs.get(port).map_or(0, Vec::len);
        let folder = self.folder.path().join(format!("{port}{number}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    pub fn input(mut self, port: &str, port_type: PortType, path: PathBuf, matrix: Value) -> Stage {
        let artifact = InputArtifact {
            path,
            port_type,
            matrix: serde_json::from_value(matrix).expect("a map"),
        };
        self.inputs
            .entry(port.to_owned())
            .or_default()
            .push(artifact);
        self
    }

    pub fn threads(mut self, threads: u32) -> Stage {
        self.threads = threads;
        self
    }

    pub fn param(mut self, name: &str, value: Value) -> Stage {
        self.params.insert(name.to_owned(), value);
        self
    }

    /// Asked to stop before it begins.
    pub fn stopped(mut self) -> Stage {
        self.stops = true;
        self
    }

    pub fn run(self) -> Run {
        let report = self.folder.path().join("report");
        std::fs::create_dir_all(&report).expect("a folder");
        let request = Request {
            protocol: 1,
            plugin: "evaluate".to_owned(),
            params: self.params,
            inputs: self.inputs,
            outputs: IndexMap::from([("report".to_owned(), report)]),
            checkpoint: None,
            work: self.folder.path().to_owned(),
            seed: 0,
            threads: self.threads,
            device: "cpu".to_owned(),
            profile: false,
        };
        let events = EventWriter::in_memory();
        let mut context = Context::new(request, events.clone());
        if self.stops {
            context.ask_to_stop();
        }
        let outcome = plugin().run(&mut context);
        let folder = self.folder.path().display().to_string();
        Run {
            outcome: outcome.map_err(|error| match error.is_stopped() {
                true => "stopped".to_owned(),
                false => error.message().replace(&folder, "FOLDER"),
            }),
            events: events.written(),
            folder: self.folder,
        }
    }
}

impl Run {
    pub fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("report").join(file))
            .expect("the report is written")
    }

    pub fn json(&self) -> Value {
        self.outcome.as_ref().expect("a report");
        serde_json::from_str(&self.text("report.json")).expect("JSON")
    }

    /// The test set of the first task, without its digests.
    pub fn first_task(&self) -> Value {
        let mut task = self.json()["tasks"][0].clone();
        for digest in ["split_digest", "labels_digest"] {
            let found = task.as_object_mut().and_then(|task| task.remove(digest));
            let length = found.as_ref().and_then(Value::as_str).map(str::len);
            assert_eq!(length, Some(64), "{digest}");
        }
        task
    }

    pub fn metrics(&self) -> Vec<String> {
        let metrics = self.events.iter().filter_map(|event| match event {
            Event::Metric { name, value, .. } => Some(format!("{name} {value:.4}")),
            _ => None,
        });
        metrics.collect()
    }

    pub fn warnings(&self) -> Vec<&str> {
        self.events.iter().filter_map(Event::as_warning).collect()
    }

    pub fn error(&self) -> &str {
        self.outcome.as_ref().expect_err("it should have failed")
    }
}

/// entity, milliseconds of the snapshot, split, embedding
pub type Embedding = (String, i64, &'static str, Vec<f32>);

fn embeddings_table(rows: &[Embedding]) -> RecordBatch {
    let width = rows.first().map_or(1, |row| row.3.len());
    let values: Vec<f32> = rows.iter().flat_map(|row| row.3.clone()).collect();
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let lists = FixedSizeListArray::new(
        item,
        width as i32,
        Arc::new(Float32Array::from(values)),
        None,
    );
    let columns: [(&str, ArrayRef); 4] = [
        (
            "entity",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
        ),
        (
            "snapshot",
            Arc::new(TimestampMillisecondArray::from_iter_values(
                rows.iter().map(|row| row.1),
            )),
        ),
        (
            "split",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2))),
        ),
        ("embedding", Arc::new(lists)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

pub fn table(rows: &[Row]) -> RecordBatch {
    let text = |of: fn(&Row) -> Option<&'static str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(of)))
    };
    let snapshots = rows.iter().map(|row| row.day * DAY_MS);
    let labels = rows.iter().map(|row| row.label);
    let columns: [(&str, ArrayRef); 7] = [
        ("entity", text(|row| Some(row.entity))),
        (
            "snapshot",
            Arc::new(TimestampMillisecondArray::from_iter_values(snapshots)),
        ),
        ("split", text(|row| Some(row.split))),
        ("task", text(|row| Some(row.task))),
        ("class", text(|row| row.class)),
        ("label", Arc::new(Float32Array::from_iter(labels))),
        (
            "score",
            Arc::new(Float64Array::from_iter_values(
                rows.iter().map(|row| row.score),
            )),
        ),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

pub fn write_table(path: &Path, batch: &RecordBatch, kinds: Option<&str>) {
    let entry = |kinds: &str| vec![KeyValue::new("supermoe.tasks".to_owned(), kinds.to_owned())];
    let properties = WriterProperties::builder()
        .set_key_value_metadata(kinds.map(entry))
        .build();
    let file = File::create(path).expect("a file");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}
