//! How sure an evaluation is of its numbers: intervals, comparisons, parts of the test set.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::evaluation::{EvaluatedGroup, EvaluatedTask, row_name};

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedInterval {
    pub low: f64,
    pub high: f64,
    #[serde(default)]
    pub method: IntervalMethod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    Delong,
    Bootstrap,
    /// Of a newer program.
    #[default]
    #[serde(other)]
    Other,
}

impl IntervalMethod {
    pub(crate) fn name(self) -> &'static str {
        match self {
            IntervalMethod::Delong => "DeLong",
            IntervalMethod::Bootstrap => "bootstrap over entities",
            IntervalMethod::Other => "another method",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Uncertainty {
    pub confidence: f64,
    pub resamples: u64,
    pub entities: u64,
    pub notes: Vec<String>,
    pub too_few: Vec<String>,
}

/// Each row against the reference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparisons {
    pub reference: RowName,
    pub rows: Vec<ComparedRow>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RowName {
    pub source: String,
    pub matrix: IndexMap<String, Value>,
}

impl RowName {
    pub(crate) fn text(&self) -> String {
        row_name(&self.source, &self.matrix)
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ComparedRow {
    #[serde(flatten)]
    pub name: RowName,
    /// By task, by metric.
    pub tasks: IndexMap<String, IndexMap<String, Difference>>,
    pub mean_auc: Option<Difference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    pub difference: f64,
    pub interval: Option<EvaluatedInterval>,
    pub p_value: Option<f64>,
    pub p_adjusted: Option<f64>,
}

/// Parts of the test set by the value of an expression.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Segmentation {
    pub name: String,
    pub sql: String,
    pub segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Segment {
    /// None where the expression is NULL.
    pub value: Option<String>,
    pub samples: u64,
    pub entities: u64,
    pub tasks: Vec<EvaluatedTask>,
    pub groups: Vec<EvaluatedGroup>,
    pub notes: Vec<String>,
}
