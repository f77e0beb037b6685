//! A dataset in memory: columns, and views of single samples.

use std::path::Path;

use indexmap::IndexMap;

use crate::error::DatasetError;
use crate::pack::PackedBatch;
use crate::schema::{Aggregate, Schema, Split};
use crate::values::{ChannelValues, Samples, Steps};
use crate::vocabulary::Vocabulary;

/// Index of a sample in its dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleId(pub u32);

impl SampleId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Everything that a dataset folder holds but the card, checked to fit together.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub(crate) schema: Schema,
    pub(crate) vocabularies: IndexMap<String, Vocabulary>,
    pub(crate) steps: Steps,
    /// By channel of the schema.
    pub(crate) channels: Vec<ChannelValues>,
    pub(crate) samples: Samples,
    /// Start of each sample's part in the columns by sample and step; one more than samples.
    pub(crate) sample_offsets: Vec<usize>,
}

impl Dataset {
    /// Puts a dataset together; every index and code is checked here, so that packing cannot fail.
    ///
    /// # Errors
    /// What does not fit, named.
    pub fn new(
        schema: Schema,
        vocabularies: IndexMap<String, Vocabulary>,
        steps: Steps,
        channels: Vec<ChannelValues>,
        samples: Samples,
    ) -> Result<Self, DatasetError> {
        let mut sample_offsets = Vec::with_capacity(samples.steps.len() + 1);
        let mut end = 0;
        sample_offsets.push(0);
        for &steps in &samples.steps {
            end += steps as usize;
            sample_offsets.push(end);
        }
        let dataset = Self {
            schema,
            vocabularies,
            steps,
            channels,
            samples,
            sample_offsets,
        };
        crate::check::check(&dataset).map_err(DatasetError::Inconsistent)?;
        Ok(dataset)
    }

    /// The same dataset with more aggregates after its own, each with its values by sample.
    ///
    /// # Errors
    /// A name that is there already, a number of values that is not that of the samples.
    pub fn with_aggregates(
        mut self,
        aggregates: Vec<(Aggregate, Vec<f32>)>,
    ) -> Result<Self, DatasetError> {
        for (aggregate, values) in aggregates {
            self.schema.aggregates.push(aggregate);
            self.samples.aggregates.push(values);
        }
        crate::check::check(&self).map_err(DatasetError::Inconsistent)?;
        Ok(self)
    }

    /// Reads a dataset folder.
    ///
    /// # Errors
    /// A missing or damaged file, a column that is missing or of another type, or parts that do not
    /// fit together.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, DatasetError> {
        crate::read::read(folder.as_ref())
    }

    /// Writes schema, vocabularies, steps and samples into an existing folder; the same dataset
    /// gives the same bytes.
    ///
    /// # Errors
    /// What could not be written, and why.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<(), DatasetError> {
        crate::write::write(self, folder.as_ref())
    }

    /// Writes schema and vocabularies alone into an existing folder, for [`FittedParts::open`].
    ///
    /// # Errors
    /// What could not be written, and why.
    pub fn write_fitted(&self, folder: impl AsRef<Path>) -> Result<(), DatasetError> {
        let folder = folder.as_ref();
        crate::write::write_schema(folder, &self.schema)?;
        for (channel, vocabulary) in &self.vocabularies {
            crate::write::write_vocabulary(folder, channel, vocabulary)?;
        }
        Ok(())
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// By name of an id or category channel.
    pub fn vocabulary(&self, channel: &str) -> Option<&Vocabulary> {
        self.vocabularies.get(channel)
    }

    /// By channel of the schema.
    pub fn channel_values(&self) -> &[ChannelValues] {
        &self.channels
    }

    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Number of stored steps of all entities.
    pub fn step_count(&self) -> usize {
        self.steps.entity.len()
    }

    /// The samples of one split, in the order of the dataset: by snapshot, then by entity.
    pub fn split(&self, split: Split) -> Vec<SampleId> {
        let samples = self.samples.split.iter().zip(0..);
        samples
            .filter(|(of, _)| **of == split)
            .map(|(_, id)| SampleId(id))
            .collect()
    }

    /// Number of tokens of a packed sample: its steps and the snapshot step.
    ///
    /// # Panics
    /// If the sample is not of this dataset; so do the methods below.
    pub fn tokens(&self, sample: SampleId) -> usize {
        self.samples.steps[sample.index()] as usize + 1
    }

    /// Number of steps of all samples before this one: where its values begin in a column by sample and
    /// step.
    pub fn steps_before(&self, sample: SampleId) -> usize {
        self.sample_offsets[sample.index()]
    }

    /// The entity's key as text.
    pub fn entity(&self, sample: SampleId) -> &str {
        &self.samples.entity[sample.index()]
    }

    /// Equal for all samples of one entity.
    pub fn entity_index(&self, sample: SampleId) -> u32 {
        self.samples.entity_index[sample.index()]
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn snapshot_ms(&self, sample: SampleId) -> i64 {
        self.samples.snapshot_ms[sample.index()]
    }

    /// The newest step of a sample among all stored steps, and its visit: the number of distinct times of
    /// the entity before it.
    pub fn newest_step(&self, sample: SampleId) -> (usize, u32) {
        let samples = &self.samples;
        let (first, steps) = (
            samples.first_step[sample.index()] as usize,
            samples.steps[sample.index()] as usize,
        );
        let newest = first + steps - 1;
        (newest, self.steps.visit[newest])
    }

    /// The label of a task, by its index in the schema; NaN where there is none.
    pub fn label(&self, sample: SampleId, task: usize) -> f32 {
        self.samples.labels[task][sample.index()]
    }

    /// Makes a batch of these samples, in this order.
    pub fn pack(&self, samples: &[SampleId]) -> PackedBatch {
        crate::pack::pack(self, samples)
    }
}

/// What a dataset was fitted to, without its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedParts {
    pub schema: Schema,
    /// By name of the channels that have one.
    pub vocabularies: IndexMap<String, Vocabulary>,
}

impl FittedParts {
    /// # Errors
    /// A missing or damaged file.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, DatasetError> {
        let schema = crate::read::read_schema(folder.as_ref())?;
        let vocabularies = crate::read::read_vocabularies(folder.as_ref(), &schema)?;
        Ok(Self {
            schema,
            vocabularies,
        })
    }
}
