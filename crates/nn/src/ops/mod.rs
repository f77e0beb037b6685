//! Operations on packed batches. One file each: the checked entry, the fused CPU kernel with its
//! gradient, the reference composed of dfdx operations, and tests that every device runs.
//!
//! Results do not depend on the number of threads: work is split by shape, and sums have one order.

pub(crate) mod add;
pub(crate) mod add_rows;
pub(crate) mod attention;
pub(crate) mod bf16;
pub(crate) mod buffers;
pub(crate) mod cross_entropy;
pub(crate) mod dropout;
pub(crate) mod gate;
pub(crate) mod gated_sum;
pub(crate) mod gather_rows;
pub(crate) mod info_nce;
pub(crate) mod join_columns;
pub(crate) mod lanes;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod lookup;
pub(crate) mod losses;
pub(crate) mod mixture;
pub(crate) mod moe_ffn;
pub(crate) mod moe_linear;
pub(crate) mod pairwise_hinge;
pub(crate) mod products;
pub(crate) mod relu;
pub(crate) mod routing;
pub(crate) mod sampled_softmax;
pub(crate) mod segment_max;
pub(crate) mod segment_mean;
pub(crate) mod turned;
pub(crate) mod vectors;

#[cfg(test)]
pub(crate) mod checks;

pub use add::add;
pub use add_rows::add_rows;
pub use attention::{Qkv, attention};
pub use cross_entropy::{NO_TARGET, cross_entropy};
pub use dropout::dropout;
pub use gate::{Jitter, MoeOptions};
pub use gated_sum::gated_sum;
pub use gather_rows::gather_rows;
pub use info_nce::info_nce;
pub use join_columns::join_columns;
pub use layer_norm::{Activation, Normalized, layer_norm};
pub use linear::linear;
pub use lookup::{DenseInput, lookup};
pub use losses::{backward, bce_with_logits, huber, mse, sum, weighted_sum};
pub use mixture::MoeOutput;
pub use moe_ffn::{MoeWeights, moe_ffn};
pub use moe_linear::moe_linear;
pub use pairwise_hinge::pairwise_hinge;
pub use relu::relu;
pub use sampled_softmax::{Candidates, sampled_softmax};
pub use segment_max::segment_max;
pub use segment_mean::segment_mean;

use dfdx::shapes::Shape;
use dfdx::tensor::{PutTape, Tape, Tensor};

use crate::Device;

/// A tensor that carries the tape, for a chain of dfdx operations; `split_tape` gives the tape back.
pub(crate) fn taped<S: Shape, D: Device, T: Tape<f32, D>>(
    x: &Tensor<S, f32, D>,
    tape: &mut T,
) -> Tensor<S, f32, D, T> {
    x.clone().put_tape(std::mem::take(tape))
}
