//! One bucket of entities, from its rows to raw columns set aside in the work folder: codes are
//! numbers of the bucket's own dictionaries, rows and entities are counted from 0.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use supermoe_channels::{Per, Split, TaskKind};

use crate::calendar::Calendar;
use crate::channel::{PlannedChannel, RawColumn};
use crate::dictionary::{self, Dictionary};
use crate::error::PrepareError;
use crate::events::Events;
use crate::leak::LookedAt;
use crate::params::Params;
use crate::partitions::{Bucket, Partitioned};
use crate::profile::entity_columns;
use crate::raw_files::{RawFiles, RawWriter};
use crate::samples::{BucketRows, SamplePlan};
use crate::session;
use crate::spill::{SpillFile, SpillWriter};
use crate::steps::StepPlan;
use crate::summary::{Fits, SampleCounts, Summary};
use crate::totals::Totals;
use crate::values::BucketValues;
use crate::windows::windows;

/// What is done to every bucket.
pub struct BucketPlan {
    pub params: Params,
    pub calendar: Calendar,
    pub channels: Vec<PlannedChannel>,
    pub totals: Totals,
    pub samples: SamplePlan,
    pub events: Partitioned,
    pub profile: Option<Partitioned>,
    pub buckets: usize,
    pub work: PathBuf,
}

/// What is left of a bucket.
pub struct BucketResult {
    pub files: RawFiles,
    /// By channel with a vocabulary: its dictionary, as batches in the order of the channels.
    pub dictionaries: SpillFile,
    /// By channel, then by snapshot.
    pub snapshots: Vec<Option<RawColumn>>,
    /// By task: the classes of the bucket's dictionary.
    pub classes: Vec<Vec<String>>,
    pub steps: u64,
    /// Entities with rows in reach of a sample.
    pub entities: u64,
    /// Entities of all events.
    pub all_entities: u64,
    pub counts: SampleCounts,
    pub fits: Fits,
    pub looked_at: LookedAt,
}

impl BucketPlan {
    /// # Errors
    /// An expression that fails, or gives what it may not; a work folder that cannot be written to.
    pub async fn run(&self, index: usize, bucket: &Bucket) -> Result<BucketResult, PrepareError> {
        let context = session::new(&session::runtime(&self.work)?);
        let batches = self.events.read(bucket)?;
        let schema = self.events.schema();
        let events = Events::sorted(schema, batches, &self.params, self.reach())?;
        let events = Arc::new(events);
        let splits: Vec<Split> = events
            .keys
            .iter()
            .map(|key| self.calendar.split_of_entity(key))
            .collect();
        let mut dictionaries: Vec<Dictionary> = self
            .channels
            .iter()
            .map(|_| Dictionary::default())
            .collect();
        let steps = StepPlan {
            channels: &self.channels,
            totals: &self.totals.by_step,
            last_snapshot: self.samples.snapshots.last().copied().unwrap_or(0),
            training_end: self.calendar.training_end_micros(),
        };
        let steps = steps.compute(&context, &events, &splits, &mut dictionaries)?;
        let snapshots =
            self.samples
                .snapshot_columns(&context, &self.channels, &mut dictionaries)?;
        let entities = self.entities(&context, bucket, &events, &mut dictionaries)?;
        let values = BucketValues {
            channels: &self.channels,
            steps: &steps,
            snapshots: &snapshots,
            entities: &entities,
        };
        let windows = windows(
            &events,
            &self.calendar,
            &splits,
            self.params.history.micros(),
        );
        let kinds: Vec<TaskKind> = self.params.tasks.values().map(|task| task.kind).collect();
        let training = windows
            .iter()
            .filter(|window| window.split == Split::Train)
            .count();
        let aggregates = self.params.aggregates.len();
        let snapshot_count = self.samples.snapshots.len();
        let mut summary = Summary::new(
            &values,
            &kinds,
            aggregates,
            snapshot_count,
            training,
            self.buckets,
        );
        let mut looked_at = LookedAt::new(&values, aggregates, kinds.len(), training, self.buckets);
        summary.add_steps(
            &self.channels,
            &steps,
            &entities,
            &splits,
            &mut dictionaries,
        );
        let mut classes: Vec<Dictionary> = kinds.iter().map(|_| Dictionary::default()).collect();
        let mut writer = RawWriter::new(&self.work, index);
        let rows = BucketRows {
            context: &context,
            events: &events,
            steps: &steps,
            channels: &self.channels,
            totals: &self.totals,
        };
        for chunk in self.samples.chunks(&windows) {
            let computed = self
                .samples
                .compute(&rows, chunk, &mut dictionaries, &mut classes);
            let chunk = computed.await?;
            summary.add(&values, &chunk, &mut dictionaries, &classes);
            looked_at.add(&values, &chunk);
            writer.append_samples(&chunk)?;
        }
        writer.write_entities(&events.keys, &entities)?;
        let (step_count, entity_count) = (steps.len() as u64, events.keys.len() as u64);
        let all_entities = events.all_entities;
        drop(events);
        writer.write_steps(&steps)?;
        Ok(BucketResult {
            files: writer.finish()?,
            dictionaries: self.set_aside(&self.work, index, &dictionaries)?,
            snapshots,
            classes: classes
                .iter()
                .map(|classes| classes.values().to_vec())
                .collect(),
            steps: step_count,
            entities: entity_count,
            all_entities,
            counts: summary.counts,
            fits: summary.fits,
            looked_at,
        })
    }

    /// Microseconds: rows outside reach neither a history nor a label.
    fn reach(&self) -> std::ops::Range<i64> {
        let snapshots = &self.samples.snapshots;
        // A calendar has at least one snapshot.
        let first = snapshots.first().copied().unwrap_or(0);
        let last = snapshots.last().copied().unwrap_or(0);
        let windows = self.params.tasks.values().map(|task| task.within.micros());
        let longest = windows.max().unwrap_or(0);
        first - self.params.history.micros()..last + longest
    }

    fn entities(
        &self,
        context: &SessionContext,
        bucket: &Bucket,
        events: &Events,
        dictionaries: &mut [Dictionary],
    ) -> Result<Vec<Option<RawColumn>>, PrepareError> {
        let of_entity = self
            .channels
            .iter()
            .any(|channel| channel.per == Per::Entity);
        match self.profile.as_ref().filter(|_| of_entity) {
            Some(profile) => entity_columns(
                context,
                profile,
                bucket,
                &self.params,
                &self.channels,
                events,
                dictionaries,
            ),
            None => Ok(self.channels.iter().map(|_| None).collect()),
        }
    }

    fn set_aside(
        &self,
        work: &Path,
        index: usize,
        dictionaries: &[Dictionary],
    ) -> Result<SpillFile, PrepareError> {
        let path = work.join(format!("dictionaries-{index}.arrow"));
        let mut writer = SpillWriter::create(path, &dictionary::schema())?;
        for (channel, dictionary) in self.channels.iter().zip(dictionaries) {
            if crate::samples::has_dictionary(channel) {
                writer.append(&dictionary.batch()?)?;
            }
        }
        writer.finish()
    }
}
