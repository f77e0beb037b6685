//! The bootstrap over entities: its draws, its metrics against those of the samples written out, and its
//! intervals against DeLong's.

use proptest::prelude::*;
use supermoe_metrics::{
    Placements, Resampled, auc, draws, log_loss, mae, percentile_interval, percentile_p_value, r2,
    rmse,
};

#[test]
fn draws_hang_on_seed_and_replicate_alone() {
    let first = draws(1000, 7, 3);
    assert_eq!(first.iter().sum::<u32>(), 1000);
    assert_eq!(first, draws(1000, 7, 3));
    assert_ne!(first, draws(1000, 7, 4));
    assert_ne!(first, draws(1000, 8, 3));
    assert!(draws(0, 7, 3).is_empty());
}

/// Of an entity's draws the mean is 1 and the variance 1 - 1/n; over 2,000 replicates of 50 the mean
/// square lies within 4 standard deviations (0.0045 each, counted from the fourth moment of Poisson 1).
#[test]
fn draws_are_multinomial() {
    let replicates = 0..2000;
    let squares: u64 = replicates
        .flat_map(|replicate| draws(50, 1, replicate))
        .map(|times| u64::from(times) * u64::from(times))
        .sum();
    let mean_square = squares as f64 / (2000.0 * 50.0);
    assert!((mean_square - 1.98).abs() < 0.04, "{mean_square}");
}

/// Score, number to predict, entity of up to 6, and how often each entity is drawn.
fn samples() -> impl Strategy<Value = (Vec<(f64, f64, u32)>, Vec<u32>)> {
    let sample = (0u32..=8, 0u32..4, 0u32..6);
    let sample = sample.prop_map(|(score, label, entity)| {
        (
            f64::from(score) / 8.0,
            f64::from(label) / 2.0 - 40.0,
            entity,
        )
    });
    let times = prop::collection::vec(0u32..4, 6);
    (prop::collection::vec(sample, 1..40), times)
}

proptest! {
    #[test]
    fn equal_to_the_metric_of_samples_written_out((samples, times) in samples()) {
        let scores: Vec<f64> = samples.iter().map(|sample| sample.0).collect();
        let numbers: Vec<f64> = samples.iter().map(|sample| sample.1).collect();
        let labels: Vec<bool> = numbers.iter().map(|number| *number > -39.25).collect();
        let entities: Vec<u32> = samples.iter().map(|sample| sample.2).collect();
        let repeated = |i: usize| std::iter::repeat_n(i, times[entities[i] as usize] as usize);
        let drawn: Vec<usize> = (0..samples.len()).flat_map(repeated).collect();
        let [of_scores, of_numbers] = [&scores, &numbers]
            .map(|values| drawn.iter().map(|&i| values[i]).collect::<Vec<f64>>());
        let of_labels: Vec<bool> = drawn.iter().map(|&i| labels[i]).collect();

        let found = Resampled::auc(&scores, &labels, &entities).unwrap().value(&times);
        prop_assert_eq!(found, auc(&of_scores, &of_labels).ok());
        let found = [
            Resampled::log_loss(&scores, &labels, &entities),
            Resampled::mae(&scores, &numbers, &entities),
            Resampled::rmse(&scores, &numbers, &entities),
            Resampled::r2(&scores, &numbers, &entities),
        ].map(|resampled| resampled.unwrap().value(&times));
        let expected = [
            log_loss(&of_scores, &of_labels).ok(),
            mae(&of_scores, &of_numbers).ok(),
            rmse(&of_scores, &of_numbers).ok(),
            r2(&of_scores, &of_numbers).ok(),
        ];
        for (found, expected) in found.into_iter().zip(expected) {
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let Some((found, expected)) = found.zip(expected) {
                let near = (found - expected).abs() <= 1e-9 * (1.0 + expected.abs());
                prop_assert!(near, "{} {}", found, expected);
            }
        }
    }
}

/// Quantiles by numpy's `quantile`, the deviation by its `std(ddof=1)`.
#[test]
fn intervals_equal_numpy() {
    let replicates = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0];
    let interval = percentile_interval(&replicates, 0.9).unwrap().unwrap();
    assert!((interval.low - 1.0).abs() < 1e-12);
    assert!((interval.high - 7.65).abs() < 1e-12);
    assert!((interval.standard_error - 2.469_817_807_045_693_8).abs() < 1e-12);
    assert_eq!(percentile_interval(&[0.5; 20], 0.95), Ok(None));
    assert_eq!(percentile_interval(&[], 0.95), Ok(None));
    assert!(percentile_interval(&replicates, 0.0).is_err());
}

#[test]
fn a_p_value_is_twice_the_rarer_side_and_never_0() {
    assert_eq!(percentile_p_value(&[]), None);
    assert_eq!(percentile_p_value(&[0.0; 99]), Some(1.0));
    assert_eq!(percentile_p_value(&[0.2; 99]), Some(0.02));
    let few_below: Vec<f64> = (0..99).map(|i| f64::from(i) - 3.5).collect();
    assert_eq!(percentile_p_value(&few_below), Some(0.1));
}

/// A quarter positive, normal scores one deviation apart.
fn independent_samples(count: usize) -> (Vec<f64>, Vec<bool>) {
    // A low-discrepancy walk through the normal distribution, by Box and Muller.
    let point = |i: usize, step: f64| (i as f64 * step).fract().max(1e-9);
    let labels: Vec<bool> = (0..count).map(|i| i % 4 == 0).collect();
    let scores = labels.iter().enumerate().map(|(i, &label)| {
        let (u, v) = (point(i + 1, 0.754_877_666), point(i + 1, 0.569_840_291));
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        normal + f64::from(u8::from(label))
    });
    (scores.collect(), labels)
}

/// The two ways to a standard error agree where each entity stands once.
#[test]
fn equal_to_delong_on_independent_samples() {
    let (scores, labels) = independent_samples(800);
    let entities: Vec<u32> = (0..800).collect();
    let resampled = Resampled::auc(&scores, &labels, &entities).unwrap();
    let replicates: Vec<f64> = (0..2000)
        .filter_map(|replicate| resampled.value(&draws(800, 5, replicate)))
        .collect();
    let bootstrap = percentile_interval(&replicates, 0.95).unwrap().unwrap();
    let placements = Placements::new(&scores, &labels).unwrap();
    let delong = placements.interval(0.95).unwrap().unwrap();
    let ratio = bootstrap.standard_error / delong.standard_error;
    assert!((ratio - 1.0).abs() < 0.08, "{ratio}");
    assert!((bootstrap.low - delong.low).abs() < 0.005);
    assert!((bootstrap.high - delong.high).abs() < 0.005);
}

/// Each sample written down four times is no more knowledge: the bootstrap over entities says so, and
/// DeLong, which takes samples for independent, halves the error.
#[test]
fn repeated_entities_do_not_narrow_the_interval() {
    let (scores, labels) = independent_samples(200);
    let four = |i: usize| [i; 4];
    let repeated: Vec<usize> = (0..200).flat_map(four).collect();
    let of_scores: Vec<f64> = repeated.iter().map(|&i| scores[i]).collect();
    let of_labels: Vec<bool> = repeated.iter().map(|&i| labels[i]).collect();
    let entities: Vec<u32> = repeated.iter().map(|&i| i as u32).collect();
    let resampled = Resampled::auc(&of_scores, &of_labels, &entities).unwrap();
    let replicates: Vec<f64> = (0..1000)
        .filter_map(|replicate| resampled.value(&draws(200, 5, replicate)))
        .collect();
    let clustered = percentile_interval(&replicates, 0.95).unwrap().unwrap();
    let once = Placements::new(&scores, &labels).unwrap().variance().sqrt();
    let naive = Placements::new(&of_scores, &of_labels)
        .unwrap()
        .variance()
        .sqrt();
    assert!((clustered.standard_error / once - 1.0).abs() < 0.12);
    assert!((naive / once - 0.5).abs() < 0.02);
}
