//! The predictions artifact: one row per (sample, task), written so that the same scores give the
//! same bytes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use supermoe_channels::{Dataset, SampleId, Split};

use crate::error::TrainError;

/// The one file of the predictions folder.
pub const PREDICTIONS_FILE: &str = "predictions.parquet";

/// Probabilities of some samples of one split.
pub struct SplitScores<'a> {
    pub split: Split,
    pub samples: &'a [SampleId],
    /// Row-major [samples, tasks], each in [0, 1].
    pub scores: &'a [f64],
    /// Row-major [samples, tasks]; NaN where there is none.
    pub labels: &'a [f32],
}

/// Writes `predictions.parquet`: entity, snapshot, split, task, class (NULL for binary tasks), label
/// (NULL where there is none), score. `tasks` are indices in the schema, in the order of the scores.
pub fn write_predictions(
    folder: &Path,
    dataset: &Dataset,
    tasks: &[usize],
    splits: &[SplitScores],
) -> Result<(), TrainError> {
    let path = folder.join(PREDICTIONS_FILE);
    let failed = |reason: String| TrainError::Predictions {
        path: path.clone(),
        reason,
    };
    let batch = rows(dataset, tasks, splits).map_err(|error| failed(error.to_string()))?;
    let properties = WriterProperties::builder()
        .set_created_by("supermoe".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let file = File::create(&path).map_err(TrainError::io(&path))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))
        .map_err(|error| failed(error.to_string()))?;
    writer
        .write(&batch)
        .map_err(|error| failed(error.to_string()))?;
    writer.close().map_err(|error| failed(error.to_string()))?;
    Ok(())
}

fn rows(
    dataset: &Dataset,
    tasks: &[usize],
    splits: &[SplitScores],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    // Task by task within a split, samples in the order of the dataset.
    let mut rows = Vec::new();
    for part in splits {
        for (column, &task) in tasks.iter().enumerate() {
            for (row, &sample) in part.samples.iter().enumerate() {
                let place = row * tasks.len() + column;
                rows.push(Row {
                    split: part.split,
                    task,
                    sample,
                    label: part.labels[place],
                    score: part.scores[place],
                });
            }
        }
    }
    let label = |row: &Row| Some(row.label).filter(|label| !label.is_nan());
    let task_name = |row: &Row| dataset.schema().tasks[row.task].name.as_str();
    let snapshots = rows.iter().map(|row| dataset.snapshot_ms(row.sample));
    let columns: [ArrayRef; 7] = [
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| dataset.entity(row.sample)),
        )),
        Arc::new(TimestampMillisecondArray::from_iter_values(snapshots)),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| row.split.name()),
        )),
        Arc::new(StringArray::from_iter_values(rows.iter().map(task_name))),
        Arc::new(StringArray::from_iter(rows.iter().map(|_| None::<&str>))),
        Arc::new(Float32Array::from_iter(rows.iter().map(label))),
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|row| row.score),
        )),
    ];
    RecordBatch::try_new(Arc::new(arrow_schema()), columns.into())
}

struct Row {
    split: Split,
    task: usize,
    sample: SampleId,
    label: f32,
    score: f64,
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
