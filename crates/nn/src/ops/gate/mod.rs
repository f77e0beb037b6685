//! The gate of a mixture: softmax over all experts, the choice of the top ones, and its two losses.

mod kernel;

use self::kernel::{Said, Weight};
use super::buffers::Buffer;
use super::dropout::mix;
use super::vectors::{self, vectorized};
use crate::Error;
use crate::threads::OnThreads;

/// How tokens are sent to experts.
#[derive(Clone, Debug, PartialEq)]
pub struct MoeOptions {
    /// Experts that run for each token. With 1 the output is scaled by the gate's probability; with
    /// more, by the probabilities renormalised over the chosen ones.
    pub top_k: usize,
    /// `None`: every token is served. `Some(x)`: an expert serves at most ceil(x * tokens * top_k / experts)
    /// tokens, the first ones; the others get 0 from it, so that their residual passes through.
    pub capacity_factor: Option<f32>,
    /// In training, what the gate sees is multiplied by random factors; the experts see it as it is.
    pub jitter: Option<Jitter>,
}

/// Multiplicative noise on the gate's input (Switch Transformer, Fedus et al. 2021, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    /// Factors are uniform in [1 - width, 1 + width); at least 0 and below 1.
    pub width: f32,
    /// The same key gives the same factors.
    pub key: u64,
}

impl Jitter {
    /// Multiplies `values` by the factors of their places.
    pub(crate) fn apply(self, values: &mut [f32]) {
        values
            .chunks_mut(JITTERED)
            .enumerate()
            .for_each_on_threads(|(block, values)| {
                jitter_block(values, (block * JITTERED) as u64, self.key, self.width);
            });
    }
}

/// Values of one task of [`Jitter::apply`].
const JITTERED: usize = 8192;

impl Default for MoeOptions {
    fn default() -> Self {
        Self {
            top_k: 1,
            capacity_factor: None,
            jitter: None,
        }
    }
}

impl MoeOptions {
    /// Errors unless 1 <= top_k <= experts, the capacity factor is above 0 and the jitter in [0, 1).
    pub fn check(&self, experts: usize) -> Result<(), Error> {
        if self.top_k == 0 || self.top_k > experts {
            return Err(Error::value(
                "mixture of experts",
                "top_k",
                format!("1 to the number of experts {experts}"),
                self.top_k,
            ));
        }
        if let Some(jitter) = self.jitter
            && !(0.0..1.0).contains(&jitter.width)
        {
            return Err(Error::value(
                "mixture of experts",
                "jitter",
                "at least 0 and below 1",
                jitter.width,
            ));
        }
        match self.capacity_factor {
            Some(factor) if factor.is_nan() || factor <= 0.0 => Err(Error::value(
                "mixture of experts",
                "capacity_factor",
                "above 0",
                factor,
            )),
            _ => Ok(()),
        }
    }

    /// The most tokens that one expert serves.
    pub(crate) fn capacity(&self, tokens: usize, experts: usize) -> usize {
        let fair = (tokens * self.top_k) as f64 / experts as f64;
        self.capacity_factor.map_or(usize::MAX, |factor| {
            (f64::from(factor) * fair).ceil() as usize
        })
    }
}

/// Rows of one task.
const ROWS: usize = 128;

/// What the gate says of a batch.
pub(crate) struct Gate {
    /// [N, E].
    pub(crate) probabilities: Buffer,
    /// logsumexp of the logits, `[N]`.
    pub(crate) normalizers: Vec<f32>,
    /// The expert with the largest probability, the lower one among equals, `[N]`.
    pub(crate) best: Vec<u32>,
    pub(crate) tokens: usize,
    pub(crate) experts: usize,
}

impl Gate {
    /// softmax(x W) for x [N, d] and W [d, E].
    pub(crate) fn new(x: &[f32], weight: &[f32], tokens: usize, experts: usize) -> Self {
        let width = weight.len() / experts;
        let weight = Weight::new(weight, experts);
        let mut probabilities = Buffer::scratch(tokens * experts);
        let (mut normalizers, mut best) = (vec![0.0; tokens], vec![0; tokens]);
        x.chunks(ROWS * width)
            .zip(probabilities.chunks_mut(ROWS * experts))
            .zip(normalizers.chunks_mut(ROWS))
            .zip(best.chunks_mut(ROWS))
            .for_each_on_threads(|(((x, probabilities), normalizers), best)| {
                let said = Said {
                    probabilities,
                    normalizers,
                    best,
                };
                weight.softmax(x, said);
            });
        Self {
            probabilities,
            normalizers,
            best,
            tokens,
            experts,
        }
    }

    /// One whose probabilities [N, E] are known, without its logits.
    pub(crate) fn of_probabilities(probabilities: Buffer, experts: usize) -> Self {
        let first_largest = |row: &[f32]| {
            let mut best = 0;
            for (expert, p) in row.iter().enumerate() {
                if *p > row[best] {
                    best = expert;
                }
            }
            best as u32
        };
        let best: Vec<u32> = probabilities
            .chunks_exact(experts)
            .map(first_largest)
            .collect();
        Self {
            normalizers: vec![0.0; best.len()],
            tokens: best.len(),
            probabilities,
            best,
            experts,
        }
    }

    /// Mean probability of each expert, `[E]`.
    pub(crate) fn mean_probabilities(&self) -> Vec<f64> {
        let mut means = vec![0.0f64; self.experts];
        add_rows(&mut means, &self.probabilities);
        let tokens = self.tokens.max(1) as f64;
        means.iter_mut().for_each(|mean| *mean /= tokens);
        means
    }

    /// Router z-loss: mean of logsumexp squared (ST-MoE, Zoph et al. 2022).
    pub(crate) fn z_loss(&self) -> f32 {
        let squares: f64 = self
            .normalizers
            .iter()
            .map(|&z| f64::from(z) * f64::from(z))
            .sum();
        (squares / self.tokens.max(1) as f64) as f32
    }

    /// The gradients of the logits [N, E]: `fill(token, row)` writes those of a token's probabilities,
    /// `z_slope` is the gradient of the z-loss.
    pub(crate) fn logit_gradients(
        &self,
        z_slope: f32,
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Buffer {
        let z_scale = 2.0 * z_slope / self.tokens.max(1) as f32;
        let mut gradients = Buffer::scratch(self.probabilities.len());
        gradients
            .chunks_mut(ROWS * self.experts)
            .zip(self.probabilities.chunks(ROWS * self.experts))
            .zip(self.normalizers.chunks(ROWS))
            .enumerate()
            .for_each_on_threads(|(block, ((d_rows, rows), normalizers))| {
                for (i, d_row) in d_rows.chunks_exact_mut(self.experts).enumerate() {
                    fill(block * ROWS + i, d_row);
                }
                logit_gradients(d_rows, rows, normalizers, z_scale, self.experts);
            });
        gradients
    }
}

vectorized! {
    fn jitter_block(values: &mut [f32], first: u64, key: u64, width: f32) {
        for (i, value) in values.iter_mut().enumerate() {
            // 24 random bits: each is a number of f32.
            let random = (mix(key, first + i as u64) >> 40) as f32 / 16_777_216.0;
            *value *= 1.0 + width * (2.0 * random - 1.0);
        }
    }

    /// `sums += ` the rows of [N, E].
    fn add_rows(sums: &mut [f64], rows: &[f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
    }

    fn logit_gradients(
        d_rows: &mut [f32],
        rows: &[f32],
        normalizers: &[f32],
        z_scale: f32,
        experts: usize,
    ) {
        let rows = d_rows.chunks_exact_mut(experts).zip(rows.chunks_exact(experts));
        for ((d_row, row), &z) in rows.zip(normalizers) {
            let mean = vectors::dot(d_row, row);
            for (d, p) in d_row.iter_mut().zip(row) {
                *d = p * (*d - mean + z_scale * z);
            }
        }
    }
}
