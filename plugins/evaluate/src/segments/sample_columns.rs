//! The table that a segment's SQL sees: a row for each test sample.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use indexmap::IndexMap;
use supermoe_channels::{Dataset, SampleId, Split};

/// `entity`, `snapshot`, `sample_steps` (after the cut to `length`), `history_steps` (before it),
/// `in_train` (the entity has a training sample); then aggregates and channels by their names, channels
/// as they are at the sample's newest step, id and category channels as text. NULL where there is no
/// value. Channels of hashed codes have no text, and are left out. Where names are alike, the first stands.
pub fn sample_columns(dataset: &Dataset, samples: &[SampleId]) -> Result<RecordBatch, String> {
    let mut columns: IndexMap<&str, ArrayRef> = IndexMap::new();
    let numbers = |of: &dyn Fn(SampleId) -> f64| -> ArrayRef {
        let numbers = samples
            .iter()
            .map(|&id| Some(of(id)).filter(|x| !x.is_nan()));
        Arc::new(Float64Array::from_iter(numbers))
    };
    let entities = samples.iter().map(|&id| dataset.entity(id));
    columns.insert("entity", Arc::new(StringArray::from_iter_values(entities)));
    let snapshots = samples.iter().map(|&id| dataset.snapshot_ms(id));
    let snapshots = TimestampMillisecondArray::from_iter_values(snapshots);
    columns.insert("snapshot", Arc::new(snapshots));
    let counts = |of: &dyn Fn(SampleId) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            samples.iter().map(|&id| of(id)),
        ))
    };
    columns.insert("sample_steps", counts(&|id| dataset.tokens(id) as i64 - 1));
    columns.insert(
        "history_steps",
        counts(&|id| dataset.history_steps(id) as i64),
    );
    let trained: HashSet<u32> = dataset
        .split(Split::Train)
        .into_iter()
        .map(|id| dataset.entity_index(id))
        .collect();
    let in_train = samples
        .iter()
        .map(|&id| trained.contains(&dataset.entity_index(id)));
    columns.insert(
        "in_train",
        Arc::new(BooleanArray::from_iter(in_train.map(Some))),
    );

    let schema = dataset.schema();
    let of_samples = schema.aggregates.iter().zip(&dataset.samples().aggregates);
    for (aggregate, values) in of_samples {
        let value = |id: SampleId| f64::from(values[id.0 as usize]);
        columns
            .entry(&aggregate.name)
            .or_insert_with(|| numbers(&value));
    }
    for (index, channel) in schema.channels.iter().enumerate() {
        let name: &str = &channel.name;
        if channel.is_dense() {
            let value = |id: SampleId| dataset.newest_number(index, id);
            columns.entry(name).or_insert_with(|| numbers(&value));
        } else if let Some(vocabulary) = dataset.vocabulary(name) {
            let value = |id: &SampleId| vocabulary.value(dataset.newest_code(index, *id));
            let texts = || Arc::new(StringArray::from_iter(samples.iter().map(value))) as ArrayRef;
            columns.entry(name).or_insert_with(texts);
        }
    }
    let fields = columns
        .into_iter()
        .map(|(name, values)| (name, values, true));
    RecordBatch::try_from_iter_with_nullable(fields).map_err(|error| error.to_string())
}
