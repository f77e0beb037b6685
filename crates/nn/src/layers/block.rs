//! A block: attention, then mixtures of feed-forward experts, each with layer normalisation before it
//! and a residual around it.

use super::{Attention, EncoderConfig, ExpertLoad, LayerNorm, Mode, MoeFfn, drop_out};
use crate::ops::Activation;
use crate::{Device, Error, Group, Matrix, Offsets, Parameters, Tape};

/// See the module.
#[derive(Clone, Debug)]
pub struct Block {
    attention_norm: LayerNorm,
    attention: Attention,
    ffns: Vec<(LayerNorm, MoeFfn)>,
    dropout: f32,
}

/// The first place of the gates of a block, after those of dropout.
const GATES: u64 = 1 << 32;

/// The residual stream between layers: `stream + branch` is its value; the sum is made by the next
/// normalisation.
pub(crate) struct Residual<D: Device> {
    pub(crate) stream: Option<Matrix<D>>,
    pub(crate) branch: Matrix<D>,
}

impl<D: Device> Residual<D> {
    /// Normalises the value; the stream goes on beside it.
    pub(crate) fn normalize<T: Tape<f32, D>>(
        self,
        norm: &LayerNorm,
        parameters: &Parameters<D>,
        tape: &mut T,
    ) -> Result<(Matrix<D>, Matrix<D>), Error> {
        let out = norm.forward(
            parameters,
            &self.branch,
            self.stream.as_ref(),
            Activation::Identity,
            tape,
        )?;
        Ok((out.stream, out.y))
    }
}

impl Block {
    /// Adds `{name}.attention_norm`, `{name}.attention`, `{name}.ffn_norm.{i}`, `{name}.ffn.{i}`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        config: &EncoderConfig,
    ) -> Result<Self, Error> {
        let EncoderConfig {
            width,
            heads,
            inner,
            experts,
            attention_experts,
            ..
        } = *config;
        let mut norm = |name: String| LayerNorm::new(parameters, &name, Group::Encoder, width);
        let attention_norm = norm(format!("{name}.attention_norm"))?;
        let norms = (0..config.ffns)
            .map(|i| norm(format!("{name}.ffn_norm.{i}")))
            .collect::<Result<Vec<_>, _>>()?;
        let attention = format!("{name}.attention");
        let attention = Attention::new(
            parameters,
            &attention,
            width,
            heads,
            attention_experts,
            &config.attention_options(),
        )?
        .jittered(config.jitter);
        let mut ffns = Vec::new();
        for (i, norm) in norms.into_iter().enumerate() {
            let ffn = MoeFfn::new(
                parameters,
                &format!("{name}.ffn.{i}"),
                width,
                inner,
                experts,
                &config.moe,
            )?;
            ffns.push((norm, ffn.jittered(config.jitter)));
        }
        Ok(Self {
            attention_norm,
            attention,
            ffns,
            dropout: config.dropout,
        })
    }

    /// [N, d] to [N, d].
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: Matrix<D>,
        offsets: &Offsets,
        mode: Mode,
        loads: &mut Vec<ExpertLoad<D>>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let residual = Residual {
            stream: None,
            branch: x,
        };
        let out = self.forward_residual(parameters, residual, offsets, mode, loads, tape)?;
        match &out.stream {
            Some(stream) => crate::ops::add(stream, &out.branch, tape),
            None => Ok(out.branch),
        }
    }

    pub(crate) fn forward_residual<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        residual: Residual<D>,
        offsets: &Offsets,
        mode: Mode,
        loads: &mut Vec<ExpertLoad<D>>,
        tape: &mut T,
    ) -> Result<Residual<D>, Error> {
        let (mut stream, y) = residual.normalize(&self.attention_norm, parameters, tape)?;
        let attended =
            self.attention
                .forward(parameters, &y, offsets, mode.at(GATES), loads, tape)?;
        let mut branch = drop_out(attended, self.dropout, mode.at(0), tape)?;
        for (i, (norm, ffn)) in self.ffns.iter().enumerate() {
            let residual = Residual {
                stream: Some(stream),
                branch,
            };
            let (next, y) = residual.normalize(norm, parameters, tape)?;
            let of_gate = mode.at(GATES + 1 + i as u64);
            let out = ffn.forward(parameters, &y, of_gate, loads, tape)?;
            branch = drop_out(out, self.dropout, mode.at(1 + i as u64), tape)?;
            stream = next;
        }
        Ok(Residual {
            stream: Some(stream),
            branch,
        })
    }
}
