//! The larger of each value and 0.

use dfdx::tensor::{Cpu, Tape};

use super::buffers::Buffer;
use super::taped;
use crate::tensors::tensor;
use crate::{Device, Error, Matrix};

/// max(x, 0), value by value, for x [N, d].
pub fn relu<D: Device, T: Tape<f32, D>>(x: &Matrix<D>, tape: &mut T) -> Result<Matrix<D>, Error> {
    D::relu(x, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let y = taped(&x.enter(tape)?, tape)
        .try_relu()
        .map_err(Error::device)?;
    Matrix::leave(y, tape)
}

/// NaN stays NaN.
pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let mut out = Buffer::of(x);
    for value in out.iter_mut() {
        *value = if *value < 0.0 { 0.0 } else { *value };
    }
    let y = tensor(x.device(), out, *x.shape())?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, result) = (y.ghost(), x.ghost(), y.share());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let dx = x_ghost.gradient(gradients)?;
            for ((dx, dy), y) in dx.iter_mut().zip(dy.iter()).zip(result.iter()) {
                *dx += if *y > 0.0 { *dy } else { 0.0 };
            }
            Ok(())
        });
    }
    Ok(y)
}
