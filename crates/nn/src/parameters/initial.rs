//! Initial values from a seed and a name.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// All values are this one.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform in [-limit, limit].
    Uniform(f32),
}

impl Initial {
    /// The initialisation of a linear layer's weight and bias: uniform in +-1 / sqrt(inputs).
    pub fn linear(inputs: usize) -> Self {
        Initial::Uniform(1.0 / (inputs.max(1) as f32).sqrt())
    }

    pub(crate) fn values(self, count: usize, key: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(key);
        match self {
            Initial::Constant(value) => vec![value; count],
            Initial::Uniform(limit) => (0..count)
                .map(|_| (2.0 * unit(&mut random) - 1.0) as f32 * limit)
                .collect(),
            Initial::Normal(deviation) => {
                let mut values = Vec::with_capacity(count + 1);
                while values.len() < count {
                    // Box and Muller, 1958: two normal values from two uniform ones.
                    let radius = (-2.0 * (1.0 - unit(&mut random)).ln()).sqrt();
                    let (sine, cosine) = (std::f64::consts::TAU * unit(&mut random)).sin_cos();
                    values.push((radius * cosine) as f32 * deviation);
                    values.push((radius * sine) as f32 * deviation);
                }
                values.truncate(count);
                values
            }
        }
    }
}

/// Uniform in [0, 1) with 53 bits.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A seed of its own for each name (FNV-1a of the name, mixed with the seed).
pub(crate) fn key_of(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    crate::ops::dropout::mix(seed, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_the_distributions() {
        let moments = |values: Vec<f32>| {
            let n = values.len() as f64;
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            (
                mean,
                (values
                    .iter()
                    .map(|&v| (f64::from(v) - mean).powi(2))
                    .sum::<f64>()
                    / n)
                    .sqrt(),
            )
        };
        let (mean, deviation) = moments(Initial::Normal(0.5).values(100_001, 3));
        assert!(
            mean.abs() < 0.01 && (deviation - 0.5).abs() < 0.01,
            "{mean} {deviation}"
        );
        let (mean, deviation) = moments(Initial::Uniform(0.5).values(100_001, 3));
        assert!(
            mean.abs() < 0.01 && (deviation - 0.5 / 3f64.sqrt()).abs() < 0.01,
            "{mean} {deviation}"
        );
    }

    #[test]
    fn names_have_values_of_their_own() {
        assert_ne!(key_of(1, "a.weight"), key_of(1, "b.weight"));
        assert_ne!(key_of(1, "a.weight"), key_of(2, "a.weight"));
        assert_eq!(
            Initial::Normal(1.0).values(3, 9),
            Initial::Normal(1.0).values(5, 9)[..3]
        );
    }
}
