//! Metrics of resampled entities: made once from scores and labels, then worked out for any number of
//! draws without sorting again.

use crate::error::{MetricError, check, check_numbers};
use crate::log_loss::losses;
use crate::ranking::Rank;

/// A metric whose samples count as often as their entity was drawn.
#[derive(Debug, Clone)]
pub struct Resampled(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Lowest score first.
    Auc(Vec<Ranked>),
    Mean(Vec<EntitySums>),
    RootMean(Vec<EntitySums>),
    R2(Vec<EntitySums>),
}

#[derive(Debug, Clone, Copy)]
struct Ranked {
    entity: u32,
    is_positive: bool,
    /// The next sample has another score.
    ends_ties: bool,
}

/// Over the samples of one entity.
#[derive(Debug, Clone, Copy, Default)]
struct EntitySums {
    samples: f64,
    losses: f64,
    labels: f64,
    squared_labels: f64,
}

impl Resampled {
    /// Of [`auc`](crate::auc). `entities[i]` is the index of the entity of sample i; so below.
    ///
    /// # Errors
    /// No samples, lengths that differ, a NaN score.
    pub fn auc(scores: &[f64], labels: &[bool], entities: &[u32]) -> Result<Self, MetricError> {
        check(scores, labels)?;
        check(scores, entities)?;
        let mut order: Vec<(Rank, usize)> = scores.iter().copied().map(Rank::of).zip(0..).collect();
        order.sort_unstable();
        let ranked = order.iter().enumerate().map(|(place, &(rank, i))| Ranked {
            entity: entities[i],
            is_positive: labels[i],
            ends_ties: order.get(place + 1).is_none_or(|next| next.0 != rank),
        });
        Ok(Resampled(Kind::Auc(ranked.collect())))
    }

    /// Of [`log_loss`](crate::log_loss).
    ///
    /// # Errors
    /// No samples, lengths that differ, or a score that is no probability.
    pub fn log_loss(
        scores: &[f64],
        labels: &[bool],
        entities: &[u32],
    ) -> Result<Self, MetricError> {
        check(scores, entities)?;
        let losses = losses(scores, labels)?;
        Ok(Resampled(Kind::Mean(sums(&losses, None, entities))))
    }

    /// Of [`mae`](crate::mae).
    ///
    /// # Errors
    /// No samples, lengths that differ, or a number that is NaN or larger than 1e150; so below.
    pub fn mae(scores: &[f64], labels: &[f64], entities: &[u32]) -> Result<Self, MetricError> {
        let losses = differences(scores, labels, entities, f64::abs)?;
        Ok(Resampled(Kind::Mean(sums(&losses, None, entities))))
    }

    /// Of [`rmse`](crate::rmse).
    ///
    /// # Errors
    /// As `mae`.
    pub fn rmse(scores: &[f64], labels: &[f64], entities: &[u32]) -> Result<Self, MetricError> {
        let losses = differences(scores, labels, entities, |x| x * x)?;
        Ok(Resampled(Kind::RootMean(sums(&losses, None, entities))))
    }

    /// Of [`r2`](crate::r2).
    ///
    /// # Errors
    /// As `mae`.
    pub fn r2(scores: &[f64], labels: &[f64], entities: &[u32]) -> Result<Self, MetricError> {
        let losses = differences(scores, labels, entities, |x| x * x)?;
        // A variance does not change with the labels' place, but its rounding does.
        let center = labels.iter().sum::<f64>() / labels.len() as f64;
        let centred: Vec<f64> = labels.iter().map(|label| label - center).collect();
        Ok(Resampled(Kind::R2(sums(&losses, Some(&centred), entities))))
    }

    /// Of samples that count `draws[entity]` times. None where the metric is not defined for them: no
    /// samples, one class, equal labels.
    pub fn value(&self, draws: &[u32]) -> Option<f64> {
        match &self.0 {
            Kind::Auc(ranked) => weighted_auc(ranked, draws),
            Kind::Mean(sums) => mean_loss(&total(sums, draws)),
            Kind::RootMean(sums) => mean_loss(&total(sums, draws)).map(f64::sqrt),
            Kind::R2(sums) => {
                let total = total(sums, draws);
                let spread = total.squared_labels - total.labels * total.labels / total.samples;
                // What rounding leaves of equal labels.
                let is_spread = spread > 1e-12 * total.squared_labels;
                is_spread.then(|| 1.0 - total.losses / spread)
            }
        }
    }
}

fn mean_loss(total: &EntitySums) -> Option<f64> {
    (total.samples > 0.0).then(|| total.losses / total.samples)
}

fn differences(
    scores: &[f64],
    labels: &[f64],
    entities: &[u32],
    loss: fn(f64) -> f64,
) -> Result<Vec<f64>, MetricError> {
    check(scores, entities)?;
    check_numbers(scores, labels)?;
    Ok(scores
        .iter()
        .zip(labels)
        .map(|(x, y)| loss(x - y))
        .collect())
}

fn sums(losses: &[f64], labels: Option<&[f64]>, entities: &[u32]) -> Vec<EntitySums> {
    let count = entities.iter().max().map_or(0, |last| *last as usize + 1);
    let mut sums = vec![EntitySums::default(); count];
    for (i, (&loss, &entity)) in losses.iter().zip(entities).enumerate() {
        let label = labels.map_or(0.0, |labels| labels[i]);
        let of_entity = &mut sums[entity as usize];
        of_entity.samples += 1.0;
        of_entity.losses += loss;
        of_entity.labels += label;
        of_entity.squared_labels += label * label;
    }
    sums
}

fn total(sums: &[EntitySums], draws: &[u32]) -> EntitySums {
    let mut total = EntitySums::default();
    for (of_entity, &times) in sums.iter().zip(draws) {
        let times = f64::from(times);
        total.samples += times * of_entity.samples;
        total.losses += times * of_entity.losses;
        total.labels += times * of_entity.labels;
        total.squared_labels += times * of_entity.squared_labels;
    }
    total
}

/// Pairs are counted in integers, as in `auc`.
fn weighted_auc(ranked: &[Ranked], draws: &[u32]) -> Option<f64> {
    // [negatives, positives], below this score and at it.
    let (mut below, mut tied) = ([0u64; 2], [0u64; 2]);
    let mut won_twice: u128 = 0;
    for sample in ranked {
        tied[usize::from(sample.is_positive)] += u64::from(draws[sample.entity as usize]);
        if sample.ends_ties {
            won_twice += u128::from(tied[1]) * u128::from(2 * below[0] + tied[0]);
            below = [below[0] + tied[0], below[1] + tied[1]];
            tied = [0; 2];
        }
    }
    let pairs_twice = 2 * u128::from(below[0]) * u128::from(below[1]);
    (pairs_twice > 0).then(|| won_twice as f64 / pairs_twice as f64)
}
