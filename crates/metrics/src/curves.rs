//! Curves over all thresholds, thinned to a number of points.

use crate::error::{Label, MetricError, check};
use crate::ranking::Ranking;

/// The ROC curve as (false positive rate, true positive rate), from (0, 0) to (1, 1): the rules "take
/// every sample that scores t or more", by falling t. Of more than `points` rules those are kept that
/// divide the way along both axes into about equal parts.
///
/// # Errors
/// No samples, lengths that differ, a NaN score, labels of one class only, or fewer than two points.
pub fn roc_curve(
    scores: &[f64],
    labels: &[bool],
    points: usize,
) -> Result<Vec<[f64; 2]>, MetricError> {
    let rules = Rules::new(scores, labels, points)?;
    if rules.negatives == 0 {
        return Err(MetricError::OneClass {
            samples: labels.len(),
            label: Label(true),
        });
    }
    let (positives, negatives) = (rules.positives as u128, rules.negatives as u128);
    let mut kept = Kept::new(points, 2 * positives * negatives);
    let mut curve = vec![[0.0, 0.0]];
    kept.reaches(0);
    for (hits, misses) in rules.counts {
        if kept.reaches(misses as u128 * positives + hits as u128 * negatives) {
            curve.push([
                misses as f64 / negatives as f64,
                hits as f64 / positives as f64,
            ]);
        }
    }
    Ok(curve)
}

/// The precision-recall curve as (recall, precision), by falling threshold, until recall is 1. Of more
/// than `points` rules those are kept that divide recall into about equal parts.
///
/// # Errors
/// No samples, lengths that differ, a NaN score, no positive label, or fewer than two points.
pub fn precision_recall_curve(
    scores: &[f64],
    labels: &[bool],
    points: usize,
) -> Result<Vec<[f64; 2]>, MetricError> {
    let rules = Rules::new(scores, labels, points)?;
    let mut kept = Kept::new(points, rules.positives as u128);
    let mut curve = Vec::new();
    for (hits, misses) in rules.counts {
        if kept.reaches(hits as u128) {
            curve.push([
                hits as f64 / rules.positives as f64,
                hits as f64 / (hits + misses) as f64,
            ]);
        }
    }
    Ok(curve)
}

/// Positives and negatives that each rule takes, the strictest rule first.
struct Rules {
    counts: Vec<(u64, u64)>,
    positives: u64,
    negatives: u64,
}

impl Rules {
    fn new(scores: &[f64], labels: &[bool], points: usize) -> Result<Rules, MetricError> {
        check(scores, labels)?;
        if points < 2 {
            return Err(MetricError::CurvePoints(points));
        }
        let (mut hits, mut misses) = (0, 0);
        let counts = Ranking::new(scores, labels)
            .by_falling_score()
            .map(|tied| {
                hits += tied.positives;
                misses += tied.negatives;
                (hits, misses)
            })
            .collect();
        if hits == 0 {
            return Err(MetricError::OneClass {
                samples: labels.len(),
                label: Label(false),
            });
        }
        Ok(Rules {
            counts,
            positives: hits,
            negatives: misses,
        })
    }
}

/// Which rules become points: the first at or after each of `points` marks that divide the whole way.
struct Kept {
    parts: u128,
    next_mark: u128,
    whole: u128,
}

impl Kept {
    fn new(points: usize, whole: u128) -> Kept {
        Kept {
            parts: points as u128 - 1,
            next_mark: 0,
            whole,
        }
    }

    /// Whether the way gone has come to the next mark.
    fn reaches(&mut self, gone: u128) -> bool {
        let mark = gone * self.parts / self.whole;
        let reached = mark >= self.next_mark;
        if reached {
            self.next_mark = mark + 1;
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_point_where_there_are_few() {
        let (scores, labels) = ([0.8, 0.6, 0.6, 0.1, 0.0], [true, true, false, true, false]);
        let third = 1.0 / 3.0;
        assert_eq!(
            roc_curve(&scores, &labels, 200),
            Ok(vec![
                [0.0, 0.0],
                [0.0, third],
                [0.5, 2.0 * third],
                [0.5, 1.0],
                [1.0, 1.0]
            ])
        );
        assert_eq!(
            precision_recall_curve(&scores, &labels, 200),
            Ok(vec![[third, 1.0], [2.0 * third, 2.0 * third], [1.0, 0.75]])
        );
    }

    #[test]
    fn one_class_has_no_curve() {
        let of =
            |curve: Result<Vec<[f64; 2]>, MetricError>| curve.expect_err("one class").to_string();
        assert_eq!(
            of(roc_curve(&[0.1, 0.2], &[true, true], 9)),
            "all 2 labels are 1; two classes are needed"
        );
        assert_eq!(
            of(precision_recall_curve(&[0.1], &[false], 9)),
            "all 1 labels are 0; two classes are needed"
        );
        assert_eq!(
            of(roc_curve(&[0.1], &[false], 1)),
            "a curve of 1 points was asked for; expected at least 2"
        );
    }
}
