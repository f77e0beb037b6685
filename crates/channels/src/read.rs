//! A dataset folder into memory.

use std::path::Path;

use arrow::datatypes::{
    Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt32Type, UInt64Type,
};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;

use crate::dataset::Dataset;
use crate::error::DatasetError;
use crate::layout;
use crate::parquet_file::Table;
use crate::schema::{Channel, FIRST_CODE, Per, SCHEMA_VERSION, Schema};
use crate::values::{ChannelValues, Samples, Steps};
use crate::vocabulary::{Entry, Vocabulary};

pub(crate) fn read(folder: &Path) -> Result<Dataset, DatasetError> {
    let schema = read_schema(folder)?;
    let tables = Tables::read(folder, &schema)?;
    let steps = Steps {
        entity: indices(&tables.steps, layout::STEP_ENTITY)?,
        visit: unsigned(&tables.steps, layout::STEP_VISIT)?,
    };
    let samples = read_samples(&tables.samples, &schema)?;
    let channels = schema.channels.iter();
    let values = channels.map(|channel| read_channel(channel, &tables, &samples));
    let values = values.collect::<Result<_, _>>()?;
    let vocabularies = read_vocabularies(folder, &schema)?;
    Dataset::new(schema, vocabularies, steps, values, samples)
}

struct Tables {
    steps: Table,
    samples: Table,
    /// Where a channel is of the entity.
    entities: Option<Table>,
}

impl Tables {
    fn read(folder: &Path, schema: &Schema) -> Result<Self, DatasetError> {
        let shards = |name: &str| Table::read_shards(&folder.join(name));
        let of_entity = |channel: &Channel| channel.per == Per::Entity;
        Ok(Self {
            steps: shards(layout::STEPS_FOLDER)?,
            samples: shards(layout::SAMPLES_FOLDER)?,
            entities: match schema.channels.iter().any(of_entity) {
                true => Some(shards(layout::ENTITIES_FOLDER)?),
                false => None,
            },
        })
    }
}

/// The schema of a dataset folder.
pub(crate) fn read_schema(folder: &Path) -> Result<Schema, DatasetError> {
    let schema: Schema = read_json(&folder.join(layout::SCHEMA_FILE))?;
    if schema.version != SCHEMA_VERSION {
        return Err(DatasetError::Version {
            found: schema.version,
            expected: SCHEMA_VERSION,
        });
    }
    Ok(schema)
}

/// The vocabularies of the channels that have one, by name.
pub(crate) fn read_vocabularies(
    folder: &Path,
    schema: &Schema,
) -> Result<IndexMap<String, Vocabulary>, DatasetError> {
    let mut vocabularies = IndexMap::new();
    let coded = schema
        .channels
        .iter()
        .filter(|channel| channel.has_vocabulary());
    for channel in coded {
        let path = folder.join(layout::vocabulary_file(&channel.name));
        vocabularies.insert(channel.name.clone(), read_vocabulary(&path)?);
    }
    Ok(vocabularies)
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let io = |source| DatasetError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&bytes).map_err(|source| DatasetError::Json {
        path: path.to_owned(),
        source,
    })
}

fn read_samples(table: &Table, schema: &Schema) -> Result<Samples, DatasetError> {
    let splits = table.texts(layout::SPLIT)?;
    let splits = splits
        .iter()
        .map(|split| split.parse().map_err(|problem| table.malformed(problem)));
    let aggregates = schema.aggregates.iter();
    let labels = schema.tasks.iter();
    Ok(Samples {
        entity_index: indices(table, layout::ENTITY_INDEX)?,
        entity: table.texts(layout::ENTITY)?,
        snapshot_ms: table.values::<TimestampMillisecondType>(layout::SNAPSHOT)?,
        split: splits.collect::<Result<_, _>>()?,
        first_step: rows(table, layout::FIRST_STEP)?,
        steps: unsigned(table, layout::STEPS)?,
        window_first: rows(table, layout::WINDOW_FIRST)?,
        aggregates: aggregates
            .map(|aggregate| table.numbers(&layout::aggregate_column(&aggregate.name)))
            .collect::<Result<_, _>>()?,
        labels: labels
            .map(|task| table.numbers(&layout::label_column(&task.name)))
            .collect::<Result<_, _>>()?,
    })
}

fn read_channel(
    channel: &Channel,
    tables: &Tables,
    ranges: &Samples,
) -> Result<ChannelValues, DatasetError> {
    let (steps, samples) = (&tables.steps, &tables.samples);
    // There is one wherever a channel is of the entity.
    let entities = tables.entities.as_ref().unwrap_or(samples);
    let column = layout::channel_column(&channel.name);
    let first = layout::first_of_window_column(&channel.name);
    Ok(match (channel.per, channel.is_dense()) {
        (Per::Step, true) if channel.total.is_some() => {
            ChannelValues::Total(steps.values::<Float64Type>(&layout::total_column(&channel.name))?)
        }
        (Per::Step, true) => ChannelValues::Numbers {
            values: steps.numbers(&column)?,
            first_of_window: steps
                .has(&first)
                .then(|| steps.numbers(&first))
                .transpose()?,
        },
        (Per::Step, false) => ChannelValues::Codes {
            values: steps.values::<UInt32Type>(&column)?,
            first_of_window: steps
                .has(&first)
                .then(|| steps.values::<UInt32Type>(&first))
                .transpose()?,
        },
        (Per::SampleStep, true) => {
            ChannelValues::SampleStepNumbers(samples.flattened_numbers(&column, &ranges.steps)?)
        }
        (Per::SampleStep, false) => ChannelValues::SampleStepCodes(
            samples.flattened_values::<UInt32Type>(&column, &ranges.steps)?,
        ),
        (Per::Entity, true) => ChannelValues::EntityNumbers(entities.numbers(&column)?),
        (Per::Entity, false) => ChannelValues::EntityCodes(entities.values::<UInt32Type>(&column)?),
        (Per::Snapshot, true) => ChannelValues::SnapshotNumbers(samples.numbers(&column)?),
        (Per::Snapshot, false) => {
            ChannelValues::SnapshotCodes(samples.values::<UInt32Type>(&column)?)
        }
    })
}

fn read_vocabulary(path: &Path) -> Result<Vocabulary, DatasetError> {
    let table = Table::read(path)?;
    let values = table.texts("value")?;
    let codes = table.values::<UInt32Type>("code")?;
    let counts = table.values::<UInt64Type>("count")?;
    if !codes.iter().copied().eq((FIRST_CODE..).take(table.rows())) {
        return Err(table.malformed(format!("codes do not run from {FIRST_CODE} upwards")));
    }
    let entries = values
        .into_iter()
        .zip(counts)
        .map(|(value, count)| Entry { value, count });
    Ok(Vocabulary::from_entries(entries.collect()))
}

fn indices(table: &Table, name: &str) -> Result<Vec<u32>, DatasetError> {
    let values = table.values::<Int64Type>(name)?;
    let values: Result<Vec<u32>, _> = values.into_iter().map(u32::try_from).collect();
    values.map_err(|_| table.malformed(format!("column `{name}` has an index outside 0..2^32")))
}

fn unsigned(table: &Table, name: &str) -> Result<Vec<u32>, DatasetError> {
    let values = table.values::<Int32Type>(name)?;
    let values: Result<Vec<u32>, _> = values.into_iter().map(u32::try_from).collect();
    values.map_err(|_| table.malformed(format!("column `{name}` has a negative number")))
}

fn rows(table: &Table, name: &str) -> Result<Vec<u64>, DatasetError> {
    let values = table.values::<Int64Type>(name)?;
    let values: Result<Vec<u64>, _> = values.into_iter().map(u64::try_from).collect();
    values.map_err(|_| table.malformed(format!("column `{name}` has a negative number")))
}
