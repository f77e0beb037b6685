//! Which token goes to which expert: the tokens sorted by expert, and the way back.

use super::buffers::Buffer;
use super::gate::{Gate, MoeOptions};
use super::vectors::{self, vectorized};
use crate::threads::OnThreads;

/// A choice that no expert serves (over capacity).
const DROPPED: u32 = u32::MAX;
/// Tokens of one task.
const TOKENS: usize = 128;
/// Rows of one expert that one task computes.
const BLOCK: usize = 128;

/// The choices of a batch: N tokens times k, of which R rows are served, sorted by expert.
pub(crate) struct Routing {
    /// Weight of each choice in the output, [N, k].
    weights: Vec<f32>,
    /// Expert of each choice, [N, k].
    experts: Vec<u32>,
    /// Served row of each choice, or `DROPPED`, [N, k].
    rows: Vec<u32>,
    /// Choice of each served row, `[R]`.
    choices: Vec<u32>,
    /// Served rows of expert e: starts[e]..starts[e + 1].
    pub(crate) starts: Vec<usize>,
    /// Choices by expert before any is dropped, `[E]`.
    pub(crate) counts: Vec<u32>,
    top_k: usize,
}

/// Rows of one expert: one task of a grouped product.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) expert: usize,
    pub(crate) start: usize,
    pub(crate) rows: usize,
}

impl Routing {
    pub(crate) fn new(gate: &Gate, options: &MoeOptions) -> Self {
        let k = options.top_k;
        let (experts, weights) = choices(gate, k);
        let mut counts = vec![0u32; gate.experts];
        for &expert in &experts {
            counts[expert as usize] += 1;
        }
        let capacity = options.capacity(gate.tokens, gate.experts);
        let mut starts = vec![0usize; gate.experts + 1];
        for (expert, &count) in counts.iter().enumerate() {
            starts[expert + 1] = starts[expert] + (count as usize).min(capacity);
        }
        let mut next = starts.clone();
        let mut rows = vec![DROPPED; experts.len()];
        let mut choices = vec![0u32; starts[gate.experts]];
        for (choice, &expert) in experts.iter().enumerate() {
            let row = &mut next[expert as usize];
            if *row < starts[expert as usize + 1] {
                rows[choice] = *row as u32;
                choices[*row] = choice as u32;
                *row += 1;
            }
        }
        Self {
            weights,
            experts,
            rows,
            choices,
            starts,
            counts,
            top_k: k,
        }
    }

    /// Served rows R.
    pub(crate) fn served(&self) -> usize {
        self.choices.len()
    }

    /// Choices that no expert serves.
    pub(crate) fn dropped(&self) -> u32 {
        (self.rows.len() - self.choices.len()) as u32
    }

    /// Share of the choices by expert: f_e of the load-balance loss.
    pub(crate) fn shares(&self) -> Vec<f64> {
        let total = self.rows.len().max(1) as f64;
        self.counts
            .iter()
            .map(|&count| f64::from(count) / total)
            .collect()
    }

    /// Blocks of rows in order; each holds rows of one expert.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.chunks(BLOCK)
    }

    /// The same with at most `length` rows each.
    pub(crate) fn chunks(&self, length: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (expert, pair) in self.starts.windows(2).enumerate() {
            for start in (pair[0]..pair[1]).step_by(length) {
                blocks.push(Block {
                    expert,
                    start,
                    rows: length.min(pair[1] - start),
                });
            }
        }
        blocks
    }

    /// The rows of x [N, d] that a block serves: `sorted` [rows, d].
    pub(crate) fn gather(&self, block: Block, x: &[f32], sorted: &mut [f32]) {
        let width = sorted.len() / block.rows.max(1);
        let choices = &self.choices[block.start..][..block.rows];
        for (row, &choice) in sorted.chunks_exact_mut(width).zip(choices) {
            row.copy_from_slice(&x[choice as usize / self.top_k * width..][..width]);
        }
    }

    /// By token the weighted sum of its served rows of y [R, d]: [N, d].
    pub(crate) fn combine(&self, y: &[f32], width: usize, tokens: usize) -> Buffer {
        let mut out = Buffer::scratch(tokens * width);
        self.spread(&mut out, y, width, Some(&self.weights));
        out
    }

    /// `out += ` the sum of each token's served rows of dx [R, d].
    pub(crate) fn add_back(&self, out: &mut [f32], dx: &[f32], width: usize) {
        self.spread(out, dx, width, None);
    }

    /// Adds to `out`; with weights, to zeros.
    fn spread(&self, out: &mut [f32], rows: &[f32], width: usize, weights: Option<&[f32]>) {
        let k = self.top_k;
        out.chunks_mut(TOKENS * width)
            .zip(self.rows.chunks(TOKENS * k))
            .enumerate()
            .for_each_on_threads(|(block, (out, places))| {
                let weights = weights.map(|weights| &weights[block * TOKENS * k..]);
                if weights.is_some() {
                    out.fill(0.0);
                }
                add_served_rows(out, rows, places, weights, width);
            });
    }

    /// Backward of [`Routing::combine`]: the gradient of y [R, d], and of the weights [N, k].
    pub(crate) fn combine_backward(
        &self,
        dy: &[f32],
        y: &[f32],
        width: usize,
    ) -> (Buffer, Vec<f32>) {
        let mut d_rows = Buffer::scratch(y.len());
        let mut d_by_row = Buffer::scratch(self.served());
        d_rows
            .chunks_mut(TOKENS * width)
            .zip(y.chunks(TOKENS * width))
            .zip(d_by_row.chunks_mut(TOKENS))
            .zip(self.choices.chunks(TOKENS))
            .for_each_on_threads(|(((d_rows, y), d_weights), choices)| {
                let from = Chosen {
                    dy,
                    weights: &self.weights,
                    choices,
                    top_k: self.top_k,
                };
                served_row_gradients(d_rows, d_weights, y, from, width);
            });
        let d_weight = |&row: &u32| {
            if row == DROPPED {
                0.0
            } else {
                d_by_row[row as usize]
            }
        };
        (d_rows, self.rows.iter().map(d_weight).collect())
    }

    /// Adds the gradients of the weights [N, k] to those of one token's probabilities `[E]`.
    pub(crate) fn add_weight_gradients(
        &self,
        token: usize,
        d_row: &mut [f32],
        d_weights: &[f32],
        gate: &Gate,
    ) {
        let k = self.top_k;
        let span = token * k..(token + 1) * k;
        let (experts, d_weights) = (&self.experts[span.clone()], &d_weights[span.clone()]);
        if k == 1 {
            d_row[experts[0] as usize] += d_weights[0];
            return;
        }
        // w_j = p_j / sum of the chosen p: dp_j = (dw_j - sum_i dw_i w_i) / sum.
        let row = &gate.probabilities[token * gate.experts..][..gate.experts];
        let total: f32 = experts.iter().map(|&expert| row[expert as usize]).sum();
        let mean: f32 = d_weights
            .iter()
            .zip(&self.weights[span])
            .map(|(d, w)| d * w)
            .sum();
        for (&expert, d) in experts.iter().zip(d_weights) {
            d_row[expert as usize] += (d - mean) / total;
        }
    }
}

/// Where the gradients of served rows come from.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    /// Gradients of the outputs, [N, d].
    dy: &'a [f32],
    weights: &'a [f32],
    /// Choice of each row.
    choices: &'a [u32],
    top_k: usize,
}

vectorized! {
    /// Adds to each token the rows at its `places`, times their weights.
    fn add_served_rows(
        out: &mut [f32],
        rows: &[f32],
        places: &[u32],
        weights: Option<&[f32]>,
        width: usize,
    ) {
        let k = places.len() / (out.len() / width).max(1);
        for (token, out) in out.chunks_exact_mut(width).enumerate() {
            for choice in token * k..(token + 1) * k {
                if places[choice] != DROPPED {
                    let row = &rows[places[choice] as usize * width..][..width];
                    match weights {
                        Some(weights) => vectors::add_scaled(out, weights[choice], row),
                        None => vectors::add(out, row),
                    }
                }
            }
        }
    }

    /// The gradients of some served rows and of their weights.
    fn served_row_gradients(
        d_rows: &mut [f32],
        d_weights: &mut [f32],
        y: &[f32],
        from: Chosen<'_>,
        width: usize,
    ) {
        let rows = d_rows.chunks_exact_mut(width).zip(y.chunks_exact(width));
        for (((d_row, y), d_weight), &choice) in rows.zip(d_weights).zip(from.choices) {
            let dy = &from.dy[choice as usize / from.top_k * width..][..width];
            let weight = from.weights[choice as usize];
            *d_weight = vectors::dot(dy, y);
            for (d, dy) in d_row.iter_mut().zip(dy) {
                *d = weight * dy;
            }
        }
    }
}

/// The `k` experts of each token and their weights, [N, k] each.
fn choices(gate: &Gate, k: usize) -> (Vec<u32>, Vec<f32>) {
    if k == 1 {
        let rows = gate.probabilities.chunks_exact(gate.experts);
        let weights = rows.zip(&gate.best).map(|(row, &best)| row[best as usize]);
        return (gate.best.clone(), weights.collect());
    }
    let mut experts = vec![0; gate.tokens * k];
    let mut weights = vec![0.0; gate.tokens * k];
    gate.probabilities
        .chunks(TOKENS * gate.experts)
        .zip(experts.chunks_mut(TOKENS * k))
        .zip(weights.chunks_mut(TOKENS * k))
        .for_each_on_threads(|((rows, experts), weights)| {
            let mut order = vec![0; gate.experts];
            for ((row, experts), weights) in rows
                .chunks_exact(gate.experts)
                .zip(experts.chunks_exact_mut(k))
                .zip(weights.chunks_exact_mut(k))
            {
                choose(row, &mut order, experts, weights);
            }
        });
    (experts, weights)
}

/// The k largest probabilities of a row, the lower expert first among equals, and their weights; `order` has
/// room for all experts.
fn choose(row: &[f32], order: &mut [u32], experts: &mut [u32], weights: &mut [f32]) {
    for (expert, place) in order.iter_mut().enumerate() {
        *place = expert as u32;
    }
    let larger = |a: &u32, b: &u32| {
        let (p, q) = (row[*a as usize], row[*b as usize]);
        q.total_cmp(&p).then(a.cmp(b))
    };
    if experts.len() < order.len() {
        order.select_nth_unstable_by(experts.len(), larger);
    }
    let chosen = &mut order[..experts.len()];
    chosen.sort_unstable_by(larger);
    experts.copy_from_slice(chosen);
    for (weight, &expert) in weights.iter_mut().zip(&*experts) {
        *weight = row[expert as usize];
    }
    let total: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
}

/// By row of [N, E] the weight of each expert in the output, 0 where it is not chosen or over capacity:
/// what the composed references multiply by, with the gate's probabilities taken out (k = 1: 1; k > 1: 1).
pub(crate) fn chosen_mask(gate: &Gate, options: &MoeOptions) -> (Vec<f32>, Vec<f32>, Routing) {
    let routing = Routing::new(gate, options);
    let mut chosen = vec![0.0; gate.probabilities.len()];
    let mut served = vec![0.0; chosen.len()];
    for (choice, &expert) in routing.experts.iter().enumerate() {
        let place = choice / routing.top_k * gate.experts + expert as usize;
        chosen[place] = 1.0;
        if routing.rows[choice] != DROPPED {
            served[place] = 1.0;
        }
    }
    (chosen, served, routing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(probabilities: &[f32], experts: usize) -> Gate {
        Gate::of_probabilities(Buffer::from_values(probabilities), experts)
    }

    #[test]
    fn tokens_are_sorted_by_expert_in_their_own_order() {
        let gate = gate(&[0.1, 0.9, 0.8, 0.2, 0.4, 0.6, 0.5, 0.5], 2);
        let routing = Routing::new(&gate, &MoeOptions::default());
        assert_eq!(routing.counts, [2, 2]);
        assert_eq!(routing.choices, [1, 3, 0, 2]); // equal probabilities: the lower expert
        assert_eq!(routing.weights, [0.9, 0.8, 0.6, 0.5]);
        assert_eq!(routing.dropped(), 0);
    }

    #[test]
    fn several_experts_are_the_likeliest_in_order_and_their_weights_add_up() {
        let gate = gate(&[0.1, 0.3, 0.2, 0.3, 0.1, 0.25, 0.05, 0.25, 0.2, 0.25], 5);
        let of = |top_k| {
            let options = MoeOptions {
                top_k,
                ..MoeOptions::default()
            };
            Routing::new(&gate, &options)
        };
        assert_eq!(of(3).experts, [1, 3, 2, 0, 2, 4]);
        assert_eq!(of(5).experts, [1, 3, 2, 0, 4, 0, 2, 4, 3, 1]);
        for top_k in 2..=5 {
            for weights in of(top_k).weights.chunks_exact(top_k) {
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn over_capacity_the_first_tokens_are_served() {
        let gate = gate(&[0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.2, 0.8], 2);
        let options = MoeOptions {
            capacity_factor: Some(1.0),
            ..MoeOptions::default()
        };
        let routing = Routing::new(&gate, &options);
        assert_eq!(routing.counts, [3, 1]);
        assert_eq!(routing.rows, [0, 1, DROPPED, 2]);
        assert_eq!(routing.dropped(), 1);
    }

    #[test]
    fn the_work_does_not_grow_with_experts() {
        for experts in [1, 4, 64] {
            let probabilities: Vec<f32> = (0..300 * experts)
                .map(|i| ((i * 7919) % 1009) as f32)
                .collect();
            let routing = Routing::new(&gate(&probabilities, experts), &MoeOptions::default());
            assert_eq!(
                routing
                    .blocks()
                    .iter()
                    .map(|block| block.rows)
                    .sum::<usize>(),
                300
            );
        }
    }
}
