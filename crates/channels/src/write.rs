//! A dataset from memory into a folder.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, LargeListArray, StringArray,
    TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Field;
use serde::Serialize;

use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::layout;
use crate::parquet_file;
use crate::schema::FIRST_CODE;
use crate::values::ChannelValues;
use crate::vocabulary::Vocabulary;

pub(crate) fn write(dataset: &Dataset, folder: &Path) -> Result<(), DatasetError> {
    write_json(&folder.join(layout::SCHEMA_FILE), &dataset.schema)?;
    for (channel, vocabulary) in &dataset.vocabularies {
        write_vocabulary(&folder.join(layout::vocabulary_file(channel)), vocabulary)?;
    }
    parquet_file::write(&folder.join(layout::STEPS_FILE), step_columns(dataset))?;
    parquet_file::write(&folder.join(layout::SAMPLES_FILE), sample_columns(dataset))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DatasetError> {
    let json = |source| DatasetError::Json {
        path: path.to_owned(),
        source,
    };
    let mut text = serde_json::to_string_pretty(value).map_err(json)?;
    text.push('\n');
    std::fs::write(path, text).map_err(|source| DatasetError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn write_vocabulary(path: &Path, vocabulary: &Vocabulary) -> Result<(), DatasetError> {
    let entries = vocabulary.entries();
    let values = StringArray::from_iter_values(entries.iter().map(|entry| &entry.value));
    let codes = UInt32Array::from_iter_values((FIRST_CODE..).take(entries.len()));
    let counts = UInt64Array::from_iter_values(entries.iter().map(|entry| entry.count));
    let columns: [(&str, ArrayRef); 3] = [
        ("value", Arc::new(values)),
        ("code", Arc::new(codes)),
        ("count", Arc::new(counts)),
    ];
    parquet_file::write(
        path,
        columns.map(|(name, array)| (name.to_owned(), array)).into(),
    )
}

fn step_columns(dataset: &Dataset) -> Vec<(String, ArrayRef)> {
    let steps = &dataset.steps;
    let entity = Int64Array::from_iter_values(steps.entity.iter().map(|&entity| i64::from(entity)));
    // A visit is at most the number of steps, which the reader checks to fit.
    let visit = Int32Array::from_iter_values(steps.visit.iter().map(|&visit| visit as i32));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (layout::STEP_ENTITY.to_owned(), Arc::new(entity)),
        (layout::STEP_VISIT.to_owned(), Arc::new(visit)),
    ];
    for (channel, values) in dataset.schema.channels.iter().zip(&dataset.channels) {
        let name = layout::channel_column(&channel.name);
        let first = layout::first_of_window_column(&channel.name);
        match values {
            ChannelValues::Codes {
                values,
                first_of_window,
            } => {
                columns.push((name, codes(values)));
                columns.extend(
                    first_of_window
                        .as_ref()
                        .map(|values| (first, codes(values))),
                );
            }
            ChannelValues::Numbers {
                values,
                first_of_window,
            } => {
                columns.push((name, numbers(values)));
                columns.extend(
                    first_of_window
                        .as_ref()
                        .map(|values| (first, numbers(values))),
                );
            }
            ChannelValues::Total(sums) => {
                let sums = Float64Array::from_iter_values(sums.iter().copied());
                columns.push((layout::total_column(&channel.name), Arc::new(sums)));
            }
            ChannelValues::SampleStepCodes(_)
            | ChannelValues::SampleStepNumbers(_)
            | ChannelValues::SnapshotCodes(_)
            | ChannelValues::SnapshotNumbers(_) => {}
        }
    }
    columns
}

fn sample_columns(dataset: &Dataset) -> Vec<(String, ArrayRef)> {
    let samples = &dataset.samples;
    let rows = |rows: &[u64]| -> ArrayRef {
        // Rows are indices of vectors, which are below i64::MAX.
        Arc::new(Int64Array::from_iter_values(
            rows.iter().map(|&row| row as i64),
        ))
    };
    let entity_index = samples.entity_index.iter().map(|&entity| i64::from(entity));
    let steps = samples.steps.iter().map(|&steps| steps as i32);
    let columns: [(&str, ArrayRef); 7] = [
        (
            layout::ENTITY_INDEX,
            Arc::new(Int64Array::from_iter_values(entity_index)),
        ),
        (
            layout::ENTITY,
            Arc::new(StringArray::from_iter_values(&samples.entity)),
        ),
        (
            layout::SNAPSHOT,
            Arc::new(TimestampMillisecondArray::from(samples.snapshot_ms.clone())),
        ),
        (
            layout::SPLIT,
            Arc::new(StringArray::from_iter_values(
                samples.split.iter().map(|split| split.name()),
            )),
        ),
        (layout::FIRST_STEP, rows(&samples.first_step)),
        (layout::STEPS, Arc::new(Int32Array::from_iter_values(steps))),
        (layout::WINDOW_FIRST, rows(&samples.window_first)),
    ];
    let mut columns: Vec<(String, ArrayRef)> = columns
        .into_iter()
        .map(|(name, array)| (name.to_owned(), array))
        .collect();
    for (channel, values) in dataset.schema.channels.iter().zip(&dataset.channels) {
        let array = match values {
            ChannelValues::SampleStepCodes(values) => lists(dataset, codes(values)),
            ChannelValues::SampleStepNumbers(values) => lists(dataset, numbers(values)),
            ChannelValues::SnapshotCodes(values) => codes(values),
            ChannelValues::SnapshotNumbers(values) => numbers(values),
            ChannelValues::Codes { .. }
            | ChannelValues::Numbers { .. }
            | ChannelValues::Total(_) => continue,
        };
        columns.push((layout::channel_column(&channel.name), array));
    }
    for (aggregate, values) in dataset.schema.aggregates.iter().zip(&samples.aggregates) {
        columns.push((layout::aggregate_column(&aggregate.name), numbers(values)));
    }
    for (task, labels) in dataset.schema.tasks.iter().zip(&samples.labels) {
        columns.push((layout::label_column(&task.name), numbers(labels)));
    }
    columns
}

fn codes(values: &[u32]) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(values.iter().copied()))
}

/// NULL for NaN.
fn numbers(values: &[f32]) -> ArrayRef {
    Arc::new(Float32Array::from_iter(
        values.iter().map(|&x| (!x.is_nan()).then_some(x)),
    ))
}

/// One list per sample.
fn lists(dataset: &Dataset, values: ArrayRef) -> ArrayRef {
    let offsets: ScalarBuffer<i64> = dataset
        .sample_offsets
        .iter()
        .map(|&offset| offset as i64)
        .collect();
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(LargeListArray::new(
        field,
        OffsetBuffer::new(offsets),
        values,
        None,
    ))
}
