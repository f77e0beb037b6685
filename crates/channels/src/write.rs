//! A dataset into a folder: as a whole from memory, or shard by shard.

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
use crate::parquet_file::{self, TableWriter};
use crate::schema::{FIRST_CODE, Per, Schema};
use crate::values::{ChannelValues, Samples, Steps};
use crate::vocabulary::Vocabulary;

pub(crate) fn write(dataset: &Dataset, folder: &Path) -> Result<(), DatasetError> {
    dataset.write_fitted(folder)?;
    let mut shard = ShardWriter::new(folder, 0, &dataset.schema);
    shard.append_steps(&dataset.steps, &dataset.channels)?;
    shard.append_samples(&dataset.samples, &dataset.channels)?;
    shard.append_entities(&dataset.channels)?;
    shard.finish()
}

/// Writes `schema.json`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_schema(folder: &Path, schema: &Schema) -> Result<(), DatasetError> {
    write_json(&folder.join(layout::SCHEMA_FILE), schema)
}

/// One shard of a dataset that is written part by part. Shards are numbered from 0; rows and entity
/// indices count over all shards.
pub struct ShardWriter<'a> {
    schema: &'a Schema,
    steps: TableWriter,
    samples: TableWriter,
    entities: TableWriter,
}

impl<'a> ShardWriter<'a> {
    pub fn new(folder: &Path, index: usize, schema: &'a Schema) -> Self {
        let file =
            |table: &str| TableWriter::new(folder.join(table).join(layout::shard_file(index)));
        Self {
            schema,
            steps: file(layout::STEPS_FOLDER),
            samples: file(layout::SAMPLES_FOLDER),
            entities: file(layout::ENTITIES_FOLDER),
        }
    }

    /// Appends steps; of the channels' values, in the order of the schema, those by step are taken.
    ///
    /// # Errors
    /// What could not be written, and why; so of the methods below.
    pub fn append_steps(
        &mut self,
        steps: &Steps,
        channels: &[ChannelValues],
    ) -> Result<(), DatasetError> {
        self.steps
            .append(step_columns(self.schema, steps, channels))
    }

    /// Appends samples; of the channels' values, in the order of the schema, those by sample are taken.
    pub fn append_samples(
        &mut self,
        samples: &Samples,
        channels: &[ChannelValues],
    ) -> Result<(), DatasetError> {
        self.samples
            .append(sample_columns(self.schema, samples, channels))
    }

    /// Appends entities; of the channels' values, in the order of the schema, those by entity are
    /// taken. Without such channels there is no table of entities.
    pub fn append_entities(&mut self, channels: &[ChannelValues]) -> Result<(), DatasetError> {
        match entity_columns(self.schema, channels) {
            columns if columns.is_empty() => Ok(()),
            columns => self.entities.append(columns),
        }
    }

    /// Ends the files. A table that nothing was appended to, not even no rows, is not written.
    pub fn finish(self) -> Result<(), DatasetError> {
        self.steps.close()?;
        self.samples.close()?;
        self.entities.close()
    }
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

/// Writes a channel's vocabulary.
///
/// # Errors
/// When the file cannot be written.
pub fn write_vocabulary(
    folder: &Path,
    channel: &str,
    vocabulary: &Vocabulary,
) -> Result<(), DatasetError> {
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
        &folder.join(layout::vocabulary_file(channel)),
        columns.map(|(name, array)| (name.to_owned(), array)).into(),
    )
}

fn step_columns(
    schema: &Schema,
    steps: &Steps,
    channels: &[ChannelValues],
) -> Vec<(String, ArrayRef)> {
    let entity = Int64Array::from_iter_values(steps.entity.iter().map(|&entity| i64::from(entity)));
    // A visit is at most the number of steps, which the reader checks to fit.
    let visit = Int32Array::from_iter_values(steps.visit.iter().map(|&visit| visit as i32));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (layout::STEP_ENTITY.to_owned(), Arc::new(entity)),
        (layout::STEP_VISIT.to_owned(), Arc::new(visit)),
    ];
    for (channel, values) in schema.channels.iter().zip(channels) {
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
            | ChannelValues::SnapshotNumbers(_)
            | ChannelValues::EntityCodes(_)
            | ChannelValues::EntityNumbers(_) => {}
        }
    }
    columns
}

fn sample_columns(
    schema: &Schema,
    samples: &Samples,
    channels: &[ChannelValues],
) -> Vec<(String, ArrayRef)> {
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
    for (channel, values) in schema.channels.iter().zip(channels) {
        let array = match values {
            ChannelValues::SampleStepCodes(values) => lists(&samples.steps, codes(values)),
            ChannelValues::SampleStepNumbers(values) => lists(&samples.steps, numbers(values)),
            ChannelValues::SnapshotCodes(values) => codes(values),
            ChannelValues::SnapshotNumbers(values) => numbers(values),
            ChannelValues::Codes { .. }
            | ChannelValues::Numbers { .. }
            | ChannelValues::EntityCodes(_)
            | ChannelValues::EntityNumbers(_)
            | ChannelValues::Total(_) => continue,
        };
        columns.push((layout::channel_column(&channel.name), array));
    }
    for (aggregate, values) in schema.aggregates.iter().zip(&samples.aggregates) {
        columns.push((layout::aggregate_column(&aggregate.name), numbers(values)));
    }
    for (task, labels) in schema.tasks.iter().zip(&samples.labels) {
        columns.push((layout::label_column(&task.name), numbers(labels)));
    }
    columns
}

fn entity_columns(schema: &Schema, channels: &[ChannelValues]) -> Vec<(String, ArrayRef)> {
    let of_entity = schema
        .channels
        .iter()
        .zip(channels)
        .filter(|(channel, _)| channel.per == Per::Entity);
    let columns = of_entity.filter_map(|(channel, values)| {
        let array = match values {
            ChannelValues::EntityCodes(values) => codes(values),
            ChannelValues::EntityNumbers(values) => numbers(values),
            _ => return None,
        };
        Some((layout::channel_column(&channel.name), array))
    });
    columns.collect()
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
fn lists(lengths: &[u32], values: ArrayRef) -> ArrayRef {
    let mut end = 0;
    let ends = lengths.iter().map(|&steps| {
        end += i64::from(steps);
        end
    });
    let offsets: ScalarBuffer<i64> = std::iter::once(0).chain(ends).collect();
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(LargeListArray::new(
        field,
        OffsetBuffer::new(offsets),
        values,
        None,
    ))
}
