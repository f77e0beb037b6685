//! The `card.json` of a dataset, as far as a report shows it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DataCard {
    /// Rows of the events.
    pub rows: u64,
    pub entities: u64,
    pub first_time: String,
    pub last_time: String,
    /// Label windows that end after this have no labels.
    pub data_end: String,
    /// By split.
    pub splits: IndexMap<String, DataSplit>,
    pub tasks: IndexMap<String, DataTask>,
    pub channels: IndexMap<String, DataChannel>,
    /// Mean number of steps of a sample.
    pub average_length: f64,
    pub lengths: Option<Lengths>,
    /// Share of samples whose history was longer than the cut.
    pub cut: f64,
    pub missing_aggregates: IndexMap<String, u64>,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DataSplit {
    pub samples: u64,
    pub entities: u64,
    /// Samples by snapshot date.
    pub snapshots: IndexMap<String, u64>,
    pub average_length: f64,
}

/// By split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DataTask {
    /// Mean of the labels.
    pub label_rate: IndexMap<String, Option<f64>>,
    pub missing_labels: IndexMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DataChannel {
    pub kind: String,
    /// What its value depends on: `step`, `snapshot`.
    pub per: String,
    /// Distinct values kept.
    pub values: u64,
    /// Share of steps without a value, or with an unknown one.
    pub missing: f64,
}

/// Steps of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lengths {
    pub min: f64,
    pub p25: f64,
    pub median: f64,
    pub p75: f64,
    pub p95: f64,
    pub max: f64,
}
