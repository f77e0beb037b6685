//! `predictions.parquet` of a predictions artifact: entity, snapshot, split, task, class, label, score.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit, TimestampMillisecondType};
use indexmap::IndexMap;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use crate::error::EvaluateError;

/// The file within the artifact.
pub const PREDICTIONS_FILE: &str = "predictions.parquet";

/// One cell's predictions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictionFile {
    /// The cell's matrix values; empty where there is one cell.
    pub matrix: IndexMap<String, Value>,
    /// By split and task.
    pub tasks: BTreeMap<(Split, String), TaskPredictions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    Train,
    Valid,
    Test,
}

impl Split {
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
        }
    }
}

/// Sorted by entity and snapshot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskPredictions {
    pub rows: Vec<Prediction>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    pub entity: String,
    /// Milliseconds from 1970-01-01 UTC.
    pub snapshot_ms: i64,
    /// `None` where the sample has no label for the task.
    pub label: Option<f32>,
    pub score: f64,
}

impl PredictionFile {
    /// Reads a predictions artifact.
    ///
    /// # Errors
    /// A missing or damaged file, a column that is missing or of another type, a class (multiclass tasks
    /// are not evaluated), a label that is neither 0 nor 1, a score that is no probability, or a sample
    /// that stands there twice.
    pub fn read(artifact: &Path, matrix: IndexMap<String, Value>) -> Result<Self, EvaluateError> {
        let path = artifact.join(PREDICTIONS_FILE);
        // The Parquet reader asserts some of what a damaged file may say of itself.
        let read = catch_unwind(AssertUnwindSafe(|| Self::decode(&path, matrix)));
        read.unwrap_or_else(|_| {
            let problem = "it is damaged: its Parquet metadata contradict themselves".to_owned();
            Err(EvaluateError::Malformed { path, problem })
        })
    }

    fn decode(path: &Path, matrix: IndexMap<String, Value>) -> Result<Self, EvaluateError> {
        let malformed = |problem: String| EvaluateError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let file = File::open(path).map_err(|source| EvaluateError::Io {
            action: "open",
            path: path.to_owned(),
            source,
        })?;
        // Types come from Parquet's own schema: Arrow's copy of it may be damaged without notice.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .and_then(|builder| builder.build());
        let mut predictions = Self {
            matrix,
            tasks: BTreeMap::new(),
        };
        for batch in reader.map_err(|error| malformed(error.to_string()))? {
            let batch = batch.map_err(|error| malformed(error.to_string()))?;
            predictions.add(&batch).map_err(malformed)?;
        }
        predictions.finish().map_err(malformed)?;
        Ok(predictions)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let entities = texts(batch, "entity")?;
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        let snapshots = column(batch, "snapshot", &timestamp)?;
        let snapshots = snapshots.as_primitive::<TimestampMillisecondType>();
        let (splits, tasks) = (texts(batch, "split")?, texts(batch, "task")?);
        if texts_or_null(batch, "class")?.null_count() < batch.num_rows() {
            return Err("it has classes: multiclass tasks are not evaluated".to_owned());
        }
        let labels = column(batch, "label", &DataType::Float32)?.as_primitive::<Float32Type>();
        let scores = column(batch, "score", &DataType::Float64)?.as_primitive::<Float64Type>();
        if snapshots.null_count() + scores.null_count() > 0 {
            return Err("a snapshot or score is NULL".to_owned());
        }
        for row in 0..batch.num_rows() {
            let split = match splits.value(row) {
                "train" => Split::Train,
                "valid" => Split::Valid,
                "test" => Split::Test,
                other => return Err(format!("split `{other}`; expected train, valid or test")),
            };
            let label = labels.is_valid(row).then(|| labels.value(row));
            if let Some(label) = label.filter(|&label| label != 0.0 && label != 1.0) {
                return Err(format!(
                    "label {label} of task `{}`; expected 0, 1 or NULL",
                    tasks.value(row)
                ));
            }
            let (entity, task, score) = (entities.value(row), tasks.value(row), scores.value(row));
            if !(0.0..=1.0).contains(&score) {
                return Err(format!(
                    "the score of entity {entity}, task `{task}`, is {score}; expected a probability from 0 to 1"
                ));
            }
            let prediction = Prediction {
                entity: entity.to_owned(),
                snapshot_ms: snapshots.value(row),
                label,
                score,
            };
            self.tasks
                .entry((split, tasks.value(row).to_owned()))
                .or_default()
                .rows
                .push(prediction);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.tasks.is_empty() {
            return Err("it has no rows".to_owned());
        }
        for ((split, task), predictions) in &mut self.tasks {
            let rows = &mut predictions.rows;
            rows.sort_by(|a, b| a.sample().cmp(&b.sample()));
            if let Some(pair) = rows
                .windows(2)
                .find(|pair| pair[0].sample() == pair[1].sample())
            {
                let (entity, split) = (&pair[0].entity, split.name());
                return Err(format!(
                    "entity {entity} stands twice at one snapshot in {split}, task `{task}`"
                ));
            }
        }
        Ok(())
    }

    /// Tasks in the test split, by name.
    pub fn tests(&self) -> impl Iterator<Item = (&str, &TaskPredictions)> {
        let tests = self
            .tasks
            .iter()
            .filter(|((split, _), _)| *split == Split::Test);
        tests.map(|((_, task), predictions)| (task.as_str(), predictions))
    }

    /// As in messages and tables: `model=ple, seed=1`.
    pub fn cell(&self) -> String {
        if self.matrix.is_empty() {
            return "predictions".to_owned();
        }
        let values = self
            .matrix
            .iter()
            .map(|(axis, value)| format!("{axis}={}", plain(value)));
        values.collect::<Vec<_>>().join(", ")
    }
}

/// A matrix value as people write it: text without quotes.
pub fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

impl Prediction {
    /// What makes a sample one.
    pub fn sample(&self) -> (&str, i64) {
        (&self.entity, self.snapshot_ms)
    }
}

fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
    data_type: &DataType,
) -> Result<&'a ArrayRef, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("it has no column `{name}`"))?;
    if column.data_type() != data_type {
        return Err(format!(
            "column `{name}` is {}; expected {data_type}",
            column.data_type()
        ));
    }
    Ok(column)
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, String> {
    let texts = texts_or_null(batch, name)?;
    if texts.null_count() > 0 {
        return Err(format!("column `{name}` has NULLs"));
    }
    Ok(texts)
}

fn texts_or_null(batch: &RecordBatch, name: &str) -> Result<StringArray, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("it has no column `{name}`"))?;
    let is_text = matches!(
        column.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    );
    if !is_text {
        return Err(format!(
            "column `{name}` is {}; expected text",
            column.data_type()
        ));
    }
    let texts = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    Ok(texts.as_string::<i32>().clone())
}
