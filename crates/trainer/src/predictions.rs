//! The predictions artifact: one row per (sample, task), and of a multiclass task per class, written so
//! that the same scores give the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use supermoe_channels::{Dataset, SampleId, Split, Task, TaskKind};

use crate::error::TrainError;
use crate::task_towers::outputs;

/// The one file of the predictions folder.
pub const PREDICTIONS_FILE: &str = "predictions.parquet";
/// Key in the file's footer of the kinds of the tasks, a JSON map by name.
const TASKS_KEY: &str = "supermoe.tasks";

/// Scores of some samples of one split.
pub struct SplitScores {
    pub split: Split,
    pub samples: Vec<SampleId>,
    /// By task, row-major [samples, outputs]: see [`TaskTowers::scores`](crate::task_towers::TaskTowers::scores).
    pub scores: Vec<Vec<f64>>,
    /// By task, [samples]; NaN where there is none.
    pub labels: Vec<Vec<f32>>,
}

/// Writes `predictions.parquet`: entity, snapshot, split, task, class (NULL but for multiclass tasks),
/// label (NULL where there is none; of a class 1 where it is the true one, else 0), score.
pub fn write_predictions(
    folder: &Path,
    dataset: &Dataset,
    tasks: &[Task],
    splits: &[SplitScores],
) -> Result<(), TrainError> {
    let path = folder.join(PREDICTIONS_FILE);
    let failed = |reason: String| TrainError::Predictions {
        path: path.clone(),
        reason,
    };
    let kinds: BTreeMap<&str, TaskKind> = tasks
        .iter()
        .map(|task| (task.name.as_str(), task.kind))
        .collect();
    let kinds = serde_json::to_string(&kinds).map_err(|error| failed(error.to_string()))?;
    let properties = WriterProperties::builder()
        .set_created_by("supermoe".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![KeyValue::new(TASKS_KEY.to_owned(), kinds)]))
        .build();
    let file = File::create(&path).map_err(TrainError::io(&path))?;
    let mut writer = ArrowWriter::try_new(file, Arc::new(arrow_schema()), Some(properties))
        .map_err(|error| failed(error.to_string()))?;
    for part in splits {
        for (index, task) in tasks.iter().enumerate() {
            let batch =
                rows(dataset, task, index, part).map_err(|error| failed(error.to_string()))?;
            writer
                .write(&batch)
                .map_err(|error| failed(error.to_string()))?;
        }
    }
    writer.close().map_err(|error| failed(error.to_string()))?;
    Ok(())
}

/// The rows of one task: samples in the order given, classes in that of the task.
fn rows(
    dataset: &Dataset,
    task: &Task,
    index: usize,
    part: &SplitScores,
) -> Result<RecordBatch, ArrowError> {
    let width = outputs(task);
    let (scores, labels) = (&part.scores[index], &part.labels[index]);
    let count = scores.len();
    let sample = |row: usize| part.samples[row / width];
    let class = |row: usize| match task.kind {
        TaskKind::Multiclass => Some(task.classes[row % width].as_str()),
        TaskKind::Binary | TaskKind::Regression => None,
    };
    let label = |row: usize| {
        let label = Some(labels[row / width]).filter(|label| !label.is_nan())?;
        Some(match task.kind {
            TaskKind::Multiclass => f32::from(label as usize == row % width),
            TaskKind::Binary | TaskKind::Regression => label,
        })
    };
    let columns: [ArrayRef; 7] = [
        Arc::new(StringArray::from_iter_values(
            (0..count).map(|row| dataset.entity(sample(row))),
        )),
        Arc::new(TimestampMillisecondArray::from_iter_values(
            (0..count).map(|row| dataset.snapshot_ms(sample(row))),
        )),
        Arc::new(StringArray::from_iter_values(
            (0..count).map(|_| part.split.name()),
        )),
        Arc::new(StringArray::from_iter_values(
            (0..count).map(|_| task.name.as_str()),
        )),
        Arc::new(StringArray::from_iter((0..count).map(class))),
        Arc::new(Float32Array::from_iter((0..count).map(label))),
        Arc::new(Float64Array::from_iter_values(scores.iter().copied())),
    ];
    RecordBatch::try_new(Arc::new(arrow_schema()), columns.into())
}

fn arrow_schema() -> ArrowSchema {
    ArrowSchema::new(vec![
        Field::new("entity", DataType::Utf8, false),
        Field::new(
            "snapshot",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            false,
        ),
        Field::new("split", DataType::Utf8, false),
        Field::new("task", DataType::Utf8, false),
        Field::new("class", DataType::Utf8, true),
        Field::new("label", DataType::Float32, true),
        Field::new("score", DataType::Float64, false),
    ])
}
