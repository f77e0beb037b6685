//! Whether paired differences, for example of two models over the same seeds, are more than chance:
//! tests of one set of differences, and the correction for many.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// With fewer differences the deviation is that of a single number, and no test is made.
pub const FEWEST_PAIRS: usize = 3;

/// With fewer differences that are not zero, the exact test of signed ranks cannot fall below 0.05.
pub const FEWEST_RANKED_PAIRS: usize = 6;

/// The outcome of a test that differences are centred on zero, against both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Significance {
    /// How many differences it rests on.
    pub pairs: usize,
    /// Student's t, or the smaller of the two sums of signed ranks.
    pub statistic: f64,
    /// How often chance alone gives a statistic as far off, from 0 to 1.
    pub p: f64,
}

/// Why there is no test.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SignificanceError {
    #[error("{pairs} pairs; at least {fewest} are needed")]
    TooFewPairs { pairs: usize, fewest: usize },
    #[error("{pairs} pairs differ; at least {fewest} are needed")]
    TooFewUnequal { pairs: usize, fewest: usize },
    #[error("the {pairs} pairs do not differ")]
    AllZero { pairs: usize },
    #[error("all {pairs} differences are the same, so chance has no measure")]
    Constant { pairs: usize },
    #[error("difference {index} is {value}; expected a finite number")]
    NotFinite { index: usize, value: f64 },
}

/// Student's t-test of paired differences, two-sided, with n - 1 degrees of freedom (Student, 1908).
/// It supposes that differences are about normal, which few pairs cannot show.
///
/// # Errors
/// Fewer than [`FEWEST_PAIRS`], differences that are all zero or, but for rounding, all the same, or a
/// number that is not finite.
pub fn paired_t_test(differences: &[f64]) -> Result<Significance, SignificanceError> {
    check_finite(differences)?;
    let pairs = differences.len();
    if pairs < FEWEST_PAIRS {
        return Err(SignificanceError::TooFewPairs {
            pairs,
            fewest: FEWEST_PAIRS,
        });
    }
    if differences.iter().all(|difference| *difference == 0.0) {
        return Err(SignificanceError::AllZero { pairs });
    }
    let count = pairs as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|x| (x - mean).powi(2)).sum();
    let freedom = count - 1.0;
    let deviation = (squares / freedom).sqrt();
    // Below this the deviation is what rounding leaves of equal numbers.
    if deviation <= 10.0 * f64::EPSILON * mean.abs() {
        return Err(SignificanceError::Constant { pairs });
    }
    let statistic = mean / (deviation / count.sqrt());
    let standard = StudentsT::new(0.0, 1.0, freedom);
    // There is one for every positive count of degrees of freedom.
    let p = standard.map_or(f64::NAN, |t| 2.0 * t.cdf(-statistic.abs()));
    Ok(Significance {
        pairs,
        statistic,
        p,
    })
}

/// Wilcoxon's signed-rank test of paired differences, two-sided and exact (Wilcoxon, 1945). Zeros are
/// left out; differences of one size share the mean of their ranks, and the distribution is that of
/// those ranks.
///
/// # Errors
/// Fewer than [`FEWEST_RANKED_PAIRS`] differences that are not zero, or a number that is not finite.
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Result<Significance, SignificanceError> {
    check_finite(differences)?;
    let others = differences.iter().copied();
    let mut others: Vec<f64> = others.filter(|difference| *difference != 0.0).collect();
    let pairs = others.len();
    if pairs == 0 && differences.len() >= FEWEST_RANKED_PAIRS {
        return Err(SignificanceError::AllZero {
            pairs: differences.len(),
        });
    }
    if pairs < FEWEST_RANKED_PAIRS {
        return Err(SignificanceError::TooFewUnequal {
            pairs,
            fewest: FEWEST_RANKED_PAIRS,
        });
    }
    others.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let ranks = doubled_ranks(&others);
    let all: usize = ranks.iter().sum();
    let signed = ranks.iter().zip(&others);
    let positive: usize = signed
        .filter(|(_, difference)| **difference > 0.0)
        .map(|(rank, _)| rank)
        .sum();
    let smaller = positive.min(all - positive);
    let chances = chances_of_sums(&ranks);
    Ok(Significance {
        pairs,
        statistic: smaller as f64 / 2.0,
        p: (2.0 * chances[..=smaller].iter().sum::<f64>()).min(1.0),
    })
}

/// Twice the ranks of sorted sizes, so that a mean of ranks is whole.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    for equal in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let before = ranks.len();
        ranks.extend(std::iter::repeat_n(
            2 * before + equal.len() + 1,
            equal.len(),
        ));
    }
    ranks
}

/// How likely each sum of positive ranks is when every sign is a fair coin.
fn chances_of_sums(ranks: &[usize]) -> Vec<f64> {
    let mut chances = vec![0.0; ranks.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    let mut largest = 0;
    for &rank in ranks {
        largest += rank;
        for sum in (0..=largest).rev() {
            let with = sum.checked_sub(rank).map_or(0.0, |rest| chances[rest]);
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    chances
}

/// Adjusts p-values for how many there are, so that the chance of one false finding among all stays
/// below the level that they are held against (Holm, 1979). In the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        largest = largest.max(((p.len() - place) as f64 * p[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

fn check_finite(differences: &[f64]) -> Result<(), SignificanceError> {
    let wrong = differences.iter().position(|value| !value.is_finite());
    wrong.map_or(Ok(()), |index| {
        Err(SignificanceError::NotFinite {
            index,
            value: differences[index],
        })
    })
}

#[cfg(test)]
#[path = "significance_tests.rs"]
mod tests;
