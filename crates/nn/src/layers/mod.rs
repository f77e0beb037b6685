//! Layers: handles into [`crate::Parameters`] and a `forward` that takes them.

mod attention;
mod block;
mod encoder;
mod layer_norm;
mod linear;
mod mfp;
mod mlp;
mod moe_ffn;
mod softmax_gate;

pub use attention::Attention;
pub use block::Block;
pub use encoder::{Encoder, EncoderConfig, EncoderInput, EncoderOutput};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use mfp::{Mfp, MfpConfig, MfpInput, TableSize};
pub use mlp::Mlp;
pub use moe_ffn::MoeFfn;
pub use softmax_gate::SoftmaxGate;

use crate::ops::{Jitter, MoeOptions};
use crate::{Device, Scalar};

/// Whether a forward pass is for training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout and the gates' jitter act; `key` must be another for each step (for instance a mix of seed and step).
    Train {
        /// Seed of this step's masks and factors.
        key: u64,
    },
    /// Neither does.
    Evaluate,
}

impl Mode {
    /// The mode for the `place`th part of a layer: the same, with a key of its own.
    pub fn at(self, place: u64) -> Self {
        match self {
            Mode::Train { key } => Mode::Train {
                key: crate::ops::dropout::mix(key, place),
            },
            Mode::Evaluate => Mode::Evaluate,
        }
    }

    /// `options` with noise of this width on what the gate sees, in training and above a width of 0.
    pub(crate) fn jittered(self, options: &MoeOptions, width: f32) -> MoeOptions {
        let jitter = match self {
            Mode::Train { key } if width > 0.0 => Some(Jitter { width, key }),
            Mode::Train { .. } | Mode::Evaluate => None,
        };
        MoeOptions {
            jitter,
            ..options.clone()
        }
    }
}

/// What a mixture of experts says of a batch.
pub struct ExpertLoad<D: Device> {
    /// The layer: `block.0.ffn.1`, `block.0.attention.q`.
    pub layer: String,
    /// Load-balance loss, see [`crate::ops::MoeOutput::balance`].
    pub balance: Scalar<D>,
    /// Router z-loss.
    pub z: Scalar<D>,
    /// Choices by expert.
    pub counts: Vec<u32>,
    /// Choices over capacity.
    pub dropped: u32,
}

/// [`ops::dropout`](crate::ops::dropout) in training, nothing else.
pub fn drop_out<D: Device, T: crate::Tape<f32, D>>(
    x: crate::Matrix<D>,
    rate: f32,
    mode: Mode,
    tape: &mut T,
) -> Result<crate::Matrix<D>, crate::Error> {
    match mode {
        Mode::Train { key } => crate::ops::dropout(&x, rate, key, tape),
        Mode::Evaluate => Ok(x),
    }
}
