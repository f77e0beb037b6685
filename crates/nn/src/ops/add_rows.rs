//! A few rows added to some rows of a matrix.

use std::sync::Arc;

use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::{TryAdd, TryMatMul};

use super::buffers::Buffer;
use super::gather_rows::check_indices;
use super::taped;
use crate::error::check_shape;
use crate::tensors::{raw, tensor};
use crate::{Device, Error, Matrix};

/// x [N, d] with row i of `y` [B, d] added to its row `rows[i]`; repeated rows take each. [N, d]
pub fn add_rows<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    y: &Matrix<D>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let ((count, width), found) = (*x.shape(), *y.shape());
    check_shape("add_rows", "y", &[rows.len(), width], &[found.0, found.1])?;
    check_indices("add_rows", rows, count)?;
    if rows.is_empty() {
        return Ok(x.clone());
    }
    D::add_rows(x, y, rows, tape)
}

/// A [N, B] matrix with 1 where a row of y goes, times y, plus x.
pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    y: &Matrix<D>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (count, added) = (x.shape().0, rows.len());
    let mut places = vec![0.0; count * added];
    for (i, &row) in rows.iter().enumerate() {
        places[row as usize * added + i] = 1.0;
    }
    let places = raw(x.device(), places, (count, added))?;
    let (x, y) = (x.enter(tape)?, y.enter(tape)?);
    let sum = taped(&places, tape)
        .try_matmul(y)
        .and_then(|spread| spread.try_add(x))
        .map_err(Error::device)?;
    Matrix::leave(sum, tape)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    y: &Matrix<Cpu>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let width = x.shape().1;
    let mut out = Buffer::of(x);
    let added = y.values();
    for (i, &row) in rows.iter().enumerate() {
        let to = out[row as usize * width..][..width].iter_mut();
        to.zip(&added[i * width..][..width])
            .for_each(|(x, y)| *x += y);
    }
    let sum = tensor(x.device(), out, *x.shape())?;
    if T::OWNS_TAPE {
        let (sum_ghost, x_ghost, y_ghost) = (sum.ghost(), x.ghost(), y.ghost());
        let rows = rows.clone();
        tape.add_backward_op(move |gradients| {
            let d_sum = sum_ghost.take(gradients)?;
            let dy = y_ghost.gradient(gradients)?;
            for (i, &row) in rows.iter().enumerate() {
                let to = dy[i * width..][..width].iter_mut();
                to.zip(&d_sum[row as usize * width..][..width])
                    .for_each(|(dy, d)| *dy += d);
            }
            x_ghost.add(gradients, d_sum)
        });
    }
    Ok(sum)
}
