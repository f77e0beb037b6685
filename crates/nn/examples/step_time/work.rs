//! The floating-point operations of a step that its shapes ask for.

use crate::batch::Batch;
use crate::options::Options;

/// Matrix products alone, a product [m, k] x [k, n] as 2 m k n operations, in 10^9. A training step has
/// three products for each of the forward pass: that, and one for the gradient of each operand. What an
/// implementation computes again is not counted. For N rows, M of them masked, T_s steps of sequence s,
/// channels of width c side by side, width d, inner width h, E experts, A in each projection:
///
/// - projection: 2 N c d
/// - a block: q, k, v, output 8 N d^2; attention sum_s 4 T_s^2 d; gates of the projections 6 N d A, where A > 1;
///   two mixtures 2 (4 N d h), and their gates 2 (2 N d E), where E > 1
/// - heads: 2 M d V for each, V its vocabulary
pub fn gflop(options: &Options, batch: &Batch) -> f64 {
    let rows = batch.offsets.rows();
    let (d, h) = (options.d_model, options.d_ff);
    let channels = options.emb * (options.cat.count + options.id.count) + options.dense;
    let gate = |experts: usize| {
        if experts > 1 {
            2 * rows * d * experts
        } else {
            0
        }
    };
    let squares: usize = batch.offsets.ranges().map(|rows| rows.len().pow(2)).sum();
    let attention = 8 * rows * d * d + 4 * squares * d + 3 * gate(options.attention_experts);
    let mixtures = 2 * (4 * rows * d * h + gate(options.experts));
    let encoder = 2 * rows * channels * d + options.layers * (attention + mixtures);
    let heads = options.mcp * 2 * batch.masked.len() * d * options.cat.rows;
    let total = if options.inference {
        encoder
    } else {
        3 * (encoder + heads)
    };
    total as f64 * 1e-9
}
