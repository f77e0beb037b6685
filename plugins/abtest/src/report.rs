//! `report.json`: what an experiment shows.

use serde::Serialize;
use supermoe_metrics::Interval;

use crate::params::Correction;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub experiment: Experiment,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    pub control: String,
    pub confidence: f64,
    pub correction: Correction,
    /// Of the log.
    pub rows: u64,
    pub users: u64,
    /// The control first, then in the order of the log.
    pub buckets: Vec<Bucket>,
    pub sample_ratio: SampleRatio,
    pub metrics: Vec<Metric>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucket {
    pub name: String,
    pub users: u64,
    /// Of all users.
    pub share: f64,
    pub planned_share: f64,
}

/// Pearson's chi-square test of the shares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleRatio {
    pub statistic: f64,
    pub degrees_of_freedom: u64,
    pub p_value: f64,
    /// Below this the shares are not as planned.
    pub alpha: f64,
    pub is_as_planned: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    pub name: String,
    pub kind: MetricKind,
    /// Whether the lifts are adjusted by the pre-period (CUPED).
    pub is_adjusted: bool,
    /// Users without a number from before the experiment; they are taken for average ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_without_pre: Option<u64>,
    /// By bucket, in their order, as it was, without adjustment; null where it is not defined.
    pub estimates: Vec<Option<Estimate>>,
    /// Of each bucket but the control, in their order; without those that are not defined.
    pub lifts: Vec<Lift>,
    /// What could not be worked out, in words.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Over users.
    Mean,
    /// Of sums over users.
    Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub standard_error: f64,
}

/// A bucket against the control. Adjusted by the pre-period where the metric is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lift {
    pub bucket: String,
    #[serde(flatten)]
    pub found: LiftNumbers,
    /// By how much the pre-period makes the variance of the difference smaller: 0.4 is 40 % less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance_reduction: Option<f64>,
    /// The same without the adjustment; only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unadjusted: Option<LiftNumbers>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LiftNumbers {
    /// Bucket minus control, in the metric's unit.
    pub difference: f64,
    pub difference_interval: Option<Bounds>,
    /// The difference over the control's value: 0.02 is 2 %.
    pub lift: Option<f64>,
    pub lift_interval: Option<Bounds>,
    /// Two-sided, of no difference.
    pub p_value: Option<f64>,
    /// Corrected for the number of buckets that are compared in this metric.
    pub p_adjusted: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Bounds {
    fn of(interval: Interval) -> Bounds {
        Bounds {
            low: interval.low,
            high: interval.high,
        }
    }
}

impl From<supermoe_metrics::Lift> for LiftNumbers {
    fn from(lift: supermoe_metrics::Lift) -> LiftNumbers {
        LiftNumbers {
            difference: lift.difference,
            difference_interval: lift.difference_interval.map(Bounds::of),
            lift: lift.lift,
            lift_interval: lift.lift_interval.map(Bounds::of),
            p_value: lift.p_value,
            p_adjusted: None,
        }
    }
}
