//! x W + b.

use dfdx::shapes::Axis;
use dfdx::shapes::HasShape;
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, TryAdd, TryMatMul};

use super::buffers::Buffer;
use super::products::{self, Strided};
use super::taped;
use crate::error::check_shape;
use crate::tensors::tensor;
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
    let mut y = taped(x, tape)
        .try_matmul(weight.clone())
        .map_err(Error::device)?;
    if let Some(bias) = bias {
        let bias = bias
            .clone()
            .try_broadcast_like::<_, Axis<0>>(y.shape())
            .map_err(Error::device)?;
        y = y.try_add(bias).map_err(Error::device)?;
    }
    let (y, rest) = y.split_tape();
    *tape = rest;
    Ok(y)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    weight: &Matrix<Cpu>,
    bias: Option<&Vector<Cpu>>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let ((rows, inputs), (_, outputs)) = (*x.shape(), *weight.shape());
    let x_values = Buffer::of(x);
    let w_values = Buffer::of(weight);
    let mut out = match bias {
        Some(bias) => crate::read(bias).repeat(rows),
        None => vec![0.0; rows * outputs],
    };
    products::multiply_rows(
        &mut out,
        Strided::new(&x_values, rows, inputs),
        Strided::new(&w_values, inputs, outputs),
        true,
    );
    let y = tensor(x.device(), out, (rows, outputs))?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, w_ghost) = (y.ghost(), x.ghost(), weight.ghost());
        let bias_ghost = bias.map(|bias| bias.ghost());
        let x = x.clone();
        drop(x_values);
        tape.add_backward_op(move |gradients| {
            let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&y_ghost)?);
            let dx = gradients.get_or_alloc_mut(&x_ghost)?;
            let transposed = Strided::new(&w_values, inputs, outputs).transposed();
            products::multiply_rows(dx, Strided::new(&dy, rows, outputs), transposed, true);
            let dw = gradients.get_or_alloc_mut(&w_ghost)?;
            products::add_transposed_product(dw, &Buffer::of(&x), &dy, rows);
            if let Some(bias) = bias_ghost {
                products::add_column_sums(gradients.get_or_alloc_mut(&bias)?, &dy);
            }
            Ok(())
        });
    }
    Ok(y)
}
