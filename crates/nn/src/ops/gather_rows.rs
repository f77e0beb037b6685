//! Rows of a matrix by index.

use std::sync::Arc;

use dfdx::shapes::HasShape;
use dfdx::tensor::{Cpu, SplitTape, Tape, TensorFromVec};
use dfdx::tensor_ops::GatherTo;

use super::buffers::Buffer;
use super::{taped, vectors};
use crate::tensors::tensor;
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
    let (y, rest) = taped(x, tape)
        .try_gather(index)
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    Ok(y)
}

/// An index vector on the device.
pub(crate) fn index_tensor<D: Device>(
    device: &D,
    index: Vec<usize>,
) -> Result<dfdx::tensor::Tensor<(usize,), usize, D>, Error> {
    let length = index.len();
    TensorFromVec::<usize>::try_tensor_from_vec(device, index, (length,)).map_err(Error::device)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    rows: &Arc<[u32]>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let width = x.shape().1;
    let values = Buffer::of(x);
    let mut out = Vec::with_capacity(rows.len() * width);
    for &row in rows.iter() {
        out.extend_from_slice(&values[row as usize * width..][..width]);
    }
    let y = tensor(x.device(), out, (rows.len(), width))?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, rows) = (y.ghost(), x.ghost(), rows.clone());
        tape.add_backward_op(move |gradients| {
            let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&y_ghost)?);
            let dx = gradients.get_or_alloc_mut(&x_ghost)?;
            vectors::dispatch(|| {
                for (i, &row) in rows.iter().enumerate() {
                    vectors::add(
                        &mut dx[row as usize * width..][..width],
                        &dy[i * width..][..width],
                    );
                }
            });
            Ok(())
        });
    }
    Ok(y)
}
