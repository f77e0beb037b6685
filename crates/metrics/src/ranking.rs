//! Samples of two classes in the order of their scores: what all metrics of ranks count along.

use std::iter::Peekable;
use std::slice::Iter;

/// The scores of each class, sorted.
pub(crate) struct Ranking {
    positives: Vec<Rank>,
    negatives: Vec<Rank>,
}

/// All samples of one score; 0 and -0 are the same score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tied {
    pub score: f64,
    pub positives: u64,
    pub negatives: u64,
}

impl Tied {
    pub fn samples(&self) -> u64 {
        self.positives + self.negatives
    }
}

impl Ranking {
    /// No score may be NaN, and there are as many labels as scores.
    pub fn new(scores: &[f64], labels: &[bool]) -> Ranking {
        let count = labels.iter().filter(|&&label| label).count();
        let mut ranks = [labels.len() - count, count].map(|samples| vec![Rank(0); samples]);
        let mut filled = [0, 0];
        // By index: a branch on labels in no order would be guessed wrong half of the time.
        for (&score, &label) in scores.iter().zip(labels) {
            let class = usize::from(label);
            ranks[class][filled[class]] = Rank::of(score);
            filled[class] += 1;
        }
        let [mut negatives, mut positives] = ranks;
        negatives.sort_unstable();
        positives.sort_unstable();
        Ranking {
            positives,
            negatives,
        }
    }

    pub fn positives(&self) -> u64 {
        self.positives.len() as u64
    }

    pub fn negatives(&self) -> u64 {
        self.negatives.len() as u64
    }

    /// Highest score first.
    pub fn by_falling_score(&self) -> ByFallingScore<'_> {
        ByFallingScore {
            positives: self.positives.iter().rev().peekable(),
            negatives: self.negatives.iter().rev().peekable(),
        }
    }
}

/// See [`Ranking::by_falling_score`].
pub(crate) struct ByFallingScore<'a> {
    positives: Falling<'a>,
    negatives: Falling<'a>,
}

type Falling<'a> = Peekable<std::iter::Rev<Iter<'a, Rank>>>;

impl Iterator for ByFallingScore<'_> {
    type Item = Tied;

    fn next(&mut self) -> Option<Tied> {
        let highest = self.positives.peek().max(self.negatives.peek()).copied()?;
        let take = |class: &mut Falling<'_>| {
            let mut taken = 0;
            while class.next_if_eq(&highest).is_some() {
                taken += 1;
            }
            taken
        };
        Some(Tied {
            score: highest.score(),
            positives: take(&mut self.positives),
            negatives: take(&mut self.negatives),
        })
    }
}

/// A score as an integer of the same order, which sorts faster than a number with its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u64);

const SIGN: u64 = 1 << 63;

impl Rank {
    pub fn of(score: f64) -> Rank {
        // -0 + 0 is 0.
        let bits = (score + 0.0).to_bits();
        Rank(match bits & SIGN {
            0 => bits | SIGN,
            _ => !bits,
        })
    }

    fn score(self) -> f64 {
        f64::from_bits(match self.0 & SIGN {
            0 => !self.0,
            _ => self.0 & !SIGN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fall_and_hold_every_sample_of_their_score() {
        let infinite = f64::INFINITY;
        let scores = [0.5, -infinite, -0.0, 0.5, 0.0, infinite, -3.5, 0.5];
        let labels = [true, false, true, false, true, true, false, true];
        let tied = |score, positives, negatives| Tied {
            score,
            positives,
            negatives,
        };
        let groups: Vec<Tied> = Ranking::new(&scores, &labels).by_falling_score().collect();
        let expected = [
            tied(infinite, 1, 0),
            tied(0.5, 2, 1),
            tied(0.0, 2, 0),
            tied(-3.5, 0, 1),
            tied(-infinite, 0, 1),
        ];
        assert_eq!(groups, expected);
    }
}
