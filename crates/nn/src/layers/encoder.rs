//! The encoder: multi-channel feature projection, positions, blocks, a last normalisation.

use std::sync::Arc;

use super::block::Residual;
use super::{Block, ExpertLoad, LayerNorm, Mfp, MfpConfig, MfpInput, Mode, drop_out};
use crate::ops::MoeOptions;
use crate::parameters::{Initial, MatrixHandle};
use crate::{Device, Error, Group, Matrix, Offsets, Parameters, Scalar, Tape, ops};

/// Sizes of an [`Encoder`].
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// The input channels; its width is that of the model.
    pub mfp: MfpConfig,
    /// Width d of the model.
    pub width: usize,
    /// Heads of attention, a divisor of the width.
    pub heads: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Inner width of an expert.
    pub inner: usize,
    /// Experts of each feed-forward mixture; 1 = a plain network.
    pub experts: usize,
    /// Experts of each projection of attention; 1 = plain attention.
    pub attention_experts: usize,
    /// Feed-forward mixtures in a block: 2 in SuperMoE, 1 in a plain transformer.
    pub ffns: usize,
    /// How tokens are sent to feed-forward experts; the projections use the same with `top_k` 1.
    pub moe: MoeOptions,
    /// Width of the noise on what gates see in training, at least 0 and below 1, see [`ops::Jitter`].
    pub jitter: f32,
    /// Rate of dropout, at least 0 and below 1.
    pub dropout: f32,
    /// Number of learned positions; steps further back share the last one.
    pub positions: usize,
}

impl EncoderConfig {
    pub(crate) fn attention_options(&self) -> MoeOptions {
        MoeOptions {
            top_k: 1,
            ..self.moe.clone()
        }
    }
}

/// One packed batch.
pub struct EncoderInput<'a, D: Device> {
    /// Channels.
    pub channels: MfpInput<'a, D>,
    /// Position of each step, counted from the newest one back, `[N]`.
    pub positions: &'a [u32],
    /// Rows of the sequences.
    pub offsets: &'a Offsets,
}

/// Result of [`Encoder::forward`].
pub struct EncoderOutput<D: Device> {
    /// The last block's output after the last normalisation, [N, d].
    pub hidden: Matrix<D>,
    /// Sum of the load-balance losses of all mixtures, 0 without any.
    pub balance: Scalar<D>,
    /// Sum of their z-losses.
    pub z: Scalar<D>,
    /// Each mixture by itself.
    pub loads: Vec<ExpertLoad<D>>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Encoder {
    mfp: Mfp,
    position: MatrixHandle,
    positions: usize,
    blocks: Vec<Block>,
    norm: LayerNorm,
    dropout: f32,
}

impl Encoder {
    /// Adds the parameters `mfp.*`, `position`, `block.{i}.*`, `norm.*`. Errors on sizes that do not fit.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        config: &EncoderConfig,
    ) -> Result<Self, Error> {
        if config.mfp.width != config.width {
            return Err(Error::value(
                "encoder",
                "width of the projection",
                config.width.to_string(),
                config.mfp.width,
            ));
        }
        if config.positions == 0 {
            return Err(Error::value("encoder", "positions", "at least 1", 0));
        }
        let mfp = Mfp::new(parameters, "mfp", &config.mfp)?;
        let shape = (config.positions, config.width);
        let position = parameters.add("position", Group::Encoder, shape, Initial::Normal(0.02))?;
        let blocks = (0..config.layers)
            .map(|i| Block::new(parameters, &format!("block.{i}"), config))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = LayerNorm::new(parameters, "norm", Group::Encoder, config.width)?;
        Ok(Self {
            mfp,
            position,
            positions: config.positions,
            blocks,
            norm,
            dropout: config.dropout,
        })
    }

    /// The projection of the input channels.
    pub fn mfp(&self) -> &Mfp {
        &self.mfp
    }

    /// Encodes a batch.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        input: &EncoderInput<'_, D>,
        mode: Mode,
        tape: &mut T,
    ) -> Result<EncoderOutput<D>, Error> {
        let projected = self.mfp.forward(parameters, &input.channels, tape)?;
        let last = self.positions - 1;
        let rows: Arc<[u32]> = input
            .positions
            .iter()
            .map(|&position| position.min(last as u32))
            .collect();
        let position = ops::gather_rows(parameters.get(self.position), &rows, tape)?;
        let x = ops::add(&projected, &position, tape)?;
        let x = drop_out(x, self.dropout, mode.at(0), tape)?;
        let mut loads = Vec::new();
        let mut residual = Residual {
            stream: None,
            branch: x,
        };
        for (i, block) in self.blocks.iter().enumerate() {
            let mode = mode.at(1 + i as u64);
            residual = block.forward_residual(
                parameters,
                residual,
                input.offsets,
                mode,
                &mut loads,
                tape,
            )?;
        }
        let (_, hidden) = residual.normalize(&self.norm, parameters, tape)?;
        let device = parameters.device();
        let balances: Vec<_> = loads.iter().map(|load| (&load.balance, 1.0)).collect();
        let balance = ops::sum(device, &balances, tape)?;
        let zs: Vec<_> = loads.iter().map(|load| (&load.z, 1.0)).collect();
        let z = ops::sum(device, &zs, tape)?;
        Ok(EncoderOutput {
            hidden,
            balance,
            z,
            loads,
        })
    }
}
