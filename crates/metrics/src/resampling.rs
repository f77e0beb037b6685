//! The bootstrap over entities: entities are drawn with replacement, each with all of its samples, so
//! that samples of one entity may depend on each other (cluster bootstrap; Davison and Hinkley,
//! Bootstrap Methods and their Application, 1997, section 3.8).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::error::MetricError;
use crate::interval::{Interval, check_confidence};

/// How often each of `entities` entities is drawn in replicate number `replicate`. It hangs on nothing
/// but these three numbers, so replicates can be made in any order, and those of two models are
/// pairs.
pub fn draws(entities: usize, seed: u64, replicate: u64) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(replicate);
    let mut counts = vec![0; entities];
    for _ in 0..entities {
        // A number in [0, entities), off by less than one part in 2^64 / entities (Lemire 2019).
        let drawn = (u128::from(random.next_u64()) * entities as u128) >> 64;
        counts[drawn as usize] += 1;
    }
    counts
}

/// The percentile interval of the replicates of a statistic, and their standard deviation. None of
/// fewer than two, or where all are equal.
///
/// # Errors
/// A confidence level outside (0, 1).
pub fn percentile_interval(
    replicates: &[f64],
    confidence: f64,
) -> Result<Option<Interval>, MetricError> {
    check_confidence(confidence)?;
    let mut sorted = replicates.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let squares: f64 = sorted.iter().map(|x| (x - mean).powi(2)).sum();
    if sorted.len() < 2 || sorted[0] == sorted[sorted.len() - 1] {
        return Ok(None);
    }
    Ok(Some(Interval {
        low: quantile(&sorted, (1.0 - confidence) / 2.0),
        high: quantile(&sorted, (1.0 + confidence) / 2.0),
        standard_error: (squares / (count - 1.0)).sqrt(),
    }))
}

/// Two-sided p-value of a difference of 0 by the replicates of the difference: twice the share of
/// those on the rarer side of 0, with one added, so that it is never 0 (Davison and Hinkley, section
/// 4.2). None without replicates.
pub fn percentile_p_value(differences: &[f64]) -> Option<f64> {
    let share = |count: usize| (count + 1) as f64 / (differences.len() + 1) as f64;
    let below = differences.iter().filter(|&&x| x <= 0.0).count();
    let above = differences.iter().filter(|&&x| x >= 0.0).count();
    (!differences.is_empty()).then(|| (2.0 * share(below.min(above))).min(1.0))
}

/// Between neighbours in a straight line (type 7 of Hyndman and Fan 1996, numpy's default).
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
