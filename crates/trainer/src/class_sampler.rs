//! Draws classes for sampled softmax, each at most once, and tells how often each was to be expected.

use std::collections::BTreeSet;

use rand_chacha::rand_core::Rng;

/// Draws from the classes `first..first + classes`.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSampler {
    pub first: u32,
    pub classes: u32,
    pub proposal: Proposal,
}

/// How likely each class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposal {
    /// Class i, counted from 0, with ln((i + 2) / (i + 1)) / ln(classes + 1): about as words and
    /// products are, where classes stand from the most to the least frequent.
    LogUniform,
    /// All classes alike.
    Uniform,
}

/// A draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Ascending, each once.
    pub classes: Vec<u32>,
    /// How many draws it took until there were so many different ones.
    pub draws: u64,
}

impl ClassSampler {
    /// Draws `count` different classes; fewer than half of them all, or it would take long.
    pub fn draw(&self, count: usize, random: &mut impl Rng) -> Drawn {
        let mut classes = BTreeSet::new();
        let mut draws = 0;
        while classes.len() < count {
            draws += 1;
            classes.insert(self.first + self.one(random));
        }
        Drawn {
            classes: classes.into_iter().collect(),
            draws,
        }
    }

    fn one(&self, random: &mut impl Rng) -> u32 {
        // In [0, 1), 53 bits.
        let unit = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let classes = f64::from(self.classes);
        let class = match self.proposal {
            Proposal::LogUniform => (unit * (classes + 1.0).ln()).exp() - 1.0,
            Proposal::Uniform => unit * classes,
        };
        // Rounding may reach the end.
        (class as u32).min(self.classes - 1)
    }

    /// The logarithm of how often a class is expected among those of so many draws, at most once:
    /// ln(1 - (1 - p)^draws).
    pub fn log_count(&self, class: u32, draws: u64) -> f32 {
        let class = f64::from(class - self.first);
        let classes = f64::from(self.classes);
        let p = match self.proposal {
            Proposal::LogUniform => ((class + 2.0) / (class + 1.0)).ln() / (classes + 1.0).ln(),
            Proposal::Uniform => 1.0 / classes,
        };
        let none = draws as f64 * (-p).ln_1p();
        (-none.exp_m1()).ln() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn counts_are_those_expected() {
        for proposal in [Proposal::LogUniform, Proposal::Uniform] {
            let sampler = ClassSampler {
                first: 3,
                classes: 200,
                proposal,
            };
            let mut random = stream(1, Purpose::Mask, 0, 0);
            let rounds = 4000;
            let (mut seen, mut expected) = (vec![0.0f64; 200], vec![0.0f64; 200]);
            for _ in 0..rounds {
                let drawn = sampler.draw(20, &mut random);
                assert_eq!(drawn.classes.len(), 20);
                assert!(drawn.classes.iter().all(|class| (3..203).contains(class)));
                for &class in &drawn.classes {
                    seen[class as usize - 3] += 1.0;
                }
                for (class, expected) in expected.iter_mut().enumerate() {
                    *expected += f64::from(sampler.log_count(class as u32 + 3, drawn.draws)).exp();
                }
            }
            for class in [0, 1, 5, 50, 199] {
                let (seen, expected) =
                    (seen[class] / rounds as f64, expected[class] / rounds as f64);
                assert!(
                    (seen - expected).abs() < 0.1 * expected + 0.01,
                    "{proposal:?} {class}: {seen} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn frequent_classes_are_drawn_more_often() {
        let sampler = ClassSampler {
            first: 3,
            classes: 1_000_000,
            proposal: Proposal::LogUniform,
        };
        let drawn = sampler.draw(1000, &mut stream(1, Purpose::Mask, 0, 0));
        let low = drawn.classes.iter().filter(|class| **class < 1003).count();
        assert!((200..450).contains(&low), "{low} of the first thousand");
        assert!(drawn.classes.iter().any(|class| *class > 100_000));
    }
}
