//! Every metric against its definition, written out in O(n^2) or with bins by search.

use proptest::prelude::*;
use supermoe_metrics::{
    CALIBRATION_BINS, MetricError, auc, calibration_error, log_loss, recall_at_precision,
};

/// Every pair of a positive and a negative, looked at.
fn auc_by_pairs(scores: &[f64], labels: &[bool]) -> f64 {
    let (mut won, mut pairs) = (0.0, 0.0);
    for (score, _) in scores.iter().zip(labels).filter(|(_, label)| **label) {
        for (other, _) in scores.iter().zip(labels).filter(|(_, label)| !**label) {
            pairs += 1.0;
            won += if score > other {
                1.0
            } else if score == other {
                0.5
            } else {
                0.0
            };
        }
    }
    won / pairs
}

/// Every score as a threshold, and all samples counted for each.
fn recall_by_thresholds(scores: &[f64], labels: &[bool], precision: f64) -> f64 {
    let positives = labels.iter().filter(|&&label| label).count() as f64;
    let recalls = scores.iter().filter_map(|threshold| {
        let taken = scores
            .iter()
            .zip(labels)
            .filter(|(score, _)| *score >= threshold);
        let (taken, hits) = taken.fold((0.0, 0.0), |(n, hits), (_, &label)| {
            (n + 1.0, hits + f64::from(u8::from(label)))
        });
        (hits / taken >= precision).then_some(hits / positives)
    });
    recalls.fold(0.0, f64::max)
}

fn log_loss_by_definition(scores: &[f64], labels: &[bool]) -> f64 {
    let losses = scores.iter().zip(labels).map(|(p, &label)| {
        let likelihood: f64 = if label { *p } else { 1.0 - p };
        -likelihood.max(1e-15).ln()
    });
    losses.sum::<f64>() / scores.len() as f64
}

fn calibration_by_bins(scores: &[f64], labels: &[bool]) -> f64 {
    let width = 1.0 / CALIBRATION_BINS as f64;
    let gaps = (0..CALIBRATION_BINS).map(|bin| {
        let of_bin = scores.iter().zip(labels).filter(|(score, _)| {
            let at = ((**score / width) + 1e-12)
                .floor()
                .min(CALIBRATION_BINS as f64 - 1.0);
            at == bin as f64
        });
        let (n, sum, hits) = of_bin.fold((0.0, 0.0, 0.0), |(n, sum, hits), (score, &label)| {
            (n + 1.0, sum + score, hits + f64::from(u8::from(label)))
        });
        if n == 0.0 {
            0.0
        } else {
            n * f64::abs(sum / n - hits / n)
        }
    });
    gaps.sum::<f64>() / scores.len() as f64
}

/// Scores on a coarse grid, so that ties are common; probabilities.
fn samples() -> impl Strategy<Value = Vec<(f64, bool)>> {
    let score = prop_oneof![(0u32..=16).prop_map(|i| f64::from(i) / 16.0), 0.0..=1.0f64];
    prop::collection::vec((score, any::<bool>()), 1..60)
}

proptest! {
    #[test]
    fn equal_to_the_references(samples in samples()) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.into_iter().unzip();
        let positives = labels.iter().filter(|&&label| label).count();
        if positives > 0 && positives < labels.len() {
            let found = auc(&scores, &labels).unwrap();
            prop_assert!((found - auc_by_pairs(&scores, &labels)).abs() < 1e-12);
        } else {
            let one_class = matches!(auc(&scores, &labels), Err(MetricError::OneClass { .. }));
            prop_assert!(one_class);
        }
        if positives > 0 {
            for precision in [0.5, 0.85, 1.0] {
                let found = recall_at_precision(&scores, &labels, precision).unwrap();
                prop_assert_eq!(found, recall_by_thresholds(&scores, &labels, precision));
            }
        }
        let loss = log_loss(&scores, &labels).unwrap();
        prop_assert!((loss - log_loss_by_definition(&scores, &labels)).abs() < 1e-9);
        let error = calibration_error(&scores, &labels).unwrap();
        prop_assert!((error - calibration_by_bins(&scores, &labels)).abs() < 1e-9);
    }

    #[test]
    fn the_order_of_samples_changes_no_bit(samples in samples(), shift in 0usize..60) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.iter().copied().unzip();
        let mut turned = samples;
        let count = turned.len();
        turned.rotate_left(shift % count);
        turned.reverse();
        let (turned_scores, turned_labels): (Vec<f64>, Vec<bool>) = turned.into_iter().unzip();
        prop_assert_eq!(auc(&scores, &labels), auc(&turned_scores, &turned_labels));
        prop_assert_eq!(log_loss(&scores, &labels), log_loss(&turned_scores, &turned_labels));
        prop_assert_eq!(calibration_error(&scores, &labels), calibration_error(&turned_scores, &turned_labels));
    }

    #[test]
    fn auc_knows_ranks_only_and_turns_round(samples in samples()) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.into_iter().unzip();
        let cubes: Vec<f64> = scores.iter().map(|x| x.powi(3) * 1e6 - 5.0).collect();
        if let Ok(found) = auc(&scores, &labels) {
            prop_assert_eq!(auc(&cubes, &labels), Ok(found));
            let others: Vec<bool> = labels.iter().map(|label| !label).collect();
            prop_assert!((auc(&scores, &others).unwrap() + found - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn infinities_rank_and_zeros_tie() {
    let scores = [f64::NEG_INFINITY, -0.0, 0.0, f64::INFINITY];
    assert_eq!(auc(&scores, &[false, false, true, true]), Ok(0.875));
}

#[test]
fn nan_is_refused_with_its_place() {
    let labels = [true, false];
    assert_eq!(
        auc(&[0.5, f64::NAN], &labels),
        Err(MetricError::NotANumber { index: 1 })
    );
    let recall = recall_at_precision(&[f64::NAN, 0.5], &labels, 0.5);
    assert_eq!(recall, Err(MetricError::NotANumber { index: 0 }));
}

#[test]
fn a_million_samples_are_exact() {
    // Scores 0..n, labels by parity: the positive at 2k + 1 beats k + 1 of the n / 2 negatives.
    let n = 1_000_000u32;
    let scores: Vec<f64> = (0..n).map(f64::from).collect();
    let labels: Vec<bool> = (0..n).map(|i| i % 2 == 1).collect();
    let half = f64::from(n / 2);
    assert_eq!(auc(&scores, &labels), Ok((half + 1.0) / (2.0 * half)));
}

#[test]
fn recall_is_zero_where_nothing_is_precise_enough() {
    assert_eq!(
        recall_at_precision(&[0.9, 0.1], &[false, true], 0.85),
        Ok(0.0)
    );
    assert_eq!(
        recall_at_precision(&[0.9, 0.1], &[false, true], 0.5),
        Ok(1.0)
    );
    let error = recall_at_precision(&[0.9], &[true], 0.0);
    assert_eq!(error, Err(MetricError::Precision(0.0)));
    let message = recall_at_precision(&[0.9], &[false], 0.5)
        .expect_err("no positives")
        .to_string();
    assert_eq!(message, "all 1 labels are 0; two classes are needed");
}

/// Any numbers, many of them equal, of the size that sorts in several runs.
fn any_scores() -> impl Strategy<Value = Vec<(f64, bool)>> {
    let score = prop_oneof![
        3 => (-4i32..=4).prop_map(|i| f64::from(i) / 4.0),
        1 => any::<f64>().prop_filter("a number", |x| !x.is_nan()),
        1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324]),
    ];
    prop::collection::vec((score, any::<bool>()), 2..300)
}

proptest! {
    #[test]
    fn auc_counts_every_pair_of_any_numbers(samples in any_scores()) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.into_iter().unzip();
        if let Ok(found) = auc(&scores, &labels) {
            // Both divide the same whole numbers.
            prop_assert_eq!(found, auc_by_pairs(&scores, &labels));
        }
    }
}
