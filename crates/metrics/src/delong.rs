//! Variance of an AUC and the paired test of two, without resampling.
//!
//! E. DeLong, D. DeLong, D. Clarke-Pearson: Comparing the areas under two or more correlated receiver
//! operating characteristic curves, Biometrics 44 (1988); in O(n log n) by the ranks of X. Sun and
//! W. Xu: Fast implementation of DeLong's algorithm, IEEE Signal Processing Letters 21 (2014).
//!
//! All of it holds where samples are independent of each other: an entity that stands in the test set
//! several times needs a bootstrap over entities.

use crate::auc::auc;
use crate::error::{Label, MetricError, check};
use crate::interval::{Interval, two_sided};
use crate::mean::mean;
use crate::ranking::Rank;

/// The AUC of a model sample by sample: what each positive, and each negative, adds to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Placements {
    auc: f64,
    /// By positive, in the order of the samples: the share of negatives that score below, ties half.
    positives: Vec<f64>,
    /// By negative: the share of positives that score above, ties half.
    negatives: Vec<f64>,
}

impl Placements {
    /// O(n log n).
    ///
    /// # Errors
    /// No samples, lengths that differ, a NaN score, or fewer than two samples of a class, of which
    /// nothing is known about the spread.
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Placements, MetricError> {
        check(scores, labels)?;
        let count = labels.iter().filter(|&&label| label).count();
        if count == 0 || count == labels.len() {
            return Err(MetricError::OneClass {
                samples: labels.len(),
                label: Label(count > 0),
            });
        }
        if count < 2 || labels.len() - count < 2 {
            return Err(MetricError::FewOfAClass {
                samples: labels.len(),
                positives: count,
            });
        }
        let by_sample = by_sample(scores, labels, count);
        let of_class = |class: bool| {
            let samples = by_sample.iter().zip(labels);
            let of_class = samples.filter(|(_, label)| **label == class);
            of_class.map(|(placement, _)| *placement).collect()
        };
        Ok(Placements {
            auc: auc(scores, labels)?,
            positives: of_class(true),
            negatives: of_class(false),
        })
    }

    /// Of the mean AUC of several models on the same samples; AUC is a mean over samples, so this is
    /// exact. None without models.
    ///
    /// # Panics
    /// If the models were placed on different samples.
    pub fn mean(models: &[Placements]) -> Option<Placements> {
        let first = models.first()?;
        let count = models.len() as f64;
        let mean_of = |values: fn(&Placements) -> &Vec<f64>| {
            let mut sums = vec![0.0; values(first).len()];
            for model in models {
                assert_eq!(values(model).len(), sums.len(), "the same samples");
                let values = values(model).iter();
                sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
            }
            sums.into_iter().map(|sum| sum / count).collect()
        };
        Some(Placements {
            auc: models.iter().map(|model| model.auc).sum::<f64>() / count,
            positives: mean_of(|model| &model.positives),
            negatives: mean_of(|model| &model.negatives),
        })
    }

    pub fn auc(&self) -> f64 {
        self.auc
    }

    /// Of the AUC over other samples of the same kind (unbiased, n - 1).
    pub fn variance(&self) -> f64 {
        variance(&self.positives) + variance(&self.negatives)
    }

    /// AUC ± z * standard error, cut to [0, 1]. None where the variance is 0, as at an AUC of 1: an
    /// interval of no width would claim certainty that the samples do not give.
    ///
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn interval(&self, confidence: f64) -> Result<Option<Interval>, MetricError> {
        let interval = Interval::normal(self.auc, self.variance().sqrt(), confidence)?;
        Ok(interval.map(|interval| Interval {
            low: interval.low.max(0.0),
            high: interval.high.min(1.0),
            ..interval
        }))
    }

    /// How much the AUC of these placements is above that of `other`, a model on the same samples.
    ///
    /// # Errors
    /// Placements on other samples; a confidence level outside (0, 1).
    pub fn compare(&self, other: &Placements, confidence: f64) -> Result<Comparison, MetricError> {
        let lengths = [&self.positives, &other.positives].map(Vec::len);
        let of_negatives = [&self.negatives, &other.negatives].map(Vec::len);
        for [scores, labels] in [lengths, of_negatives] {
            if scores != labels {
                return Err(MetricError::Lengths { scores, labels });
            }
        }
        let differences =
            |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let error = (variance(&differences(&self.positives, &other.positives))
            + variance(&differences(&self.negatives, &other.negatives)))
        .sqrt();
        let difference = self.auc - other.auc;
        Ok(Comparison {
            difference,
            interval: Interval::normal(difference, error, confidence)?,
            p_value: match (difference == 0.0, error > 0.0) {
                (true, _) => Some(1.0),
                (false, true) => Some(two_sided(difference / error)),
                (false, false) => None,
            },
        })
    }
}

/// A model against another on the same samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Of the one minus the other.
    pub difference: f64,
    /// Of the difference; none where the samples show no spread of it.
    pub interval: Option<Interval>,
    /// Two-sided, of no difference; none where there is one, without spread.
    pub p_value: Option<f64>,
}

/// The placement of each sample among those of the other class, `positives` of which are positive.
fn by_sample(scores: &[f64], labels: &[bool], positives: usize) -> Vec<f64> {
    let negatives = labels.len() - positives;
    let mut order: Vec<(Rank, usize)> = scores.iter().copied().map(Rank::of).zip(0..).collect();
    order.sort_unstable();
    let mut placements = vec![0.0; scores.len()];
    // Of lower scores.
    let (mut positives_below, mut negatives_below) = (0, 0);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let of_tied = tied.iter().filter(|(_, i)| labels[*i]).count();
        let negatives_tied = tied.len() - of_tied;
        let won_twice = 2 * negatives_below + negatives_tied;
        let lost_twice = 2 * (positives - positives_below) - of_tied;
        for &(_, i) in tied {
            placements[i] = match labels[i] {
                true => won_twice as f64 / (2 * negatives) as f64,
                false => lost_twice as f64 / (2 * positives) as f64,
            };
        }
        positives_below += of_tied;
        negatives_below += negatives_tied;
    }
    placements
}

/// Of the mean of at least two values.
fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let center = mean(values.to_vec());
    let squares: Vec<f64> = values.iter().map(|x| (x - center).powi(2)).collect();
    mean(squares) / (count - 1.0)
}
