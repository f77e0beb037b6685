//! Confidence intervals and p-values of the normal distribution.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::erf::erfc;

use crate::error::MetricError;

/// A two-sided confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// The standard deviation of the estimate.
    pub standard_error: f64,
}

impl Interval {
    /// estimate ± z * standard error. None where the standard error is 0.
    pub(crate) fn normal(
        estimate: f64,
        standard_error: f64,
        confidence: f64,
    ) -> Result<Option<Interval>, MetricError> {
        let z = critical_value(confidence)?;
        Ok((standard_error > 0.0).then_some(Interval {
            low: estimate - z * standard_error,
            high: estimate + z * standard_error,
            standard_error,
        }))
    }
}

/// Of a standard normal z: the probability of one at least as far from 0.
pub(crate) fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// 1.96 for a confidence of 0.95.
fn critical_value(confidence: f64) -> Result<f64, MetricError> {
    check_confidence(confidence)?;
    Ok(Normal::standard().inverse_cdf(0.5 + confidence / 2.0))
}

pub(crate) fn check_confidence(confidence: f64) -> Result<(), MetricError> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(MetricError::Confidence(confidence))
}
