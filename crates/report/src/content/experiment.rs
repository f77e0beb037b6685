//! The `experiment` of a `report.json`: buckets of users compared with a control.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Experiment {
    pub control: String,
    pub confidence: f64,
    /// `holm`, `bonferroni` or `none`.
    pub correction: String,
    pub users: u64,
    pub buckets: Vec<ExperimentBucket>,
    pub sample_ratio: SampleRatio,
    pub metrics: Vec<ExperimentMetric>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExperimentBucket {
    pub name: String,
    pub users: u64,
    pub share: f64,
    pub planned_share: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleRatio {
    pub statistic: f64,
    pub degrees_of_freedom: u64,
    pub p_value: f64,
    pub is_as_planned: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExperimentMetric {
    pub name: String,
    /// By bucket.
    pub estimates: Vec<Option<Estimate>>,
    pub lifts: Vec<Lift>,
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lift {
    pub bucket: String,
    pub difference: f64,
    /// Over the control's value.
    pub lift: Option<f64>,
    pub lift_interval: Option<Bounds>,
    pub p_value: Option<f64>,
    pub p_adjusted: Option<f64>,
    pub variance_reduction: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
}
