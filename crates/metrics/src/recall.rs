//! Recall at a given precision.

use crate::error::{Label, MetricError, by_falling_score, check};

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
    let positives = labels.iter().filter(|&&label| label).count();
    if positives == 0 {
        return Err(MetricError::OneClass {
            samples: labels.len(),
            label: Label(false),
        });
    }
    let pairs = by_falling_score(scores, labels);
    let (mut taken, mut hits, mut best) = (0usize, 0usize, 0usize);
    for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
        taken += tied.len();
        hits += tied.iter().filter(|pair| pair.1).count();
        if hits as f64 / taken as f64 >= precision {
            best = hits;
        }
    }
    Ok(best as f64 / positives as f64)
}
