//! Steps and snapshots into one dataset: codes, vocabularies, samples.

use std::collections::HashMap;

use arrow::array::{Array, StringArray};
use indexmap::IndexMap;
use supermoe_channels::{
    Aggregate, Channel, ChannelKind, ChannelValues, Dataset, Per, SCHEMA_VERSION, Samples, Schema,
    Split, SplitCounts, Task, Total, Vocabulary,
};

use crate::channel::{PlannedChannel, RawValues};
use crate::error::PrepareError;
use crate::events::Events;
use crate::params::Params;
use crate::snapshot::SnapshotSamples;
use crate::steps::{StepTable, StepValues};

/// All that has been computed.
pub struct Parts<'a> {
    pub params: &'a Params,
    pub events: &'a Events,
    pub steps: &'a StepTable<'a>,
    pub channels: &'a [PlannedChannel],
    /// By channel; none for those that look at the snapshot.
    pub step_values: Vec<Option<StepValues>>,
    /// By total of the params.
    pub totals: Vec<Vec<f64>>,
    /// Ascending by date.
    pub snapshots: Vec<SnapshotSamples>,
    /// Steps before this make the vocabularies.
    pub training_end: i64,
}

/// Puts the dataset together and fits its scales on the training samples.
pub fn assemble(parts: &Parts<'_>) -> Result<Dataset, PrepareError> {
    let mut vocabularies = IndexMap::new();
    let mut channels = Vec::new();
    let mut values = Vec::new();
    let mut by_snapshot = 0;
    for (channel, step_values) in parts.channels.iter().zip(&parts.step_values) {
        let encoded = match step_values {
            Some(of_steps) => encode_steps(parts, channel, of_steps),
            None => {
                by_snapshot += 1;
                encode_snapshots(parts, channel, by_snapshot - 1)
            }
        };
        let codes = encoded.vocabulary.as_ref().map_or(0, Vocabulary::codes);
        vocabularies.extend(
            encoded
                .vocabulary
                .map(|vocabulary| (channel.name.clone(), vocabulary)),
        );
        channels.push(schema_channel(
            &channel.name,
            channel.kind,
            channel.per,
            codes,
            None,
        ));
        values.push(encoded.values);
    }
    for ((name, total), sums) in parts.params.totals.iter().zip(&parts.totals) {
        let total = Total {
            source: total.source.clone(),
        };
        channels.push(schema_channel(
            name,
            ChannelKind::Dense,
            Per::Step,
            0,
            Some(total),
        ));
        values.push(ChannelValues::Total(sums.clone()));
    }
    let samples = samples(parts);
    let schema = schema(parts, channels, &samples);
    let mut dataset = Dataset::new(schema, vocabularies, parts.steps.steps(), values, samples)?;
    dataset.fit_scales();
    Ok(dataset)
}

fn schema_channel(
    name: &str,
    kind: ChannelKind,
    per: Per,
    vocabulary: u32,
    total: Option<Total>,
) -> Channel {
    Channel {
        name: name.to_owned(),
        kind,
        per,
        vocabulary,
        mean: 0.0,
        deviation: 1.0,
        quantiles: Vec::new(),
        total,
    }
}

fn schema(parts: &Parts<'_>, channels: Vec<Channel>, samples: &Samples) -> Schema {
    let params = parts.params;
    let count = |split| samples.split.iter().filter(|of| **of == split).count() as u64;
    let aggregates = params.aggregates.keys();
    let tasks = params.tasks.iter();
    Schema {
        version: SCHEMA_VERSION,
        entity: params.entity.clone(),
        time: params.time.clone(),
        length: params.length,
        history_seconds: params.history.seconds(),
        channels,
        aggregates: aggregates
            .map(|name| Aggregate {
                name: name.clone(),
                mean: 0.0,
                deviation: 1.0,
            })
            .collect(),
        tasks: tasks
            .map(|(name, task)| Task {
                name: name.clone(),
                kind: task.kind,
                classes: Vec::new(),
                within_seconds: task.within.seconds(),
            })
            .collect(),
        splits: SplitCounts {
            train: count(Split::Train),
            valid: count(Split::Valid),
            test: count(Split::Test),
        },
        snapshots: parts
            .snapshots
            .iter()
            .map(|samples| samples.snapshot.date.to_string())
            .collect(),
    }
}

fn samples(parts: &Parts<'_>) -> Samples {
    let mut samples = Samples {
        aggregates: vec![Vec::new(); parts.params.aggregates.len()],
        labels: vec![Vec::new(); parts.params.tasks.len()],
        ..Samples::default()
    };
    for snapshot in &parts.snapshots {
        for window in &snapshot.windows {
            let steps = window.steps(parts.params.length);
            samples.entity_index.push(window.entity);
            samples
                .entity
                .push(parts.events.keys[window.entity as usize].clone());
            samples
                .snapshot_ms
                .push(snapshot.snapshot.date.micros() / 1000);
            samples.split.push(snapshot.snapshot.split);
            samples.first_step.push(parts.steps.step(steps.start));
            // At most `length`, which is a u32.
            samples.steps.push(steps.len() as u32);
            samples
                .window_first
                .push(parts.steps.step(window.history.start));
        }
        for (all, of_snapshot) in samples.aggregates.iter_mut().zip(&snapshot.aggregates) {
            all.extend_from_slice(of_snapshot);
        }
        for (all, of_snapshot) in samples.labels.iter_mut().zip(&snapshot.labels) {
            all.extend_from_slice(of_snapshot);
        }
    }
    samples
}

struct Encoded {
    values: ChannelValues,
    vocabulary: Option<Vocabulary>,
}

fn encode_steps(parts: &Parts<'_>, channel: &PlannedChannel, of_steps: &StepValues) -> Encoded {
    match (&of_steps.values, &of_steps.first_of_window) {
        (RawValues::Texts(texts), first) => {
            let mut counts = Counts::default();
            let in_training =
                (0..texts.len()).filter(|&step| parts.steps.time(step) < parts.training_end);
            in_training.for_each(|step| counts.add(texts, step, 1));
            let vocabulary = counts.vocabulary(channel.min_count);
            let first = match first {
                Some(RawValues::Texts(first)) => Some(encode(&vocabulary, first)),
                _ => None,
            };
            let values = ChannelValues::Codes {
                values: encode(&vocabulary, texts),
                first_of_window: first,
            };
            Encoded {
                values,
                vocabulary: Some(vocabulary),
            }
        }
        (RawValues::Numbers(values), first) => {
            let first_of_window = match first {
                Some(RawValues::Numbers(first)) => Some(first.clone()),
                _ => None,
            };
            let values = ChannelValues::Numbers {
                values: values.clone(),
                first_of_window,
            };
            Encoded {
                values,
                vocabulary: None,
            }
        }
    }
}

/// `index`: of the channel among those that look at the snapshot.
fn encode_snapshots(parts: &Parts<'_>, channel: &PlannedChannel, index: usize) -> Encoded {
    let snapshots = || {
        parts
            .snapshots
            .iter()
            .map(|samples| (samples, &samples.channels[index]))
    };
    let once = channel.per == Per::Snapshot;
    if channel.kind == ChannelKind::Dense {
        let mut numbers = Vec::new();
        for (samples, values) in snapshots() {
            let RawValues::Numbers(values) = values else {
                continue;
            };
            match once {
                true => numbers.extend(samples.windows.iter().map(|_| values[0])),
                false => numbers.extend_from_slice(values),
            }
        }
        let values = match once {
            true => ChannelValues::SnapshotNumbers(numbers),
            false => ChannelValues::SampleStepNumbers(numbers),
        };
        return Encoded {
            values,
            vocabulary: None,
        };
    }
    let mut counts = Counts::default();
    for (samples, values) in
        snapshots().filter(|(samples, _)| samples.snapshot.split == Split::Train)
    {
        let RawValues::Texts(texts) = values else {
            continue;
        };
        let times = if once {
            samples.windows.len() as u64
        } else {
            1
        };
        (0..texts.len()).for_each(|i| counts.add(texts, i, times));
    }
    let vocabulary = counts.vocabulary(channel.min_count);
    let mut codes = Vec::new();
    for (samples, values) in snapshots() {
        let RawValues::Texts(texts) = values else {
            continue;
        };
        let encoded = encode(&vocabulary, texts);
        match once {
            true => codes.extend(samples.windows.iter().map(|_| encoded[0])),
            false => codes.extend(encoded),
        }
    }
    let values = match once {
        true => ChannelValues::SnapshotCodes(codes),
        false => ChannelValues::SampleStepCodes(codes),
    };
    Encoded {
        values,
        vocabulary: Some(vocabulary),
    }
}

fn encode(vocabulary: &Vocabulary, texts: &StringArray) -> Vec<u32> {
    let encoder = vocabulary.encoder();
    texts.iter().map(|text| encoder.code(text)).collect()
}

#[derive(Default)]
struct Counts<'a> {
    counts: HashMap<&'a str, u64>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, texts: &'a StringArray, row: usize, times: u64) {
        if texts.is_valid(row) {
            *self.counts.entry(texts.value(row)).or_default() += times;
        }
    }

    fn vocabulary(self, min_count: u64) -> Vocabulary {
        let counts = self
            .counts
            .into_iter()
            .map(|(value, count)| (value.to_owned(), count));
        Vocabulary::from_counts(counts, min_count)
    }
}
