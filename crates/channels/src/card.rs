//! `card.json`: what stands in a dataset, for people and reports.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::layout::CARD_FILE;
use crate::schema::{ChannelKind, Per};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Rows of the events.
    pub rows: u64,
    /// Distinct entities of the events.
    pub entities: u64,
    /// First and last time of the events, as `2009-12-01T07:45:00`.
    pub first_time: String,
    pub last_time: String,
    /// Label windows that end after this have no labels: the end of the day of the last event.
    pub data_end: String,
    /// By split: train, valid, test.
    pub splits: IndexMap<String, SplitCard>,
    pub tasks: IndexMap<String, TaskCard>,
    pub channels: IndexMap<String, ChannelCard>,
    /// Mean number of steps of a sample after the cut to `length`.
    pub average_length: f64,
    pub lengths: LengthDistribution,
    /// Share of samples whose history was longer than `length`.
    pub cut: f64,
    /// Samples without a value, by aggregate; those without any such sample are left out.
    pub missing_aggregates: IndexMap<String, u64>,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitCard {
    pub samples: u64,
    pub entities: u64,
    /// Snapshot dates with their number of samples.
    pub snapshots: IndexMap<String, u64>,
    pub average_length: f64,
}

/// By split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskCard {
    /// Mean of the labels; null where there is none.
    pub label_rate: IndexMap<String, Option<f64>>,
    pub missing_labels: IndexMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelCard {
    pub kind: ChannelKind,
    pub per: Per,
    /// Number of distinct values kept; 0 for dense channels.
    pub values: u64,
    /// Share of the training samples' steps that have no value, or an unknown one.
    pub missing: f64,
}

/// Number of steps of a sample after the cut to `length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LengthDistribution {
    pub min: u32,
    pub p25: u32,
    pub median: u32,
    pub p75: u32,
    pub p95: u32,
    pub max: u32,
}

impl LengthDistribution {
    /// All zero where there are no lengths.
    pub fn of(mut lengths: Vec<u32>) -> Self {
        lengths.sort_unstable();
        let at = |percent: usize| match lengths.len() {
            0 => 0,
            count => lengths[(count - 1) * percent / 100],
        };
        Self {
            min: at(0),
            p25: at(25),
            median: at(50),
            p75: at(75),
            p95: at(95),
            max: at(100),
        }
    }
}

impl Card {
    /// # Errors
    /// A missing, unreadable or malformed card.
    pub fn open(dataset: impl AsRef<Path>) -> Result<Self, DatasetError> {
        crate::read::read_json(&dataset.as_ref().join(CARD_FILE))
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, dataset: impl AsRef<Path>) -> Result<(), DatasetError> {
        crate::write::write_json(&dataset.as_ref().join(CARD_FILE), self)
    }
}
