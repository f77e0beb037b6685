//! Area under the ROC curve.

use crate::error::{Label, MetricError, by_falling_score, check};

/// The probability that a random positive scores above a random negative, ties counted half: the
/// Mann-Whitney statistic. Pairs are counted in integers, so it is exact up to its one division.
///
/// Scores may be any numbers, infinite ones too. O(n log n).
///
/// # Errors
/// No samples, lengths that differ, a NaN score, or labels of one class only.
///
/// ```
/// let auc = supermoe_metrics::auc(&[0.1, 0.4, 0.4, 0.8], &[false, false, true, true]);
/// assert_eq!(auc, Ok(0.875));
/// ```
pub fn auc(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check(scores, labels)?;
    let positives = labels.iter().filter(|&&label| label).count();
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(MetricError::OneClass {
            samples: labels.len(),
            label: Label(positives > 0),
        });
    }
    let pairs = by_falling_score(scores, labels);
    let mut won_twice: u128 = 0;
    let mut negatives_below = negatives as u128;
    for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = tied.iter().filter(|pair| pair.1).count() as u128;
        let tied_negatives = tied.len() as u128 - tied_positives;
        negatives_below -= tied_negatives;
        won_twice += tied_positives * (2 * negatives_below + tied_negatives);
    }
    Ok(won_twice as f64 / (2 * positives as u128 * negatives as u128) as f64)
}
