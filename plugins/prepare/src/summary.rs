//! What is known of a bucket when its rows have passed by: counts for the card, and what vocabularies
//! and scales are fitted from.

use std::collections::{BTreeMap, HashSet};

use supermoe_channels::{Moments, Per, ScaleFit, Split, TaskKind};

use crate::channel::{PlannedChannel, RawColumn};
use crate::dictionary::{Dictionary, NULL};
use crate::samples::SampleChunk;
use crate::steps::StepColumns;
use crate::values::BucketValues;

/// The splits in the order of the counts below.
pub const SPLITS: [Split; 4] = [Split::Train, Split::Valid, Split::Test, Split::Predict];

/// Scales are fitted on at most this many training samples: every n-th of a bucket's.
const FIT_SAMPLES: usize = 65_536;
/// Most numbers that the quantiles of a channel are taken from.
const FIT_NUMBERS: usize = 200_000;

/// Counts over the samples of a bucket, or of all.
#[derive(Debug, Clone, Default)]
pub struct SampleCounts {
    /// By snapshot, then by split.
    pub samples: Vec<[u64; 4]>,
    /// By split: sums of the steps after the cut.
    pub steps: [u64; 4],
    /// By split: distinct entities.
    pub entities: [u64; 4],
    /// How many samples have so many steps after the cut.
    pub lengths: BTreeMap<u32, u64>,
    /// Samples with a history longer than `length`.
    pub cut: u64,
    /// By aggregate: samples without a value.
    pub missing_aggregates: Vec<u64>,
    /// By task.
    pub tasks: Vec<TaskCounts>,
}

/// Counts over the labels of a task.
#[derive(Debug, Clone, Default)]
pub struct TaskCounts {
    /// By split: those labels that are numbers.
    pub labels: [Moments; 4],
    /// By split: the smallest and largest label.
    pub ends: [Option<(f32, f32)>; 4],
    /// By split: samples without a label.
    pub missing: [u64; 4],
    /// Complete windows with a label that is NULL.
    pub nulls: u64,
    /// By class, then by split.
    pub classes: BTreeMap<String, [u64; 4]>,
}

/// What scales and vocabularies need of a bucket.
#[derive(Debug)]
pub struct Fits {
    /// By channel and then total; none for those that are no numbers.
    pub channels: Vec<Option<ScaleFit>>,
    pub aggregates: Vec<ScaleFit>,
    /// By channel: values that are NULL, and all that were counted.
    pub nulls: Vec<(u64, u64)>,
}

/// Adds up a bucket.
pub struct Summary {
    pub counts: SampleCounts,
    pub fits: Fits,
    entities: [HashSet<u32>; 4],
    kinds: Vec<TaskKind>,
    /// Of the training samples, one in so many is fitted on.
    stride: u64,
    training: u64,
    fits_all: bool,
}

pub fn index(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Valid => 1,
        Split::Test => 2,
        Split::Predict => 3,
    }
}

impl Summary {
    /// `training_samples`: how many the bucket has. `buckets`: how many there are.
    pub fn new(
        values: &BucketValues<'_>,
        kinds: &[TaskKind],
        aggregates: usize,
        snapshots: usize,
        training_samples: usize,
        buckets: usize,
    ) -> Self {
        let share = (FIT_SAMPLES / buckets.max(1)).max(64);
        let numbers = (FIT_NUMBERS / buckets.max(1)).max(256);
        let channels = values.channels.iter().map(|channel| channel.coding);
        let mut fits: Vec<Option<ScaleFit>> = channels
            .map(|coding| {
                (coding == crate::channel::Coding::Number).then(|| ScaleFit::new(numbers))
            })
            .collect();
        fits.extend(
            values
                .steps
                .channel_totals()
                .iter()
                .map(|_| Some(ScaleFit::new(numbers))),
        );
        Self {
            counts: SampleCounts {
                samples: vec![[0; 4]; snapshots],
                missing_aggregates: vec![0; aggregates],
                tasks: vec![TaskCounts::default(); kinds.len()],
                ..SampleCounts::default()
            },
            fits: Fits {
                channels: fits,
                aggregates: vec![ScaleFit::new(2); aggregates],
                nulls: vec![(0, 0); values.channels.len()],
            },
            entities: Default::default(),
            kinds: kinds.to_vec(),
            stride: training_samples.div_ceil(share).max(1) as u64,
            training: 0,
            fits_all: training_samples == 0,
        }
    }

    /// Takes a chunk of samples. Values by sample and step of training samples are counted in their
    /// dictionaries; where there are no training samples, those of all.
    pub fn add(
        &mut self,
        values: &BucketValues<'_>,
        chunk: &SampleChunk<'_>,
        dictionaries: &mut [Dictionary],
        classes: &[Dictionary],
    ) {
        for (i, window) in chunk.windows.iter().enumerate() {
            let split = index(window.split);
            self.counts.samples[window.snapshot][split] += 1;
            self.counts.steps[split] += u64::from(chunk.steps[i]);
            self.entities[split].insert(window.entity);
            *self.counts.lengths.entry(chunk.steps[i]).or_default() += 1;
            self.counts.cut += u64::from(window.history.len() > chunk.steps[i] as usize);
            if window.split == Split::Train {
                if self.training.is_multiple_of(self.stride) {
                    self.fit(values, chunk, i);
                }
                self.training += 1;
            }
            if window.split == Split::Train || self.fits_all {
                self.count_codes(values, chunk, i, dictionaries);
            }
        }
        let missing = self.counts.missing_aggregates.iter_mut();
        for (missing, of_chunk) in missing.zip(&chunk.aggregates) {
            *missing += of_chunk.iter().filter(|x| x.is_nan()).count() as u64;
        }
        for (task, classes) in classes.iter().enumerate() {
            self.add_labels(chunk, task, classes);
        }
        for (split, entities) in self.counts.entities.iter_mut().zip(&self.entities) {
            *split = entities.len() as u64;
        }
    }

    fn fit(&mut self, values: &BucketValues<'_>, chunk: &SampleChunk<'_>, sample: usize) {
        for (channel, fit) in self.fits.channels.iter_mut().enumerate() {
            if let Some(fit) = fit {
                values.for_each_number(channel, chunk, sample, |x| fit.add(x));
            }
        }
        for (fit, of_chunk) in self.fits.aggregates.iter_mut().zip(&chunk.aggregates) {
            fit.add(f64::from(of_chunk[sample]));
        }
    }

    fn count_codes(
        &mut self,
        values: &BucketValues<'_>,
        chunk: &SampleChunk<'_>,
        sample: usize,
        dictionaries: &mut [Dictionary],
    ) {
        let of_sample = chunk.offsets[sample]..chunk.offsets[sample + 1];
        for (i, channel) in values.channels.iter().enumerate() {
            let one;
            let codes = match (channel.per, &chunk.channels[i], &values.snapshots[i]) {
                (Per::SampleStep, Some(RawColumn::Codes(codes)), _) => &codes[of_sample.clone()],
                (Per::Snapshot, _, Some(RawColumn::Codes(codes))) => {
                    one = [codes[chunk.windows[sample].snapshot]];
                    &one[..]
                }
                _ => continue,
            };
            let missing = channel.missing_code();
            let (nulls, all) = &mut self.fits.nulls[i];
            *all += codes.len() as u64;
            for &code in codes {
                *nulls += u64::from(code == missing);
                if crate::samples::has_dictionary(channel) {
                    dictionaries[i].count(code, 1);
                }
            }
        }
    }

    fn add_labels(&mut self, chunk: &SampleChunk<'_>, task: usize, classes: &Dictionary) {
        let counts = &mut self.counts.tasks[task];
        counts.nulls += chunk.labels.nulls[task];
        let labels = &chunk.labels.values[task];
        for (window, &label) in chunk.windows.iter().zip(labels) {
            let split = index(window.split);
            if label.is_nan() {
                counts.missing[split] += 1;
                continue;
            }
            if self.kinds[task] == TaskKind::Multiclass {
                // The number of a class, from 1 up.
                let class = &classes.values()[label as usize - 1];
                match counts.classes.get_mut(class) {
                    Some(of_class) => of_class[split] += 1,
                    None => {
                        let mut of_class = [0; 4];
                        of_class[split] = 1;
                        counts.classes.insert(class.clone(), of_class);
                    }
                }
                continue;
            }
            counts.labels[split].add(f64::from(label));
            let (least, most) = counts.ends[split].unwrap_or((label, label));
            counts.ends[split] = Some((least.min(label), most.max(label)));
        }
    }

    /// Takes what hangs on the event or the entity alone. `counted`: by step, whether it makes the
    /// vocabularies.
    pub fn add_steps(
        &mut self,
        channels: &[PlannedChannel],
        steps: &StepColumns,
        entities: &[Option<RawColumn>],
        splits: &[Split],
        dictionaries: &mut [Dictionary],
    ) {
        for (i, channel) in channels.iter().enumerate() {
            let missing = channel.missing_code();
            let (nulls, all) = &mut self.fits.nulls[i];
            match (channel.per, &steps.channels[i], &entities[i]) {
                (Per::Step, Some(column), _) => {
                    if let RawColumn::Codes(codes) = &column.values {
                        let counted = codes
                            .iter()
                            .zip(&steps.counted)
                            .filter(|(_, counted)| **counted);
                        for (code, _) in counted {
                            *all += 1;
                            *nulls += u64::from(*code == missing);
                        }
                    }
                }
                (Per::Entity, _, Some(RawColumn::Codes(codes))) => {
                    let trained = |split: &Split| *split == Split::Train || self.fits_all;
                    for (&code, _) in codes.iter().zip(splits).filter(|(_, split)| trained(split)) {
                        *all += 1;
                        *nulls += u64::from(code == missing);
                        if crate::samples::has_dictionary(channel) && code != NULL {
                            dictionaries[i].count(code, 1);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl SampleCounts {
    /// Adds those of another bucket.
    pub fn merge(&mut self, other: &SampleCounts) {
        if self.samples.is_empty() {
            *self = other.clone();
            return;
        }
        for (all, of_other) in self.samples.iter_mut().zip(&other.samples) {
            add_each(all, of_other);
        }
        add_each(&mut self.steps, &other.steps);
        add_each(&mut self.entities, &other.entities);
        for (&length, count) in &other.lengths {
            *self.lengths.entry(length).or_default() += count;
        }
        self.cut += other.cut;
        add_each(&mut self.missing_aggregates, &other.missing_aggregates);
        for (task, of_other) in self.tasks.iter_mut().zip(&other.tasks) {
            task.merge(of_other);
        }
    }

    /// All samples of a split.
    pub fn of_split(&self, split: Split) -> u64 {
        self.samples
            .iter()
            .map(|of_snapshot| of_snapshot[index(split)])
            .sum()
    }
}

impl TaskCounts {
    fn merge(&mut self, other: &TaskCounts) {
        for split in 0..SPLITS.len() {
            self.labels[split].merge(&other.labels[split]);
            self.ends[split] = match (self.ends[split], other.ends[split]) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, two) => one.or(two),
            };
        }
        add_each(&mut self.missing, &other.missing);
        self.nulls += other.nulls;
        for (class, of_other) in &other.classes {
            add_each(self.classes.entry(class.clone()).or_default(), of_other);
        }
    }
}

fn add_each(all: &mut [u64], more: &[u64]) {
    all.iter_mut()
        .zip(more)
        .for_each(|(all, more)| *all += more);
}
