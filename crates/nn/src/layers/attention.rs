//! Multi-head self-attention, its projections plain or mixtures of experts (MoE-MSA).

use super::{ExpertLoad, Linear, Mode};
use crate::ops::{MoeOptions, Qkv};
use crate::parameters::{CubeHandle, Initial, MatrixHandle};
use crate::{Device, Error, Group, Matrix, Offsets, Parameters, Tape, ops};

/// Attention within each sequence, with a plain output projection.
#[derive(Clone, Debug)]
pub struct Attention {
    name: String,
    heads: usize,
    projection: Projection,
    output: Linear,
}

#[derive(Clone, Debug)]
enum Projection {
    /// One matrix [d, 3 d].
    Plain(Linear),
    /// Gate and experts for q, k and v.
    Mixture {
        parts: [Mixture; 3],
        options: MoeOptions,
        jitter: f32,
    },
}

#[derive(Clone, Copy, Debug)]
struct Mixture {
    gate: MatrixHandle,
    weight: CubeHandle,
}

const PARTS: [&str; 3] = ["q", "k", "v"];

impl Attention {
    /// With `experts` = 1: `{name}.qkv`; else `{name}.{q,k,v}.gate` and `{name}.{q,k,v}.experts`. And `{name}.output`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        width: usize,
        heads: usize,
        experts: usize,
        options: &MoeOptions,
    ) -> Result<Self, Error> {
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(Error::value(
                "attention",
                "heads",
                format!("a divisor of the width {width}"),
                heads,
            ));
        }
        let projection = if experts == 1 {
            Projection::Plain(Linear::new(
                parameters,
                &format!("{name}.qkv"),
                Group::Encoder,
                width,
                3 * width,
            )?)
        } else {
            options.check(experts)?;
            let mut part = |part: &str| -> Result<Mixture, Error> {
                let (gate, weight) = (
                    format!("{name}.{part}.gate"),
                    format!("{name}.{part}.experts"),
                );
                let initial = Initial::linear(width);
                Ok(Mixture {
                    gate: parameters.add(gate, Group::Encoder, (width, experts), initial)?,
                    weight: parameters.add(
                        weight,
                        Group::Encoder,
                        (experts, width, width),
                        initial,
                    )?,
                })
            };
            let parts = [part(PARTS[0])?, part(PARTS[1])?, part(PARTS[2])?];
            Projection::Mixture {
                parts,
                options: options.clone(),
                jitter: 0.0,
            }
        };
        let output = Linear::new(
            parameters,
            &format!("{name}.output"),
            Group::Encoder,
            width,
            width,
        )?;
        Ok(Self {
            name: name.to_owned(),
            heads,
            projection,
            output,
        })
    }

    /// The same with noise of this width on what the gates see in training, see [`ops::Jitter`].
    pub fn jittered(mut self, width: f32) -> Self {
        if let Projection::Mixture { jitter, .. } = &mut self.projection {
            *jitter = width;
        }
        self
    }

    /// [N, d] to [N, d]; what the mixtures say is added to `loads`.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        offsets: &Offsets,
        mode: Mode,
        loads: &mut Vec<ExpertLoad<D>>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let attended = match &self.projection {
            Projection::Plain(qkv) => {
                let qkv = qkv.forward(parameters, x, tape)?;
                ops::attention(Qkv::Packed(&qkv), offsets, self.heads, tape)?
            }
            Projection::Mixture {
                parts,
                options,
                jitter,
            } => {
                let mut part = |i: usize| -> Result<Matrix<D>, Error> {
                    let (gate, weight) = (
                        parameters.get(parts[i].gate),
                        parameters.get(parts[i].weight),
                    );
                    let options = mode.at(i as u64).jittered(options, *jitter);
                    let out = ops::moe_linear(x, gate, weight, &options, tape)?;
                    loads.push(ExpertLoad {
                        layer: format!("{}.{}", self.name, PARTS[i]),
                        balance: out.balance,
                        z: out.z,
                        counts: out.counts,
                        dropped: out.dropped,
                    });
                    Ok(out.y)
                };
                let (q, k, v) = (part(0)?, part(1)?, part(2)?);
                ops::attention(
                    Qkv::Separate {
                        q: &q,
                        k: &k,
                        v: &v,
                    },
                    offsets,
                    self.heads,
                    tape,
                )?
            }
        };
        self.output.forward(parameters, &attended, tape)
    }
}
