//! x W + b.

use dfdx::shapes::{Axis, HasShape};
use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::{BroadcastTo, TryAdd, TryMatMul};

use super::buffers::Buffer;
use super::products::{self, Start, Strided};
use super::taped;
use crate::error::check_shape;
use crate::tensors::{Tensor, tensor};
use crate::{Device, Error, Matrix, Vector};

/// x W + b for x [N, inputs], `weight` [inputs, outputs], `bias` `[outputs]`: [N, outputs].
pub fn linear<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    weight: &Matrix<D>,
    bias: Option<&Vector<D>>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let ((rows, inputs), (_, outputs)) = (*x.shape(), *weight.shape());
    check_shape("linear", "x", &[rows, weight.shape().0], &[rows, inputs])?;
    if let Some(bias) = bias {
        check_shape("linear", "bias", &[outputs], &[bias.shape().0])?;
    }
    D::linear(x, weight, bias, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    weight: &Matrix<D>,
    bias: Option<&Vector<D>>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (x, weight) = (x.enter(tape)?, weight.enter(tape)?);
    let bias = bias.map(|bias| bias.enter(tape)).transpose()?;
    let mut y = taped(&x, tape).try_matmul(weight).map_err(Error::device)?;
    if let Some(bias) = bias {
        let bias = bias
            .try_broadcast_like::<_, Axis<0>>(y.shape())
            .map_err(Error::device)?;
        y = y.try_add(bias).map_err(Error::device)?;
    }
    Matrix::leave(y, tape)
}

/// x W + b for x [rows, inputs] and W [inputs, outputs].
pub(crate) fn forward(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    (rows, inputs, outputs): (usize, usize, usize),
) -> Buffer {
    let mut out = Buffer::scratch(rows * outputs);
    products::multiply_rows(
        &mut out,
        Strided::new(x, rows, inputs),
        Strided::new(weight, inputs, outputs),
        bias.map_or(Start::Zero, Start::Row),
    );
    out
}

/// dy W^T, the gradient of x.
pub(crate) fn input_gradient(
    dy: &[f32],
    weight: &[f32],
    (rows, inputs, outputs): (usize, usize, usize),
) -> Buffer {
    let mut dx = Buffer::scratch(rows * inputs);
    let transposed = products::transpose(weight, inputs, outputs);
    products::multiply_rows(
        &mut dx,
        Strided::new(dy, rows, outputs),
        Strided::new(&transposed, outputs, inputs),
        Start::Zero,
    );
    dx
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    weight: &Matrix<Cpu>,
    bias: Option<&Vector<Cpu>>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let ((rows, inputs), (_, outputs)) = (*x.shape(), *weight.shape());
    let sizes = (rows, inputs, outputs);
    let out = forward(x.values(), weight.values(), bias.map(Tensor::values), sizes);
    let y = tensor(x.device(), out, (rows, outputs))?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, w_ghost) = (y.ghost(), x.ghost(), weight.ghost());
        let bias_ghost = bias.map(|bias| bias.ghost());
        let (x, w) = (x.share(), weight.share());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            x_ghost.add(gradients, input_gradient(&dy, &w, sizes))?;
            products::add_transposed_product(w_ghost.gradient(gradients)?, &x, &dy, rows);
            if let Some(bias) = bias_ghost {
                products::add_column_sums(bias.gradient(gradients)?, &dy);
            }
            Ok(())
        });
    }
    Ok(y)
}
