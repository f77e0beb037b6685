//! A mixture of feed-forward experts.

use super::{ExpertLoad, Mode};
use crate::ops::{MoeOptions, MoeWeights};
use crate::parameters::{CubeHandle, Initial, MatrixHandle};
use crate::{Device, Error, Group, Matrix, Parameters, Tape, ops};

/// See [`ops::moe_ffn`].
#[derive(Clone, Debug)]
pub struct MoeFfn {
    name: String,
    experts: usize,
    gate: MatrixHandle,
    inner: CubeHandle,
    inner_bias: MatrixHandle,
    outer: CubeHandle,
    outer_bias: MatrixHandle,
    options: MoeOptions,
    jitter: f32,
}

impl MoeFfn {
    /// Adds `{name}.gate`, `{name}.inner`, `{name}.inner_bias`, `{name}.outer`, `{name}.outer_bias`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        width: usize,
        inner: usize,
        experts: usize,
        options: &MoeOptions,
    ) -> Result<Self, Error> {
        options.check(experts)?;
        let group = Group::Encoder;
        let normal = |inputs: usize| Initial::Normal(1.0 / (inputs.max(1) as f32).sqrt());
        let zero = Initial::Constant(0.0);
        Ok(Self {
            name: name.to_owned(),
            experts,
            gate: parameters.add(
                format!("{name}.gate"),
                group,
                (width, experts),
                Initial::linear(width),
            )?,
            inner: parameters.add(
                format!("{name}.inner"),
                group,
                (experts, width, inner),
                normal(width),
            )?,
            inner_bias: parameters.add(
                format!("{name}.inner_bias"),
                group,
                (experts, inner),
                zero,
            )?,
            outer: parameters.add(
                format!("{name}.outer"),
                group,
                (experts, inner, width),
                normal(inner),
            )?,
            outer_bias: parameters.add(
                format!("{name}.outer_bias"),
                group,
                (experts, width),
                zero,
            )?,
            options: options.clone(),
            jitter: 0.0,
        })
    }

    /// The same with noise of this width on what the gate sees in training, see [`ops::Jitter`].
    pub fn jittered(self, jitter: f32) -> Self {
        Self { jitter, ..self }
    }

    /// [N, width] to [N, width]; with two experts or more, what the gate says is added to `loads`.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        mode: Mode,
        loads: &mut Vec<ExpertLoad<D>>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let weights = MoeWeights {
            gate: parameters.get(self.gate),
            inner: parameters.get(self.inner),
            inner_bias: parameters.get(self.inner_bias),
            outer: parameters.get(self.outer),
            outer_bias: parameters.get(self.outer_bias),
        };
        let options = mode.jittered(&self.options, self.jitter);
        let out = ops::moe_ffn(x, weights, &options, tape)?;
        if self.experts > 1 {
            loads.push(ExpertLoad {
                layer: self.name.clone(),
                balance: out.balance,
                z: out.z,
                counts: out.counts,
                dropped: out.dropped,
            });
        }
        Ok(out.y)
    }
}
