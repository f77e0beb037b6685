//! Mixture of feed-forward experts: y = sum over the chosen experts of weight * (relu(x Wi + bi) Wo + bo).

mod kernel;

use dfdx::tensor::Tape;
use dfdx::tensor_ops::SelectTo;

use super::gate::MoeOptions;
use super::mixture::{MoeOutput, composed_mixture};
use super::taped;
use crate::error::check_shape;
use crate::{Cube, Device, Error, Matrix};
pub(crate) use kernel::fused;

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
        let h = super::relu::composed(&h, tape)?;
        super::linear::composed(&h, &wo, Some(&bo), tape)
    })
}

/// One matrix of a stack.
pub(crate) fn select<D: Device, T: Tape<f32, D>>(
    stack: &Cube<D>,
    index: dfdx::tensor::Tensor<(), usize, D>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let matrix = taped(&stack.enter(tape)?, tape)
        .try_select::<(usize, usize), ()>(index)
        .map_err(Error::device)?;
    Matrix::leave(matrix, tape)
}

fn select_row<D: Device, T: Tape<f32, D>>(
    matrix: &Matrix<D>,
    index: dfdx::tensor::Tensor<(), usize, D>,
    tape: &mut T,
) -> Result<crate::Vector<D>, Error> {
    let row = taped(&matrix.enter(tape)?, tape)
        .try_select::<(usize,), ()>(index)
        .map_err(Error::device)?;
    crate::Vector::leave(row, tape)
}
