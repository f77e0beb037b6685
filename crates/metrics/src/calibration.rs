//! Calibration: what was predicted beside what came, and the expected calibration error.

use crate::error::{MetricError, check_numbers, check_probabilities};
use crate::ranking::Ranking;

/// Number of bins of equal width.
pub const CALIBRATION_BINS: usize = 15;

/// The samples whose scores are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    pub samples: u64,
    pub mean_score: f64,
    /// Share of positives; for regression the mean label.
    pub mean_label: f64,
}

/// Expected calibration error (Guo et al. 2017) of the positive class: samples fall into 15 bins of
/// equal width by their score; the mean over samples of |mean score - share of positives| of their
/// bin. A score on the border of two bins falls into the upper one, 1 into the last.
///
/// # Errors
/// No samples, lengths that differ, or a score that is no probability.
pub fn calibration_error(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let gaps = bins_of_width(scores, labels)?
        .into_iter()
        .map(|bin| (bin.score_sum - bin.positives as f64).abs());
    Ok(gaps.sum::<f64>() / scores.len() as f64)
}

/// The bins of [`calibration_error`] that hold samples, by rising score.
///
/// # Errors
/// As [`calibration_error`].
pub fn calibration_curve(
    scores: &[f64],
    labels: &[bool],
) -> Result<Vec<CalibrationBin>, MetricError> {
    let bins = bins_of_width(scores, labels)?.into_iter();
    Ok(bins
        .filter(|bin| bin.samples > 0)
        .map(|bin| CalibrationBin {
            samples: bin.samples,
            mean_score: bin.score_sum / bin.samples as f64,
            mean_label: bin.positives as f64 / bin.samples as f64,
        })
        .collect())
}

/// Samples of a regression task in at most 15 bins of about equal size, by rising score: what was
/// predicted beside what came.
///
/// # Errors
/// No samples, lengths that differ, or a number that is NaN or larger than 1e150.
pub fn regression_curve(
    scores: &[f64],
    labels: &[f64],
) -> Result<Vec<CalibrationBin>, MetricError> {
    check_numbers(scores, labels)?;
    let mut pairs: Vec<(f64, f64)> = scores
        .iter()
        .zip(labels)
        .map(|(&score, &label)| (score, label))
        .collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.total_cmp(&b.1)));
    let bins = CALIBRATION_BINS.min(pairs.len());
    Ok((0..bins)
        .map(|bin| &pairs[bin * pairs.len() / bins..(bin + 1) * pairs.len() / bins])
        .map(|of_bin| {
            let count = of_bin.len() as f64;
            CalibrationBin {
                samples: of_bin.len() as u64,
                mean_score: of_bin.iter().map(|pair| pair.0).sum::<f64>() / count,
                mean_label: of_bin.iter().map(|pair| pair.1).sum::<f64>() / count,
            }
        })
        .collect())
}

#[derive(Clone, Copy, Default)]
struct Sums {
    samples: u64,
    score_sum: f64,
    positives: u64,
}

fn bins_of_width(scores: &[f64], labels: &[bool]) -> Result<[Sums; CALIBRATION_BINS], MetricError> {
    check_probabilities(scores, labels)?;
    let mut bins = [Sums::default(); CALIBRATION_BINS];
    // In order of size, so that the order of the samples does not matter to the last bit.
    for tied in Ranking::new(scores, labels).by_falling_score() {
        let bin = (tied.score * CALIBRATION_BINS as f64) as usize;
        let bin = &mut bins[bin.min(CALIBRATION_BINS - 1)];
        bin.samples += tied.samples();
        (0..tied.samples()).for_each(|_| bin.score_sum += tied.score);
        bin.positives += tied.positives;
    }
    Ok(bins)
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

    #[test]
    fn the_curve_has_the_bins_that_hold_samples() {
        let curve = calibration_curve(&[0.5, 0.01, 0.5], &[true, false, false]);
        let bin = |samples, mean_score, mean_label| CalibrationBin {
            samples,
            mean_score,
            mean_label,
        };
        assert_eq!(curve, Ok(vec![bin(1, 0.01, 0.0), bin(2, 0.5, 0.5)]));
    }

    #[test]
    fn a_regression_curve_cuts_into_equal_parts() {
        let scores: Vec<f64> = (0..31).rev().map(f64::from).collect();
        let labels: Vec<f64> = scores.iter().map(|score| 2.0 * score).collect();
        let curve = regression_curve(&scores, &labels).expect("numbers");
        assert_eq!(curve.len(), CALIBRATION_BINS);
        assert_eq!(curve.iter().map(|bin| bin.samples).sum::<u64>(), 31);
        assert!(
            curve
                .iter()
                .all(|bin| bin.mean_label == 2.0 * bin.mean_score)
        );
        assert!(
            curve
                .windows(2)
                .all(|pair| pair[0].mean_score < pair[1].mean_score)
        );
        assert_eq!(
            regression_curve(&[3.0], &[1.0]).map(|curve| curve.len()),
            Ok(1)
        );
    }
}
