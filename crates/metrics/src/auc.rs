//! Area under the ROC curve.

use crate::error::{Label, MetricError, check};
use crate::ranking::Ranking;

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
    let ranking = Ranking::new(scores, labels);
    let (positives, negatives) = (ranking.positives(), ranking.negatives());
    if positives == 0 || negatives == 0 {
        return Err(MetricError::OneClass {
            samples: labels.len(),
            label: Label(positives > 0),
        });
    }
    let mut won_twice: u128 = 0;
    let mut negatives_below = negatives;
    for tied in ranking.by_falling_score() {
        negatives_below -= tied.negatives;
        let won = 2 * negatives_below + tied.negatives;
        won_twice += u128::from(tied.positives) * u128::from(won);
    }
    Ok(won_twice as f64 / (2 * u128::from(positives) * u128::from(negatives)) as f64)
}
