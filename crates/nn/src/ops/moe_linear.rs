//! Mixture of linear projections (the projections of MoE-MSA): y = sum over the chosen experts of weight * x W_e.

use std::sync::Arc;

use dfdx::tensor::{Cpu, Tape};

use super::buffers::Buffer;
use super::gate::MoeOptions;
use super::mixture::{
    ExpertsBackward, MoeOutput, add_expert_products, composed_mixture, fused_mixture, kept_blocks,
    kept_or_own, split_blocks,
};
use super::moe_ffn::select;
use super::products::{Start, Strided, multiply_from};
use super::routing::Routing;
use crate::error::check_shape;
use crate::threads::OnThreads;
use crate::{Cube, Device, Error, Matrix};

/// The mixture on x [N, inputs] with `gate` [inputs, E] and `weight` [E, inputs, outputs]: y is [N, outputs].
pub fn moe_linear<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    gate: &Matrix<D>,
    weight: &Cube<D>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<D>, Error> {
    let (inputs, experts) = *gate.shape();
    let (e, i, outputs) = *weight.shape();
    check_shape(
        "moe_linear",
        "x",
        &[x.shape().0, inputs],
        &[x.shape().0, x.shape().1],
    )?;
    check_shape(
        "moe_linear",
        "weight",
        &[experts, inputs, outputs],
        &[e, i, outputs],
    )?;
    options.check(experts)?;
    D::moe_linear(x, gate, weight, options, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    gate: &Matrix<D>,
    weight: &Cube<D>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<D>, Error> {
    composed_mixture(x, gate, options, tape, |x, expert, tape| {
        let weight = select(weight, crate::tensors::index(x.device(), expert)?, tape)?;
        super::linear::composed(x, &weight, None, tape)
    })
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    gate: &Matrix<Cpu>,
    weight: &Cube<Cpu>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<Cpu>, Error> {
    let (_, inputs, outputs) = *weight.shape();
    if inputs == 0 || outputs == 0 || x.shape().0 == 0 {
        return Err(Error::value(
            "moe_linear",
            "rows, inputs and outputs",
            "above 0",
            format!("{:?} and {outputs}", x.shape()),
        ));
    }
    let values = weight.share();
    let ghost = weight.ghost();
    let forward = |routing: &Routing, x: &[f32]| {
        let blocks = routing.blocks();
        let mut rows = Buffer::scratch(routing.served() * outputs);
        let mut sorted = T::OWNS_TAPE.then(|| Buffer::scratch(routing.served() * inputs));
        blocks
            .iter()
            .zip(split_blocks(&mut rows, outputs, &blocks))
            .zip(kept_blocks(sorted.as_mut(), inputs, &blocks))
            .for_each_on_threads(|((block, out), kept)| {
                let mut own = None;
                let sorted = kept_or_own(kept, &mut own, block.rows * inputs);
                routing.gather(*block, x, sorted);
                let w = Strided::new(
                    &values[block.expert * inputs * outputs..][..inputs * outputs],
                    inputs,
                    outputs,
                );
                let x = Strided::new(sorted, block.rows, inputs);
                multiply_from(out, x, w, Start::Zero);
            });
        (rows, sorted.map(|sorted| (sorted, values)))
    };
    let backward = move |experts: ExpertsBackward<'_>,
                         (sorted, values): (Buffer, Arc<Buffer>),
                         gradients: &mut dfdx::tensor::Gradients<f32, Cpu>| {
        let ExpertsBackward { routing, d_rows } = experts;
        let blocks = routing.blocks();
        let mut d_sorted = Buffer::scratch(routing.served() * inputs);
        blocks
            .iter()
            .zip(split_blocks(&mut d_sorted, inputs, &blocks))
            .for_each_on_threads(|(block, out)| {
                let w = Strided::new(
                    &values[block.expert * inputs * outputs..][..inputs * outputs],
                    inputs,
                    outputs,
                );
                let d_rows = Strided::new(&d_rows[block.start * outputs..], block.rows, outputs);
                multiply_from(out, d_rows, w.transposed(), Start::Zero);
            });
        let d_weight = ghost.gradient(gradients)?;
        add_expert_products(
            d_weight,
            &sorted,
            &d_rows,
            (inputs, outputs),
            &routing.starts,
        );
        Ok(d_sorted)
    };
    fused_mixture(x, gate, outputs, options, tape, forward, backward)
}
