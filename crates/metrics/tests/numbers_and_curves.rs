//! Metrics of numbers, and curves, against their definitions written out.

use proptest::prelude::*;
use supermoe_metrics::{
    MetricError, auc, concordance, mae, precision_recall_curve, r2, recall_at_precision, rmse,
    roc_curve,
};

/// Every pair, looked at.
fn concordance_by_pairs(scores: &[f64], labels: &[f64]) -> Option<f64> {
    let (mut won, mut pairs) = (0.0, 0.0);
    for i in 0..scores.len() {
        for j in 0..scores.len() {
            if labels[i] > labels[j] {
                pairs += 1.0;
                won += match scores[i].total_cmp(&scores[j]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

fn area(curve: &[[f64; 2]]) -> f64 {
    let trapezoids = curve
        .windows(2)
        .map(|ends| (ends[1][0] - ends[0][0]) * (ends[0][1] + ends[1][1]) / 2.0);
    trapezoids.sum()
}

/// On a coarse grid, so that ties are common.
fn numbers() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let number = prop_oneof![(-6i32..=6).prop_map(f64::from), -1e3..=1e3f64];
    prop::collection::vec((number.clone(), number), 1..60)
}

fn binary() -> impl Strategy<Value = Vec<(f64, bool)>> {
    let score = prop_oneof![(0u32..=9).prop_map(|i| f64::from(i) / 9.0), 0.0..=1.0f64];
    prop::collection::vec((score, any::<bool>()), 2..400)
}

proptest! {
    #[test]
    fn equal_to_the_references(samples in numbers()) {
        let (scores, labels): (Vec<f64>, Vec<f64>) = samples.into_iter().unzip();
        match concordance_by_pairs(&scores, &labels) {
            Some(expected) => {
                let found = concordance(&scores, &labels).unwrap();
                prop_assert!((found - expected).abs() < 1e-12);
            }
            None => {
                let constant = matches!(
                    concordance(&scores, &labels),
                    Err(MetricError::ConstantLabels { .. })
                );
                prop_assert!(constant);
            }
        }
        let n = scores.len() as f64;
        let pairs = || scores.iter().zip(&labels);
        let absolute = pairs().map(|(x, y)| (x - y).abs()).sum::<f64>() / n;
        prop_assert!((mae(&scores, &labels).unwrap() - absolute).abs() < 1e-9);
        let square = pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>() / n;
        prop_assert!((rmse(&scores, &labels).unwrap() - square.sqrt()).abs() < 1e-9);
        let center = labels.iter().sum::<f64>() / n;
        let variance = labels.iter().map(|y| (y - center).powi(2)).sum::<f64>() / n;
        if let Ok(found) = r2(&scores, &labels) {
            let expected = 1.0 - square / variance;
            prop_assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0));
        }
    }

    #[test]
    fn the_order_of_samples_changes_no_bit(samples in numbers(), shift in 0usize..60) {
        let (scores, labels): (Vec<f64>, Vec<f64>) = samples.iter().copied().unzip();
        let mut turned = samples;
        let count = turned.len();
        turned.rotate_left(shift % count);
        turned.reverse();
        let (turned_scores, turned_labels): (Vec<f64>, Vec<f64>) = turned.into_iter().unzip();
        for metric in [mae, rmse] {
            prop_assert_eq!(metric(&scores, &labels), metric(&turned_scores, &turned_labels));
        }
        for metric in [r2, concordance] {
            prop_assert_eq!(metric(&scores, &labels).ok(), metric(&turned_scores, &turned_labels).ok());
        }
    }

    #[test]
    fn concordance_with_two_labels_is_the_auc(samples in binary()) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.into_iter().unzip();
        let numbers: Vec<f64> = labels.iter().map(|&label| f64::from(u8::from(label))).collect();
        prop_assert_eq!(concordance(&scores, &numbers).ok(), auc(&scores, &labels).ok());
    }

    #[test]
    fn a_whole_curve_has_the_area_and_the_recall(samples in binary()) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.into_iter().unzip();
        let Ok(expected) = auc(&scores, &labels) else { return Ok(()) };
        // As many marks as there are distances along the axes: no rule is left out.
        let whole = roc_curve(&scores, &labels, 2 * 400 * 400).unwrap();
        prop_assert!((area(&whole) - expected).abs() < 1e-9);
        let rules = precision_recall_curve(&scores, &labels, 401).unwrap();
        for precision in [0.5, 0.85] {
            let best = rules.iter().filter(|rule| rule[1] >= precision);
            let best = best.map(|rule| rule[0]).fold(0.0, f64::max);
            let found = recall_at_precision(&scores, &labels, precision).unwrap();
            prop_assert_eq!(best, found);
        }
    }

    #[test]
    fn a_thinned_curve_keeps_its_ends_and_its_shape(samples in binary(), points in 2usize..50) {
        let (scores, labels): (Vec<f64>, Vec<bool>) = samples.into_iter().unzip();
        let Ok(curve) = roc_curve(&scores, &labels, points) else { return Ok(()) };
        prop_assert!(curve.len() <= points, "{} of {points}", curve.len());
        prop_assert_eq!(curve[0], [0.0, 0.0]);
        prop_assert_eq!(curve[curve.len() - 1], [1.0, 1.0]);
        let rising = curve.windows(2).all(|ends| ends[0][0] <= ends[1][0] && ends[0][1] <= ends[1][1]);
        prop_assert!(rising);
        let recalls = precision_recall_curve(&scores, &labels, points).unwrap();
        prop_assert!(recalls.len() <= points);
        prop_assert_eq!(recalls[recalls.len() - 1][0], 1.0);
    }
}

#[test]
fn many_samples_are_exact() {
    let n = 200_000u64;
    let labels: Vec<f64> = (0..n).map(|i| (i * 7919 % n) as f64).collect();
    assert_eq!(concordance(&labels, &labels), Ok(1.0));
    let turned: Vec<f64> = labels.iter().map(|label| -label).collect();
    assert_eq!(concordance(&turned, &labels), Ok(0.0));
}
