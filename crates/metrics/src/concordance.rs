//! Concordance of predicted numbers with their labels.

use crate::error::{MetricError, check, check_numbers};

/// The concordance index (Harrell): of the pairs of samples whose labels differ, the share whose
/// scores are in the same order, equal scores counted half. For labels 0 and 1 it is the AUC. Pairs
/// are counted in integers, so it is exact up to its one division. O(n log n).
///
/// # Errors
/// No samples, lengths that differ, a NaN score, a label that is NaN or larger than 1e150, or labels
/// that are all equal.
///
/// ```
/// let concordance = supermoe_metrics::concordance(&[1.0, 5.0, 5.0], &[10.0, 20.0, 30.0]);
/// assert_eq!(concordance, Ok(2.5 / 3.0));
/// ```
pub fn concordance(scores: &[f64], labels: &[f64]) -> Result<f64, MetricError> {
    check(scores, labels)?;
    check_numbers(&vec![0.0; labels.len()], labels)?;
    let ranks = ranks(scores);
    let mut by_label: Vec<(f64, usize)> = labels
        .iter()
        .zip(ranks)
        .map(|(&label, rank)| (label + 0.0, rank))
        .collect();
    by_label.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));

    let mut lower = Counts::new(scores.len());
    let (mut won_twice, mut pairs, mut inserted): (u128, u128, u128) = (0, 0, 0);
    for tied in by_label.chunk_by(|a, b| a.0 == b.0) {
        for &(_, rank) in tied {
            let (below, up_to) = (lower.below(rank), lower.below(rank + 1));
            won_twice += u128::from(below + up_to);
        }
        pairs += inserted * tied.len() as u128;
        tied.iter().for_each(|&(_, rank)| lower.add(rank));
        inserted += tied.len() as u128;
    }
    if pairs == 0 {
        return Err(MetricError::ConstantLabels {
            samples: labels.len(),
            label: labels[0],
        });
    }
    Ok(won_twice as f64 / (2 * pairs) as f64)
}

/// By sample the number of distinct scores below its own; 0 and -0 are the same score.
fn ranks(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<(f64, usize)> = scores.iter().map(|score| score + 0.0).zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let mut ranks = vec![0; scores.len()];
    for (rank, tied) in order.chunk_by(|a, b| a.0 == b.0).enumerate() {
        tied.iter().for_each(|&(_, sample)| ranks[sample] = rank);
    }
    ranks
}

/// How many of what was added lie below a rank: a Fenwick tree.
struct Counts(Vec<u64>);

impl Counts {
    fn new(ranks: usize) -> Counts {
        Counts(vec![0; ranks + 1])
    }

    fn add(&mut self, rank: usize) {
        let mut at = rank + 1;
        while at < self.0.len() {
            self.0[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    fn below(&self, rank: usize) -> u64 {
        let (mut at, mut sum) = (rank, 0);
        while at > 0 {
            sum += self.0[at];
            at &= at - 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_counts_and_size_does_not() {
        let labels = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(concordance(&[-1.0, 0.0, 7.0, 1e300], &labels), Ok(1.0));
        assert_eq!(concordance(&[4.0, 3.0, 2.0, 1.0], &labels), Ok(0.0));
        assert_eq!(concordance(&[5.0; 4], &labels), Ok(0.5));
        let infinite = [f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY];
        assert_eq!(concordance(&infinite, &labels), Ok(1.0));
    }

    #[test]
    fn equal_labels_are_no_pair() {
        assert_eq!(concordance(&[1.0, 2.0, 3.0], &[7.0, 7.0, 9.0]), Ok(1.0));
        assert_eq!(
            concordance(&[1.0, 2.0], &[0.0, -0.0]),
            Err(MetricError::ConstantLabels {
                samples: 2,
                label: 0.0
            })
        );
    }

    #[test]
    fn what_has_no_rank_is_refused() {
        assert_eq!(
            concordance(&[1.0, f64::NAN], &[1.0, 2.0]),
            Err(MetricError::NotANumber { index: 1 })
        );
        assert!(matches!(
            concordance(&[1.0, 2.0], &[1.0, f64::NAN]),
            Err(MetricError::LabelTooLarge { index: 1, .. })
        ));
        assert_eq!(concordance(&[], &[]), Err(MetricError::NoSamples));
    }
}
