//! Recall at a given precision.

use crate::error::{Label, MetricError, check};
use crate::ranking::Ranking;

/// The largest recall of a threshold whose precision is at least `precision`: of the rules "take
/// every sample that scores t or more". 0 where no threshold is that precise. Samples with one score
/// are taken together. The paper's Recall@85 is read as `precision` 0.85.
///
/// # Errors
/// No samples, lengths that differ, a NaN score, no positive label, or a precision outside (0, 1].
pub fn recall_at_precision(
    scores: &[f64],
    labels: &[bool],
    precision: f64,
) -> Result<f64, MetricError> {
    if !(precision > 0.0 && precision <= 1.0) {
        return Err(MetricError::Precision(precision));
    }
    check(scores, labels)?;
    let ranking = Ranking::new(scores, labels);
    let positives = ranking.positives();
    if positives == 0 {
        return Err(MetricError::OneClass {
            samples: labels.len(),
            label: Label(false),
        });
    }
    let (mut taken, mut hits, mut best) = (0u64, 0u64, 0u64);
    for tied in ranking.by_falling_score() {
        taken += tied.samples();
        hits += tied.positives;
        if hits as f64 / taken as f64 >= precision {
            best = hits;
        }
    }
    Ok(best as f64 / positives as f64)
}
