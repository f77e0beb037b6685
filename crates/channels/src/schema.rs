//! `schema.json`: what channels, aggregates and tasks a dataset has, and how their values are scaled.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the dataset folder that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 2;

/// The code of no step at all.
pub const PADDING_CODE: u32 = 0;
/// The code of values that are NULL, rare, or unseen in the training period.
pub const UNKNOWN_CODE: u32 = 1;
/// The code of a hidden value; the snapshot step carries it in every event channel.
pub const MASK_CODE: u32 = 2;
/// The code of a vocabulary's first value.
pub const FIRST_CODE: u32 = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    pub version: u32,
    /// Name of the entity's column in the events.
    pub entity: String,
    /// Name of the time column in the events.
    pub time: String,
    /// Most steps of a sample, the snapshot step not counted.
    pub length: u32,
    pub history_seconds: i64,
    /// Channels of the steps, running totals last.
    pub channels: Vec<Channel>,
    pub aggregates: Vec<Aggregate>,
    pub tasks: Vec<Task>,
    pub splits: SplitCounts,
    /// Snapshot dates, ascending, as `2010-04-01`.
    pub snapshots: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    pub name: String,
    pub kind: ChannelKind,
    pub per: Per,
    /// Number of codes, reserved ones included: codes are 0..vocabulary. 0 for dense channels.
    pub vocabulary: u32,
    /// 0 where values have the codes of a vocabulary; else the code of a value is that of
    /// [`hashed_code`](crate::hashed_code), and there is no vocabulary file.
    pub hash_buckets: u32,
    /// Mean over the steps of the training samples; dense channels only, else 0.
    pub mean: f64,
    /// Standard deviation over the steps of the training samples, 1 where it would be 0.
    pub deviation: f64,
    /// Ascending inner bounds of up to 32 buckets of about equal size, in raw units; dense only.
    pub quantiles: Vec<f64>,
    /// Set for a running total, sign(x) ln(1 + |x|) of a sum over [snapshot - history, step], and for a
    /// channel by sample and step that is made of such sums.
    pub total: Option<Total>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Many values: an item, a shop. A large table with sparse gradients.
    Id,
    /// Few values: a country, a weekday. A dense embedding table.
    Category,
    /// A number.
    Dense,
}

/// What a channel's value depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The event alone.
    Step,
    /// The event and the snapshot, such as the days between them.
    SampleStep,
    /// The snapshot alone; it stands in every step of a sample, the snapshot step too.
    Snapshot,
    /// The entity alone, from its profile; it stands in every step of its samples, the snapshot step
    /// too.
    Entity,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Channels that this one betrays: it is hidden wherever one of them is.
    pub source: Vec<String>,
}

/// A number per sample, of the rows of its whole history window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    pub name: String,
    /// Mean over the training samples.
    pub mean: f64,
    /// Standard deviation over the training samples, 1 where it would be 0.
    pub deviation: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub name: String,
    pub kind: TaskKind,
    /// Classes of a multiclass task: the sorted distinct labels of the training samples as text. A
    /// label is the index in them. Empty for others.
    pub classes: Vec<String>,
    /// Mean of the training samples' labels of a regression task; else 0.
    pub mean: f64,
    /// Standard deviation of the training samples' labels of a regression task; 1 where it would be 0,
    /// and for other kinds.
    pub deviation: f64,
    /// Length of the label window, [snapshot, snapshot + within).
    pub within_seconds: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Labels are 0 or 1.
    Binary,
    /// Labels are one of several classes.
    Multiclass,
    /// Labels are numbers.
    Regression,
}

/// Number of samples by split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SplitCounts {
    pub train: u64,
    pub valid: u64,
    pub test: u64,
    pub predict: u64,
}

impl SplitCounts {
    /// Counts the samples of each split.
    pub fn of(splits: &[Split]) -> Self {
        let count = |split| splits.iter().filter(|of| **of == split).count() as u64;
        Self {
            train: count(Split::Train),
            valid: count(Split::Valid),
            test: count(Split::Test),
            predict: count(Split::Predict),
        }
    }
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    Train,
    Valid,
    Test,
    /// Samples without labels, of entities whose future is wanted.
    Predict,
}

impl Split {
    /// The splits whose samples may have labels.
    pub const ALL: [Split; 3] = [Split::Train, Split::Valid, Split::Test];

    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
            Split::Predict => "predict",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Split::ALL.into_iter().chain([Split::Predict]);
        all.find(|split| split.name() == text)
            .ok_or_else(|| format!("`{text}` is no split: expected train, valid, test or predict"))
    }
}

/// A column of [`PackedBatch::dense`](crate::PackedBatch::dense).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenseColumn {
    pub name: String,
    pub source: DenseSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenseSource {
    /// Index in [`Schema::channels`].
    Channel(usize),
    /// Index in [`Schema::aggregates`]; 0 on every step but the snapshot step.
    Aggregate(usize),
}

impl Schema {
    /// Indices in `channels` of the id and category channels: the order of
    /// [`PackedBatch::codes`](crate::PackedBatch::codes).
    pub fn code_channels(&self) -> Vec<usize> {
        (0..self.channels.len())
            .filter(|&i| !self.channels[i].is_dense())
            .collect()
    }

    /// The columns of [`PackedBatch::dense`](crate::PackedBatch::dense): dense channels in the order
    /// of `channels`, then the aggregates.
    pub fn dense_columns(&self) -> Vec<DenseColumn> {
        let channels = self
            .channels
            .iter()
            .enumerate()
            .filter(|(_, channel)| channel.is_dense());
        let channels = channels.map(|(i, channel)| DenseColumn {
            name: channel.name.clone(),
            source: DenseSource::Channel(i),
        });
        let aggregates = self
            .aggregates
            .iter()
            .enumerate()
            .map(|(i, aggregate)| DenseColumn {
                name: aggregate.name.clone(),
                source: DenseSource::Aggregate(i),
            });
        channels.chain(aggregates).collect()
    }

    /// Index in `channels`.
    pub fn channel(&self, name: &str) -> Option<usize> {
        self.channels
            .iter()
            .position(|channel| channel.name == name)
    }

    /// Number of positions of a packed sequence: `length` steps and the snapshot step.
    pub fn positions(&self) -> usize {
        self.length as usize + 1
    }
}

impl Channel {
    pub fn is_dense(&self) -> bool {
        self.kind == ChannelKind::Dense
    }

    /// Whether its codes are those of a vocabulary.
    pub fn has_vocabulary(&self) -> bool {
        !self.is_dense() && self.hash_buckets == 0
    }

    /// The bounds of the quantile buckets in the units of a packed batch.
    pub fn standardised_quantiles(&self) -> Vec<f32> {
        self.quantiles
            .iter()
            .map(|&x| ((x - self.mean) / self.deviation) as f32)
            .collect()
    }
}
