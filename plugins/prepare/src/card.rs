//! The data card, and the warnings that a look at the finished dataset gives.

use std::collections::HashSet;

use indexmap::IndexMap;
use supermoe_channels::{
    Card, Channel, ChannelCard, ChannelValues, Dataset, LengthDistribution, SampleId, Split,
    SplitCard, TaskCard, UNKNOWN_CODE,
};

use crate::calendar::written;
use crate::events::Facts;
use crate::snapshot::SnapshotSamples;
use crate::windows::Window;

/// Shares of missing values are taken over this many training samples: every n-th of more.
const LOOKED_AT: usize = 2_000;

pub fn card(
    dataset: &Dataset,
    facts: &Facts,
    snapshots: &[SnapshotSamples],
    mut warnings: Vec<String>,
) -> Card {
    let samples = dataset.samples();
    let schema = dataset.schema();
    let tasks: IndexMap<String, TaskCard> = schema
        .tasks
        .iter()
        .enumerate()
        .map(|(i, task)| (task.name.clone(), task_card(dataset, i)))
        .collect();
    warn_of_labels(dataset, &tasks, snapshots, &mut warnings);
    warn_of_empty_vocabularies(dataset, &mut warnings);
    let missing = schema
        .aggregates
        .iter()
        .zip(&samples.aggregates)
        .map(|(aggregate, values)| {
            (
                aggregate.name.clone(),
                values.iter().filter(|value| value.is_nan()).count() as u64,
            )
        });
    let longer = |window: &Window| window.history.len() > schema.length as usize;
    let cut = snapshots
        .iter()
        .flat_map(|snapshot| &snapshot.windows)
        .filter(|window| longer(window))
        .count();
    let channels = schema.channels.iter().enumerate();
    Card {
        rows: facts.rows,
        entities: facts.entities,
        first_time: written(facts.first_micros),
        last_time: written(facts.last_micros),
        data_end: written(facts.end_micros),
        splits: Split::ALL
            .into_iter()
            .map(|split| {
                (
                    split.name().to_owned(),
                    split_card(dataset, split, snapshots),
                )
            })
            .collect(),
        tasks,
        channels: channels
            .map(|(i, channel)| (channel.name.clone(), channel_card(dataset, channel, i)))
            .collect(),
        average_length: mean_length(dataset, (0..samples.len()).map(|i| samples.steps[i])),
        lengths: LengthDistribution::of(samples.steps.clone()),
        cut: cut as f64 / samples.len().max(1) as f64,
        missing_aggregates: missing.filter(|(_, count)| *count > 0).collect(),
        warnings,
    }
}

fn mean_length(dataset: &Dataset, lengths: impl Iterator<Item = u32>) -> f64 {
    let (sum, count) = lengths.fold((0u64, 0u64), |(sum, count), steps| {
        (sum + u64::from(steps), count + 1)
    });
    if dataset.is_empty() || count == 0 {
        0.0
    } else {
        sum as f64 / count as f64
    }
}

fn split_card(dataset: &Dataset, split: Split, snapshots: &[SnapshotSamples]) -> SplitCard {
    let samples = dataset.samples();
    let ids = dataset.split(split);
    let entities: HashSet<u32> = ids
        .iter()
        .map(|id| samples.entity_index[id.index()])
        .collect();
    let of_split = snapshots
        .iter()
        .filter(|snapshot| snapshot.snapshot.split == split);
    SplitCard {
        samples: ids.len() as u64,
        entities: entities.len() as u64,
        snapshots: of_split
            .map(|snapshot| {
                (
                    snapshot.snapshot.date.to_string(),
                    snapshot.windows.len() as u64,
                )
            })
            .collect(),
        average_length: mean_length(dataset, ids.iter().map(|id| samples.steps[id.index()])),
    }
}

fn task_card(dataset: &Dataset, task: usize) -> TaskCard {
    let mut card = TaskCard::default();
    for split in Split::ALL {
        let ids = dataset.split(split);
        let labels = ids.iter().map(|&id| f64::from(dataset.label(id, task)));
        let labels: Vec<f64> = labels.filter(|label| !label.is_nan()).collect();
        let rate = (!labels.is_empty()).then(|| labels.iter().sum::<f64>() / labels.len() as f64);
        card.label_rate.insert(split.name().to_owned(), rate);
        card.missing_labels
            .insert(split.name().to_owned(), (ids.len() - labels.len()) as u64);
    }
    card
}

fn warn_of_labels(
    dataset: &Dataset,
    tasks: &IndexMap<String, TaskCard>,
    snapshots: &[SnapshotSamples],
    warnings: &mut Vec<String>,
) {
    for (i, (name, task)) in tasks.iter().enumerate() {
        for split in Split::ALL {
            let samples = dataset.split(split).len();
            match task.label_rate[split.name()] {
                None if samples > 0 => {
                    let why = "its windows reach past the data's end, or no sample meets its `where`";
                    warnings.push(format!("task `{name}` has no label in {split}: {why}"));
                }
                Some(rate) if rate == 0.0 || rate == 1.0 => warnings.push(format!(
                    "task `{name}` has one class in {split}: all labels are {rate}; nothing can be learned or \
                     measured from them"
                )),
                _ => {}
            }
        }
        let nulls: u64 = snapshots
            .iter()
            .map(|snapshot| snapshot.null_labels[i])
            .sum();
        if nulls > 0 {
            warnings.push(format!(
                "task `{name}`: the label of {nulls} samples is NULL, so they have none; coalesce(..., 0) makes \
                 it 0, as it should be where nothing happened in the window"
            ));
        }
    }
}

fn warn_of_empty_vocabularies(dataset: &Dataset, warnings: &mut Vec<String>) {
    for channel in &dataset.schema().channels {
        let vocabulary = dataset.vocabulary(&channel.name);
        if vocabulary.is_some_and(|vocabulary| vocabulary.entries().is_empty()) {
            warnings.push(format!(
                "channel `{}` has no known value: none is seen in the training period, or none as often as its \
                 `min_count`; all its values are unknown, so it tells nothing",
                channel.name
            ));
        }
    }
}

fn channel_card(dataset: &Dataset, channel: &Channel, index: usize) -> ChannelCard {
    let train = dataset.split(Split::Train);
    let stride = train.len().div_ceil(LOOKED_AT).max(1);
    let (mut missing, mut count) = (0u64, 0u64);
    for &sample in train.iter().step_by(stride) {
        let (of_sample, steps) = missing_values(dataset, index, sample);
        missing += of_sample;
        count += steps;
    }
    ChannelCard {
        kind: channel.kind,
        per: channel.per,
        values: dataset
            .vocabulary(&channel.name)
            .map_or(0, |vocabulary| vocabulary.entries().len() as u64),
        missing: if count == 0 {
            0.0
        } else {
            missing as f64 / count as f64
        },
    }
}

/// Missing values and all values of a sample's steps; one of each for a channel of the snapshot.
fn missing_values(dataset: &Dataset, channel: usize, sample: SampleId) -> (u64, u64) {
    let samples = dataset.samples();
    let i = sample.index();
    let first = samples.first_step[i] as usize;
    let steps = first..first + samples.steps[i] as usize;
    let of_sample = dataset.steps_before(sample)..dataset.steps_before(sample) + steps.len();
    let codes = |codes: &[u32]| codes.iter().filter(|&&code| code == UNKNOWN_CODE).count() as u64;
    let numbers = |numbers: &[f32]| numbers.iter().filter(|x| x.is_nan()).count() as u64;
    let all = steps.len() as u64;
    match &dataset.channel_values()[channel] {
        ChannelValues::Codes { values, .. } => (codes(&values[steps]), all),
        ChannelValues::Numbers { values, .. } => (numbers(&values[steps]), all),
        ChannelValues::Total(_) => (0, all),
        ChannelValues::SampleStepCodes(values) => (codes(&values[of_sample]), all),
        ChannelValues::SampleStepNumbers(values) => (numbers(&values[of_sample]), all),
        ChannelValues::SnapshotCodes(values) => (codes(&values[i..=i]), 1),
        ChannelValues::SnapshotNumbers(values) => (numbers(&values[i..=i]), 1),
    }
}
