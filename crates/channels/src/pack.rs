//! Packed batches: the real steps of several samples one after another, without padding.

use std::ops::Range;

use crate::dataset::{Dataset, SampleId};
use crate::schema::{Channel, DenseSource, MASK_CODE, Per};
use crate::values::ChannelValues;

/// B samples with N tokens in all. Tokens of a sample run from its oldest step to its newest, then
/// its snapshot step.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedBatch {
    /// The samples, in the order asked for. [B]
    pub samples: Vec<SampleId>,
    /// Sample i has the tokens offsets[i]..offsets[i + 1]. [B + 1]
    pub offsets: Vec<u32>,
    /// Counted from the newest token back: 0 is the snapshot step. [N]
    pub position: Vec<u32>,
    /// By id or category channel, in the order of [`Schema::code_channels`](crate::Schema::code_channels). [N] each
    pub codes: Vec<Vec<u32>>,
    /// Row-major, columns in the order of [`Schema::dense_columns`](crate::Schema::dense_columns);
    /// (x - mean) / deviation, 0 where there is no value. [N, K]
    pub dense: Vec<f32>,
    /// K.
    pub dense_width: usize,
    /// Equal for the steps of one sample that have one time: 0 for the oldest in the history window. [N]
    pub visit: Vec<u32>,
    /// The last token of each sample: it is no event, carries the aggregates and the channels of the
    /// snapshot, MASK in every other code and 0 in every other number. [N]
    pub is_snapshot: Vec<bool>,
    /// Row-major; NaN where there is no label. [B, tasks]
    pub labels: Vec<f32>,
    /// Number of tasks.
    pub tasks: usize,
}

impl PackedBatch {
    /// B.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// N.
    pub fn tokens(&self) -> usize {
        self.position.len()
    }

    /// The tokens of sample i.
    pub fn sequence(&self, i: usize) -> Range<usize> {
        self.offsets[i] as usize..self.offsets[i + 1] as usize
    }
}

pub(crate) fn pack(dataset: &Dataset, samples: &[SampleId]) -> PackedBatch {
    let schema = &dataset.schema;
    let columns = schema.dense_columns();
    let width = columns.len();
    let mut offsets = Vec::with_capacity(samples.len() + 1);
    offsets.push(0);
    let mut tokens = 0;
    for &sample in samples {
        tokens += dataset.tokens(sample);
        offsets.push(tokens as u32);
    }
    let mut batch = PackedBatch {
        samples: samples.to_vec(),
        offsets,
        position: Vec::with_capacity(tokens),
        codes: Vec::new(),
        dense: vec![0.0; tokens * width],
        dense_width: width,
        visit: Vec::with_capacity(tokens),
        is_snapshot: Vec::with_capacity(tokens),
        labels: Vec::with_capacity(samples.len() * schema.tasks.len()),
        tasks: schema.tasks.len(),
    };
    for &sample in samples {
        pack_order(dataset, sample, &mut batch);
        batch.labels.extend(
            dataset
                .samples
                .labels
                .iter()
                .map(|labels| labels[sample.index()]),
        );
    }
    for channel in schema.code_channels() {
        let mut codes = Vec::with_capacity(tokens);
        for &sample in samples {
            pack_codes(dataset, channel, sample, &mut codes);
        }
        batch.codes.push(codes);
    }
    for (k, column) in columns.iter().enumerate() {
        for (i, &sample) in samples.iter().enumerate() {
            let first = batch.offsets[i] as usize;
            let last = batch.offsets[i + 1] as usize - 1;
            match column.source {
                DenseSource::Channel(channel) => {
                    let scale = Scale::of_channel(&schema.channels[channel]);
                    let on_snapshot_step =
                        matches!(schema.channels[channel].per, Per::Snapshot | Per::Entity);
                    let mut token = first;
                    for_each_number(dataset, channel, sample, |x| {
                        batch.dense[token * width + k] = scale.apply(x);
                        token += 1;
                    });
                    if on_snapshot_step {
                        batch.dense[last * width + k] = batch.dense[first * width + k];
                    }
                }
                DenseSource::Aggregate(aggregate) => {
                    let value = f64::from(dataset.samples.aggregates[aggregate][sample.index()]);
                    let aggregate = &schema.aggregates[aggregate];
                    let scale = Scale {
                        mean: aggregate.mean,
                        deviation: aggregate.deviation,
                    };
                    batch.dense[last * width + k] = scale.apply(value);
                }
            }
        }
    }
    batch
}

fn pack_order(dataset: &Dataset, sample: SampleId, batch: &mut PackedBatch) {
    let samples = &dataset.samples;
    let steps = samples.steps[sample.index()];
    let first = samples.first_step[sample.index()] as usize;
    let oldest = dataset.steps.visit[samples.window_first[sample.index()] as usize];
    let visits = &dataset.steps.visit[first..first + steps as usize];
    batch.position.extend((0..=steps).rev());
    batch
        .visit
        .extend(visits.iter().map(|visit| visit - oldest));
    batch
        .visit
        .push(visits.last().map_or(0, |newest| newest - oldest + 1));
    batch
        .is_snapshot
        .extend((0..=steps).map(|step| step == steps));
}

/// Appends the codes of a channel at every step of a sample, oldest first, and at its snapshot step.
pub(crate) fn pack_codes(
    dataset: &Dataset,
    channel: usize,
    sample: SampleId,
    codes: &mut Vec<u32>,
) {
    let i = sample.index();
    let steps = dataset.samples.steps[i] as usize;
    let first = dataset.samples.first_step[i] as usize;
    let start = codes.len();
    match &dataset.channels[channel] {
        ChannelValues::Codes {
            values,
            first_of_window,
        } => {
            codes.extend_from_slice(&values[first..first + steps]);
            if let Some(replacement) = first_of_window
                && dataset.samples.window_first[i] as usize == first
            {
                codes[start] = replacement[first];
            }
            codes.push(MASK_CODE);
        }
        ChannelValues::SampleStepCodes(values) => {
            codes.extend_from_slice(
                &values[dataset.sample_offsets[i]..dataset.sample_offsets[i + 1]],
            );
            codes.push(MASK_CODE);
        }
        ChannelValues::SnapshotCodes(values) => codes.extend((0..=steps).map(|_| values[i])),
        ChannelValues::EntityCodes(values) => {
            let code = values[dataset.samples.entity_index[i] as usize];
            codes.extend((0..=steps).map(|_| code));
        }
        // `Dataset::new` has checked that a code channel holds codes.
        _ => codes.extend((0..=steps).map(|_| MASK_CODE)),
    }
}

/// Calls `each` with the raw number of a dense channel at every step of a sample, oldest first, the
/// snapshot step not included. NaN where there is no value.
pub(crate) fn for_each_number(
    dataset: &Dataset,
    channel: usize,
    sample: SampleId,
    mut each: impl FnMut(f64),
) {
    let i = sample.index();
    let steps = dataset.samples.steps[i] as usize;
    let first = dataset.samples.first_step[i] as usize;
    let window_first = dataset.samples.window_first[i] as usize;
    match &dataset.channels[channel] {
        ChannelValues::Numbers {
            values,
            first_of_window,
        } => {
            for step in first..first + steps {
                let value = match first_of_window {
                    Some(replacement) if step == window_first => replacement[step],
                    _ => values[step],
                };
                each(f64::from(value));
            }
        }
        ChannelValues::Total(sums) => {
            let same_entity_before = window_first.checked_sub(1).filter(|&before| {
                dataset.steps.entity[before] == dataset.steps.entity[window_first]
            });
            let before = same_entity_before.map_or(0.0, |before| sums[before]);
            for sum in &sums[first..first + steps] {
                each(signed_log(sum - before));
            }
        }
        ChannelValues::SampleStepNumbers(values) => {
            let values = &values[dataset.sample_offsets[i]..dataset.sample_offsets[i + 1]];
            values.iter().for_each(|&value| each(f64::from(value)));
        }
        ChannelValues::SnapshotNumbers(values) => {
            (0..steps).for_each(|_| each(f64::from(values[i])))
        }
        ChannelValues::EntityNumbers(values) => {
            let value = f64::from(values[dataset.samples.entity_index[i] as usize]);
            (0..steps).for_each(|_| each(value));
        }
        // `Dataset::new` has checked that a dense channel holds numbers.
        ChannelValues::Codes { .. }
        | ChannelValues::EntityCodes(_)
        | ChannelValues::SampleStepCodes(_)
        | ChannelValues::SnapshotCodes(_) => (0..steps).for_each(|_| each(f64::NAN)),
    }
}

/// sign(x) ln(1 + |x|): ln(1 + x) of a total that never falls below 0.
pub fn signed_log(x: f64) -> f64 {
    x.abs().ln_1p().copysign(x)
}

struct Scale {
    mean: f64,
    deviation: f64,
}

impl Scale {
    fn of_channel(channel: &Channel) -> Self {
        Self {
            mean: channel.mean,
            deviation: channel.deviation,
        }
    }

    fn apply(&self, x: f64) -> f32 {
        if x.is_nan() {
            0.0
        } else {
            ((x - self.mean) / self.deviation) as f32
        }
    }
}
