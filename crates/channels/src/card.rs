//! `card.json`: what stands in a dataset, for people and reports.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::layout::CARD_FILE;
use crate::schema::{ChannelKind, Per, TaskKind};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub summary: CardSummary,
    /// Rows of the events.
    pub rows: u64,
    /// Distinct entities of the events.
    pub entities: u64,
    /// First and last time of the events, as `2009-12-01T07:45:00`.
    pub first_time: String,
    pub last_time: String,
    /// Label windows that end after this have no labels: the end of the day of the last event.
    pub data_end: String,
    /// By split: train, valid, test; predict where there are such samples.
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
    /// Rows of the inputs that were left out, by input port; those without any are left out.
    pub bad_rows: IndexMap<String, BadRows>,
    pub warnings: Vec<String>,
}

/// The data in one line, as tables of several datasets show it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CardSummary {
    /// Samples to train on.
    pub training: u64,
    /// Samples to test on.
    pub test: u64,
    /// Channels of a step, running totals counted, aggregates not.
    pub channels: u64,
    /// Mean number of steps of a sample after the cut to `length`.
    pub average_length: f64,
}

/// Rows that could not be read, and were left out as the params allow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BadRows {
    pub count: u64,
    /// The first ten.
    pub first: Vec<BadRow>,
}

/// One such row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// Which of the port's files: `the file`, `file 2 of 3`.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// Null where it is the whole row that is wrong.
    pub column: Option<String>,
    /// What stands there, cut where it is long.
    pub value: String,
    pub why: String,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCard {
    pub kind: TaskKind,
    /// Mean of the labels; null where there is none, and for multiclass tasks.
    pub label_rate: IndexMap<String, Option<f64>>,
    pub missing_labels: IndexMap<String, u64>,
    /// By class of a multiclass task: its share of the labels; null where there is none.
    pub class_rate: IndexMap<String, IndexMap<String, Option<f64>>>,
    /// Labels of a multiclass task that no training sample has: they are no labels.
    pub unseen_labels: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelCard {
    pub kind: ChannelKind,
    pub per: Per,
    /// Number of distinct values kept; 0 for dense and hashed channels.
    pub values: u64,
    /// Share without a value or with an unknown one: of the training period's steps, of the training
    /// samples (their steps, where it is dense or looks at the snapshot), of the training entities.
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
    /// Of samples by length: how many there are of each. All zero where there are none.
    pub fn of(counts: &BTreeMap<u32, u64>) -> Self {
        let all: u64 = counts.values().sum();
        let at = |percent: u64| {
            let place = all.saturating_sub(1) * percent / 100;
            let mut before = 0;
            let found = counts.iter().find(|(_, count)| {
                before += **count;
                before > place
            });
            found.map_or(0, |(length, _)| *length)
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
