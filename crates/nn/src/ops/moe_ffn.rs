//! Mixture of feed-forward experts: y = sum over the chosen experts of weight * (relu(x Wi + bi) Wo + bo).

use dfdx::shapes::HasShape;
use dfdx::tensor::{Cpu, Gradients, SplitTape, Tape, Tensor};
use dfdx::tensor_ops::SelectTo;
use rayon::prelude::*;

use super::buffers::Buffer;
use super::gate::MoeOptions;
use super::mixture::{
    ExpertsBackward, MoeOutput, add_expert_products, add_expert_sums, composed_mixture,
    fused_mixture, split_blocks,
};
use super::products::{self, Strided, StridedMut, multiply};
use super::routing::Routing;
use super::taped;
use crate::error::check_shape;
use crate::{Cube, Device, Error, Matrix};

/// Parameters of a mixture of E feed-forward experts of width d and inner width h.
pub struct MoeWeights<'a, D: Device> {
    /// [d, E].
    pub gate: &'a Matrix<D>,
    /// Wi, [E, d, h].
    pub inner: &'a Cube<D>,
    /// bi, [E, h].
    pub inner_bias: &'a Matrix<D>,
    /// Wo, [E, h, d].
    pub outer: &'a Cube<D>,
    /// bo, [E, d].
    pub outer_bias: &'a Matrix<D>,
}

impl<D: Device> Clone for MoeWeights<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Device> Copy for MoeWeights<'_, D> {}

/// The mixture on x [N, d]. Errors on shapes that do not fit each other, and on options out of range.
pub fn moe_ffn<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    weights: MoeWeights<'_, D>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<D>, Error> {
    let (width, experts) = *weights.gate.shape();
    let inner = weights.inner_bias.shape().1;
    let as_list = |shape: &(usize, usize, usize)| [shape.0, shape.1, shape.2];
    check_shape(
        "moe_ffn",
        "x",
        &[x.shape().0, width],
        &[x.shape().0, x.shape().1],
    )?;
    check_shape(
        "moe_ffn",
        "inner",
        &[experts, width, inner],
        &as_list(weights.inner.shape()),
    )?;
    check_shape(
        "moe_ffn",
        "outer",
        &[experts, inner, width],
        &as_list(weights.outer.shape()),
    )?;
    check_shape(
        "moe_ffn",
        "inner_bias",
        &[experts, inner],
        &[weights.inner_bias.shape().0, inner],
    )?;
    let found = *weights.outer_bias.shape();
    check_shape(
        "moe_ffn",
        "outer_bias",
        &[experts, width],
        &[found.0, found.1],
    )?;
    options.check(experts)?;
    D::moe_ffn(x, weights, options, tape)
}

/// Runs every expert on every token and keeps the chosen ones: right, and slow with many experts.
pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    weights: MoeWeights<'_, D>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<D>, Error> {
    composed_mixture(x, weights.gate, options, tape, |x, expert, tape| {
        let index = || crate::tensors::index(x.device(), expert);
        let (wi, wo) = (
            select(weights.inner, index()?, tape)?,
            select(weights.outer, index()?, tape)?,
        );
        let bi = select_row(weights.inner_bias, index()?, tape)?;
        let bo = select_row(weights.outer_bias, index()?, tape)?;
        let h = super::linear::composed(x, &wi, Some(&bi), tape)?;
        let (h, rest) = taped(&h, tape)
            .try_relu()
            .map_err(Error::device)?
            .split_tape();
        *tape = rest;
        super::linear::composed(&h, &wo, Some(&bo), tape)
    })
}

/// One matrix of a stack.
pub(crate) fn select<D: Device, T: Tape<f32, D>>(
    stack: &Cube<D>,
    index: Tensor<(), usize, D>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (matrix, rest) = taped(stack, tape)
        .try_select::<(usize, usize), ()>(index)
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    Ok(matrix)
}

fn select_row<D: Device, T: Tape<f32, D>>(
    matrix: &Matrix<D>,
    index: Tensor<(), usize, D>,
    tape: &mut T,
) -> Result<crate::Vector<D>, Error> {
    let (row, rest) = taped(matrix, tape)
        .try_select::<(usize,), ()>(index)
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    Ok(row)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    weights: MoeWeights<'_, Cpu>,
    options: &MoeOptions,
    tape: &mut T,
) -> Result<MoeOutput<Cpu>, Error> {
    let (width, inner) = (x.shape().1, weights.inner_bias.shape().1);
    if inner == 0 || width == 0 || x.shape().0 == 0 {
        return Err(Error::value(
            "moe_ffn",
            "rows, width and inner width",
            "above 0",
            format!("{:?} and {inner}", x.shape()),
        ));
    }
    let wi = Buffer::of(weights.inner);
    let wo = Buffer::of(weights.outer);
    let (bi, bo) = (
        crate::read(weights.inner_bias),
        crate::read(weights.outer_bias),
    );
    let ghosts = (
        weights.inner.ghost(),
        weights.inner_bias.ghost(),
        weights.outer.ghost(),
        weights.outer_bias.ghost(),
    );
    let forward = |routing: &Routing, sorted: &[f32]| {
        let blocks = routing.blocks();
        let mut hidden = Buffer::scratch(routing.served() * inner);
        let mut rows = Buffer::scratch(routing.served() * width);
        blocks
            .par_iter()
            .zip(split_blocks(&mut hidden, inner, &blocks))
            .zip(split_blocks(&mut rows, width, &blocks))
            .for_each(|((block, hidden), out)| {
                let e = block.expert;
                let x = Strided::new(&sorted[block.start * width..], block.rows, width);
                products::fill_rows(hidden, Some(&bi[e * inner..][..inner]), inner);
                let w = Strided::new(&wi[e * width * inner..][..width * inner], width, inner);
                multiply(StridedMut::new(hidden, block.rows, inner), x, w, true);
                super::vectors::dispatch(|| {
                    hidden
                        .iter_mut()
                        .for_each(|h| *h = if *h < 0.0 { 0.0 } else { *h })
                });
                products::fill_rows(out, Some(&bo[e * width..][..width]), width);
                let w = Strided::new(&wo[e * width * inner..][..width * inner], inner, width);
                multiply(
                    StridedMut::new(out, block.rows, width),
                    Strided::new(hidden, block.rows, inner),
                    w,
                    true,
                );
            });
        (rows, (hidden, wi, wo))
    };
    let backward = move |experts: ExpertsBackward<'_>,
                         (hidden, wi, wo): (Buffer, Buffer, Buffer),
                         gradients: &mut Gradients<f32, Cpu>| {
        let ExpertsBackward {
            routing,
            sorted,
            d_rows,
        } = experts;
        let blocks = routing.blocks();
        let mut d_hidden = Buffer::scratch(hidden.len());
        let mut d_sorted = Buffer::scratch(sorted.len());
        blocks
            .par_iter()
            .zip(split_blocks(&mut d_hidden, inner, &blocks))
            .zip(split_blocks(&mut d_sorted, width, &blocks))
            .for_each(|((block, d_hidden), d_sorted)| {
                let weights = block.expert * width * inner..(block.expert + 1) * width * inner;
                let wo = Strided::new(&wo[weights.clone()], inner, width).transposed();
                let d_rows = Strided::new(&d_rows[block.start * width..], block.rows, width);
                multiply(
                    StridedMut::new(d_hidden, block.rows, inner),
                    d_rows,
                    wo,
                    false,
                );
                let hidden = &hidden[block.start * inner..][..block.rows * inner];
                super::vectors::dispatch(|| {
                    for (d, &h) in d_hidden.iter_mut().zip(hidden) {
                        *d = if h > 0.0 { *d } else { 0.0 };
                    }
                });
                let wi = Strided::new(&wi[weights], width, inner).transposed();
                let d_hidden = Strided::new(d_hidden, block.rows, inner);
                multiply(
                    StridedMut::new(d_sorted, block.rows, width),
                    d_hidden,
                    wi,
                    false,
                );
            });
        let (wi, bi, wo, bo) = &ghosts;
        let starts = &routing.starts;
        add_expert_products(
            gradients.get_or_alloc_mut(wi)?,
            sorted,
            &d_hidden,
            (width, inner),
            starts,
        );
        add_expert_sums(gradients.get_or_alloc_mut(bi)?, &d_hidden, inner, starts);
        add_expert_products(
            gradients.get_or_alloc_mut(wo)?,
            &hidden,
            &d_rows,
            (inner, width),
            starts,
        );
        add_expert_sums(gradients.get_or_alloc_mut(bo)?, &d_rows, width, starts);
        Ok(d_sorted)
    };
    fused_mixture(x, weights.gate, width, options, tape, forward, backward)
}
