//! Errors of predicted numbers.

use crate::error::{MetricError, check_numbers};
use crate::mean::mean;

/// The mean absolute error, in the label's unit.
///
/// # Errors
/// No samples, lengths that differ, or a number that is NaN or larger than 1e150; so below.
pub fn mae(scores: &[f64], labels: &[f64]) -> Result<f64, MetricError> {
    check_numbers(scores, labels)?;
    let errors = scores.iter().zip(labels).map(|(x, y)| (x - y).abs());
    Ok(mean(errors.collect()))
}

/// The root of the mean squared error, in the label's unit.
pub fn rmse(scores: &[f64], labels: &[f64]) -> Result<f64, MetricError> {
    check_numbers(scores, labels)?;
    Ok(mean_square(scores, labels).sqrt())
}

/// The coefficient of determination: 1 - (mean squared error) / (variance of the labels). 1 is a
/// perfect prediction, 0 that of the labels' mean, and there is no bound below.
///
/// # Errors
/// As [`mae`], and labels that are all equal.
pub fn r2(scores: &[f64], labels: &[f64]) -> Result<f64, MetricError> {
    check_numbers(scores, labels)?;
    let center = mean(labels.to_vec());
    let variance = mean_square(labels, &vec![center; labels.len()]);
    if labels.iter().all(|&label| label == labels[0]) {
        return Err(MetricError::ConstantLabels {
            samples: labels.len(),
            label: labels[0],
        });
    }
    Ok(1.0 - mean_square(scores, labels) / variance)
}

fn mean_square(a: &[f64], b: &[f64]) -> f64 {
    mean(a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // The example of scikit-learn's documentation.
        let (scores, labels) = ([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]);
        assert_eq!(mae(&scores, &labels), Ok(0.5));
        let root = rmse(&scores, &labels).expect("numbers");
        assert!((root - 0.612_372_435_695_794_5).abs() < 1e-15);
        let r2 = r2(&scores, &labels).expect("numbers");
        assert!((r2 - 0.948_608_137_044_967_9).abs() < 1e-15);
    }

    #[test]
    fn the_mean_explains_nothing() {
        assert_eq!(r2(&[2.0, 2.0], &[1.0, 3.0]), Ok(0.0));
        assert_eq!(r2(&[1.0, 3.0], &[1.0, 3.0]), Ok(1.0));
    }

    #[test]
    fn what_has_no_value_says_why() {
        assert_eq!(mae(&[], &[]), Err(MetricError::NoSamples));
        assert_eq!(
            rmse(&[1.0], &[1.0, 2.0]),
            Err(MetricError::Lengths {
                scores: 1,
                labels: 2
            })
        );
        let error = r2(&[1.0, 2.0], &[0.1, 0.1]).expect_err("one label");
        assert_eq!(
            error.to_string(),
            "all 2 labels are 0.1; two values are needed"
        );
        let error = mae(&[1.0, f64::INFINITY], &[0.0, 0.0]).expect_err("no number");
        assert_eq!(
            error.to_string(),
            "score 1 is inf; expected a number of at most 1e150 in size"
        );
        let error = mae(&[1.0], &[f64::NAN]).expect_err("no number");
        assert_eq!(
            error.to_string(),
            "label 0 is NaN; expected a number of at most 1e150 in size"
        );
        assert_eq!(
            mae(&[f64::NAN], &[0.0]),
            Err(MetricError::NotANumber { index: 0 })
        );
    }
}
