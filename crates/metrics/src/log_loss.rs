//! Log-loss.

use crate::error::{MetricError, check_probabilities};
use crate::mean::mean;

/// The least likelihood that a label is given: no loss is above -ln 1e-15 = 34.54.
const CLIP: f64 = 1e-15;

/// The mean of -ln p over positives and -ln(1 - p) over negatives, in nats (binary cross-entropy);
/// a likelihood below 1e-15 counts as 1e-15, so that one sure mistake does not make it infinite.
///
/// # Errors
/// No samples, lengths that differ, or a score that is no probability.
pub fn log_loss(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    Ok(mean(losses(scores, labels)?))
}

/// The loss of each sample.
pub(crate) fn losses(scores: &[f64], labels: &[bool]) -> Result<Vec<f64>, MetricError> {
    check_probabilities(scores, labels)?;
    let losses = scores.iter().zip(labels).map(|(&p, &label)| {
        let log_likelihood = if label { p.ln() } else { (-p).ln_1p() };
        (-log_likelihood).min(-CLIP.ln())
    });
    Ok(losses.collect())
}

/// Log-loss of a multiclass task: the mean of -ln p, where p is the probability that a sample's true
/// class was given; clipped as in [`log_loss`].
///
/// # Errors
/// No samples, or what is no probability.
pub fn log_loss_of_true_class(probabilities: &[f64]) -> Result<f64, MetricError> {
    log_loss(probabilities, &vec![true; probabilities.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_costs_ln_2() {
        let loss = log_loss(&[0.5, 0.5], &[true, false]).expect("two probabilities");
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn a_sure_mistake_is_finite() {
        let loss = log_loss(&[0.0], &[true]).expect("a probability");
        assert!((loss - 34.538_776).abs() < 1e-5);
    }

    #[test]
    fn of_classes_the_true_one_counts() {
        let loss = log_loss_of_true_class(&[0.5, 0.25]).expect("two probabilities");
        assert!((loss - 1.5 * std::f64::consts::LN_2).abs() < 1e-15);
    }

    #[test]
    fn what_is_no_probability_is_named() {
        let error = log_loss(&[0.5, 1.5], &[true, false]);
        assert_eq!(
            error,
            Err(MetricError::NotAProbability {
                index: 1,
                score: 1.5
            })
        );
        assert_eq!(
            log_loss(&[f64::NAN], &[true]),
            Err(MetricError::NotANumber { index: 0 })
        );
        assert_eq!(log_loss(&[], &[]), Err(MetricError::NoSamples));
    }
}
