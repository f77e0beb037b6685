//! The raw columns of a bucket into a shard of the dataset: codes of the vocabularies, rows and
//! entities counted over all buckets.

use std::path::Path;

use supermoe_channels::{
    ChannelValues, Encoder, Per, Samples, ShardWriter, Steps, TaskKind, UNKNOWN_CODE,
};

use crate::bucket::{BucketPlan, BucketResult};
use crate::channel::{Coding, PlannedChannel, RawColumn};
use crate::dictionary::entries;
use crate::error::PrepareError;
use crate::fit::Fit;
use crate::leak::{Input, LookedAt};
use crate::raw_files::RawBatch;
use crate::samples::has_dictionary;
use crate::summary::SPLITS;

/// What all shards are made with.
pub struct ShardPlan<'a> {
    pub plan: &'a BucketPlan,
    pub fit: &'a Fit,
    /// By channel; none without vocabulary.
    pub encoders: Vec<Option<Encoder<'a>>>,
    pub output: &'a Path,
}

/// Where a bucket stands among all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offsets {
    pub steps: u64,
    pub entities: u64,
}

/// What the numbers of a bucket mean.
struct Meaning {
    /// By channel, then by number; none for channels without vocabulary.
    codes: Vec<Option<Vec<u32>>>,
    /// By task, then by number: the index of the class, NaN for one that is none.
    classes: Vec<Option<Vec<f32>>>,
}

impl Meaning {
    fn of(&self, channel: usize, mut numbers: Vec<u32>) -> Vec<u32> {
        if let Some(codes) = &self.codes[channel] {
            for number in &mut numbers {
                *number = codes[*number as usize];
            }
        }
        numbers
    }

    fn label(&self, task: usize, mut labels: Vec<f32>) -> Vec<f32> {
        if let Some(classes) = &self.classes[task] {
            for label in labels.iter_mut().filter(|label| !label.is_nan()) {
                *label = classes[*label as usize];
            }
        }
        labels
    }
}

impl<'a> ShardPlan<'a> {
    pub fn new(plan: &'a BucketPlan, fit: &'a Fit, output: &'a Path) -> Self {
        let encoders = plan.channels.iter().map(|channel| {
            fit.vocabularies
                .get(&channel.name)
                .map(|vocabulary| vocabulary.encoder())
        });
        Self {
            plan,
            fit,
            encoders: encoders.collect(),
            output,
        }
    }

    /// Writes the shard of a bucket, and gives back what was looked at for leaks.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn write(
        &self,
        index: usize,
        result: &BucketResult,
        offsets: Offsets,
    ) -> Result<LookedAt, PrepareError> {
        let meaning = self.meaning(result)?;
        let mut shard = ShardWriter::new(self.output, index, &self.fit.schema);
        let mut steps_written = 0;
        for batch in result.files.steps()? {
            let (steps, values) = self.steps(batch?, &meaning, offsets)?;
            steps_written += steps.entity.len();
            shard.append_steps(&steps, &values)?;
        }
        if steps_written == 0 {
            shard.append_steps(&Steps::default(), &self.nothing())?;
        }
        let mut keys = Vec::new();
        for batch in result.files.entities()? {
            let mut batch = batch?;
            keys = batch.texts();
            let values = self.entities(&mut batch, &meaning);
            shard.append_entities(&values)?;
        }
        let mut samples_written = 0;
        let mut by_step = result.files.sample_steps()?;
        for batch in result.files.samples()? {
            let by_step = by_step.next().transpose()?;
            let (samples, values) = self.samples(batch?, by_step, &meaning, offsets, &keys, result);
            samples_written += samples.len();
            shard.append_samples(&samples, &values)?;
        }
        if samples_written == 0 {
            let samples = Samples {
                aggregates: vec![Vec::new(); self.fit.schema.aggregates.len()],
                labels: vec![Vec::new(); self.fit.schema.tasks.len()],
                ..Samples::default()
            };
            shard.append_samples(&samples, &self.nothing())?;
        }
        shard.finish()?;
        let mut looked_at = result.looked_at.clone();
        for (channel, input) in looked_at.channels.iter_mut().enumerate() {
            if let Input::Codes(codes) = input {
                *codes = meaning.of(channel, std::mem::take(codes));
            }
        }
        for (task, labels) in looked_at.labels.iter_mut().enumerate() {
            *labels = meaning.label(task, std::mem::take(labels));
        }
        Ok(looked_at)
    }

    fn meaning(&self, result: &BucketResult) -> Result<Meaning, PrepareError> {
        let mut codes = Vec::with_capacity(self.plan.channels.len());
        let mut dictionary = 0;
        for (channel, encoder) in self.plan.channels.iter().zip(&self.encoders) {
            let Some(encoder) = encoder.as_ref().filter(|_| has_dictionary(channel)) else {
                codes.push(None);
                continue;
            };
            let batch = result.dictionaries.batch(dictionary)?;
            dictionary += 1;
            let of_values = entries(&batch).map(|(value, _)| encoder.code(Some(value)));
            codes.push(Some(
                std::iter::once(UNKNOWN_CODE).chain(of_values).collect(),
            ));
        }
        let tasks = self.fit.schema.tasks.iter().zip(&result.classes);
        let classes = tasks.map(|(task, values)| {
            (task.kind == TaskKind::Multiclass).then(|| {
                let of_values = values.iter().map(|value| {
                    let place = task.classes.binary_search(value);
                    place.map_or(f32::NAN, |place| place as f32)
                });
                std::iter::once(f32::NAN).chain(of_values).collect()
            })
        });
        Ok(Meaning {
            codes,
            classes: classes.collect(),
        })
    }

    fn steps(
        &self,
        mut batch: RawBatch,
        meaning: &Meaning,
        offsets: Offsets,
    ) -> Result<(Steps, Vec<ChannelValues>), PrepareError> {
        let entity = shifted(batch.codes(), offsets.entities)?;
        let steps = Steps {
            entity,
            visit: batch.codes(),
        };
        let mut values = Vec::with_capacity(self.fit.schema.channels.len());
        for (i, channel) in self.plan.channels.iter().enumerate() {
            values.push(match (channel.per, channel.coding) {
                (Per::Step, Coding::Number) => ChannelValues::Numbers {
                    values: batch.numbers(),
                    first_of_window: looks_back(channel).then(|| batch.numbers()),
                },
                (Per::Step, _) => ChannelValues::Codes {
                    values: meaning.of(i, batch.codes()),
                    first_of_window: looks_back(channel).then(|| meaning.of(i, batch.codes())),
                },
                _ => nothing(channel),
            });
        }
        for _ in self.plan.totals.step_channels() {
            values.push(ChannelValues::Total(batch.sums()));
        }
        Ok((steps, values))
    }

    fn entities(&self, batch: &mut RawBatch, meaning: &Meaning) -> Vec<ChannelValues> {
        let mut values = self.nothing();
        for (i, channel) in self.plan.channels.iter().enumerate() {
            if channel.per == Per::Entity {
                values[i] = match channel.coding {
                    Coding::Number => ChannelValues::EntityNumbers(batch.numbers()),
                    _ => ChannelValues::EntityCodes(meaning.of(i, batch.codes())),
                };
            }
        }
        values
    }

    fn samples(
        &self,
        mut batch: RawBatch,
        mut by_step: Option<RawBatch>,
        meaning: &Meaning,
        offsets: Offsets,
        keys: &[String],
        result: &BucketResult,
    ) -> (Samples, Vec<ChannelValues>) {
        let snapshots = batch.codes();
        let entities = batch.codes();
        let splits = batch.bytes();
        let shift = |rows: Vec<u64>| rows.into_iter().map(|row| row + offsets.steps).collect();
        let mut samples = Samples {
            // `shifted` has seen that the steps' entities fit, and samples have no others.
            entity_index: entities
                .iter()
                .map(|&entity| entity + offsets.entities as u32)
                .collect(),
            entity: entities
                .iter()
                .map(|&entity| keys[entity as usize].clone())
                .collect(),
            snapshot_ms: snapshots
                .iter()
                .map(|&snapshot| self.plan.samples.snapshots[snapshot as usize] / 1000)
                .collect(),
            split: splits
                .iter()
                .map(|&split| SPLITS[usize::from(split)])
                .collect(),
            first_step: shift(batch.indices()),
            steps: batch.codes(),
            window_first: shift(batch.indices()),
            aggregates: Vec::new(),
            labels: Vec::new(),
        };
        samples
            .aggregates
            .extend(self.plan.params.aggregates.iter().map(|_| batch.numbers()));
        for task in 0..self.plan.params.tasks.len() {
            samples.labels.push(meaning.label(task, batch.numbers()));
        }
        // Tasks of the fitted dataset that the params do not have.
        let unlabelled = vec![f32::NAN; batch.rows()];
        samples
            .labels
            .resize(self.fit.schema.tasks.len(), unlabelled);
        let mut values = self.nothing();
        for (i, channel) in self.plan.channels.iter().enumerate() {
            let of_snapshot = |column: &RawColumn| match column {
                RawColumn::Numbers(numbers) => ChannelValues::SnapshotNumbers(
                    snapshots.iter().map(|&at| numbers[at as usize]).collect(),
                ),
                RawColumn::Codes(codes) => {
                    let codes = snapshots.iter().map(|&at| codes[at as usize]).collect();
                    ChannelValues::SnapshotCodes(meaning.of(i, codes))
                }
            };
            match (channel.per, channel.coding, &mut by_step) {
                (Per::Snapshot, ..) => {
                    if let Some(column) = &result.snapshots[i] {
                        values[i] = of_snapshot(column);
                    }
                }
                (Per::SampleStep, Coding::Number, Some(by_step)) => {
                    values[i] = ChannelValues::SampleStepNumbers(by_step.numbers());
                }
                (Per::SampleStep, _, Some(by_step)) => {
                    values[i] = ChannelValues::SampleStepCodes(meaning.of(i, by_step.codes()));
                }
                _ => {}
            }
        }
        (samples, values)
    }

    /// No values, by channel.
    fn nothing(&self) -> Vec<ChannelValues> {
        let channels = self.plan.channels.iter().map(nothing);
        let totals = self
            .plan
            .totals
            .step_channels()
            .map(|_| ChannelValues::Total(Vec::new()));
        channels.chain(totals).collect()
    }
}

fn looks_back(channel: &PlannedChannel) -> bool {
    channel
        .expression
        .uses(crate::expression::DAYS_SINCE_PREVIOUS)
}

/// No values, of the kind that a channel has.
fn nothing(channel: &PlannedChannel) -> ChannelValues {
    let dense = channel.coding == Coding::Number;
    match (channel.per, dense) {
        (Per::Step, true) => ChannelValues::Numbers {
            values: Vec::new(),
            first_of_window: looks_back(channel).then(Vec::new),
        },
        (Per::Step, false) => ChannelValues::Codes {
            values: Vec::new(),
            first_of_window: looks_back(channel).then(Vec::new),
        },
        (Per::SampleStep, true) => ChannelValues::SampleStepNumbers(Vec::new()),
        (Per::SampleStep, false) => ChannelValues::SampleStepCodes(Vec::new()),
        (Per::Snapshot, true) => ChannelValues::SnapshotNumbers(Vec::new()),
        (Per::Snapshot, false) => ChannelValues::SnapshotCodes(Vec::new()),
        (Per::Entity, true) => ChannelValues::EntityNumbers(Vec::new()),
        (Per::Entity, false) => ChannelValues::EntityCodes(Vec::new()),
    }
}

fn shifted(entities: Vec<u32>, by: u64) -> Result<Vec<u32>, PrepareError> {
    let shifted = entities
        .into_iter()
        .map(|entity| u32::try_from(u64::from(entity) + by));
    shifted.collect::<Result<_, _>>().map_err(|_| {
        PrepareError::Data(format!(
            "more entities than {}, the most that fit",
            u32::MAX
        ))
    })
}
