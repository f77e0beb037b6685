//! Rows of a matrix by index.

use std::sync::Arc;

use dfdx::tensor::{Cpu, Tape, TensorFromVec};
use dfdx::tensor_ops::GatherTo;

use super::buffers::Buffer;
use super::taped;
use super::vectors::{self, vectorized};
use crate::tensors::tensor;
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix};

/// The rows `rows` `[M]` of x [N, d], in that order, repeats allowed: [M, d].
pub fn gather_rows<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    check_indices("gather_rows", rows, x.shape().0)?;
    D::gather_rows(x, rows, tape)
}

/// Checks that every index is below `length`.
pub(crate) fn check_indices(
    operation: &'static str,
    indices: &[u32],
    length: usize,
) -> Result<(), Error> {
    match indices.iter().find(|&&index| index as usize >= length) {
        None => Ok(()),
        Some(index) => Err(Error::value(
            operation,
            "index",
            format!("below {length}"),
            index,
        )),
    }
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let index = index_tensor(x.device(), rows.iter().map(|&row| row as usize).collect())?;
    let y = taped(&x.enter(tape)?, tape)
        .try_gather(index)
        .map_err(Error::device)?;
    Matrix::leave(y, tape)
}

/// An index vector on the device.
pub(crate) fn index_tensor<D: Device>(
    device: &D,
    index: Vec<usize>,
) -> Result<dfdx::tensor::Tensor<(usize,), usize, D>, Error> {
    let length = index.len();
    TensorFromVec::<usize>::try_tensor_from_vec(device, index, (length,)).map_err(Error::device)
}

vectorized! {
    fn add_rows_back(dx: &mut [f32], rows: &[u32], dy: &[f32], width: usize) {
        for (&row, dy) in rows.iter().zip(dy.chunks_exact(width.max(1))) {
            vectors::add(&mut dx[row as usize * width..][..width], dy);
        }
    }
}

/// Rows of one task.
const ROWS: usize = 512;

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let width = x.shape().1;
    let mut out = Buffer::scratch(rows.len() * width);
    out.chunks_mut(ROWS * width.max(1))
        .zip(rows.chunks(ROWS))
        .for_each_on_threads(|(out, rows)| {
            for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
                out.copy_from_slice(&x.values()[row as usize * width..][..width]);
            }
        });
    let y = tensor(x.device(), out, (rows.len(), width))?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, rows) = (y.ghost(), x.ghost(), rows.clone());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let dx = x_ghost.gradient(gradients)?;
            add_rows_back(dx, &rows, &dy, width);
            Ok(())
        });
    }
    Ok(y)
}
