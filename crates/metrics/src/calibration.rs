//! Expected calibration error.

use crate::error::{MetricError, by_falling_score, check_probabilities};

/// Number of bins of equal width.
pub const CALIBRATION_BINS: usize = 15;

/// Expected calibration error (Guo et al. 2017) of the positive class: samples fall into 15 bins of
/// equal width by their score; the mean over samples of |mean score - share of positives| of their
/// bin. A score on the border of two bins falls into the upper one, 1 into the last.
///
/// # Errors
/// No samples, lengths that differ, or a score that is no probability.
pub fn calibration_error(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check_probabilities(scores, labels)?;
    let mut score_sum = [0.0; CALIBRATION_BINS];
    let mut positives = [0u64; CALIBRATION_BINS];
    // In order of size, so that the order of the samples does not matter to the last bit.
    for (score, label) in by_falling_score(scores, labels) {
        let bin = ((score * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        score_sum[bin] += score;
        positives[bin] += u64::from(label);
    }
    let gaps = score_sum
        .iter()
        .zip(positives)
        .map(|(sum, positives)| (sum - positives as f64).abs());
    Ok(gaps.sum::<f64>() / scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_shares_have_no_error() {
        let scores = [0.25, 0.25, 0.25, 0.25];
        assert_eq!(
            calibration_error(&scores, &[true, false, false, false]),
            Ok(0.0)
        );
    }

    #[test]
    fn the_gap_of_each_bin_counts_by_its_samples() {
        // Bin of 0.9: one sample, gap 0.1; bin of 0.2: three samples, gap 0.2.
        let error = calibration_error(&[0.9, 0.2, 0.2, 0.2], &[true, false, false, false]);
        assert!((error.expect("probabilities") - (0.1 + 3.0 * 0.2) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn one_falls_into_the_last_bin() {
        assert_eq!(calibration_error(&[1.0, 0.0], &[true, false]), Ok(0.0));
    }
}
