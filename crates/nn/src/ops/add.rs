//! Sum of two matrices (residuals).

use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::TryAdd;

use super::buffers::Buffer;
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::tensor;
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix};

/// a + b for two matrices [N, d].
pub fn add<D: Device, T: Tape<f32, D>>(
    a: &Matrix<D>,
    b: &Matrix<D>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (a_shape, b_shape) = (*a.shape(), *b.shape());
    check_shape("add", "b", &[a_shape.0, a_shape.1], &[b_shape.0, b_shape.1])?;
    D::add(a, b, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    a: &Matrix<D>,
    b: &Matrix<D>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (a, b) = (a.enter(tape)?, b.enter(tape)?);
    let y = taped(&a, tape).try_add(b).map_err(Error::device)?;
    Matrix::leave(y, tape)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    a: &Matrix<Cpu>,
    b: &Matrix<Cpu>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let y = tensor(a.device(), sum_of(a.values(), b.values()), *a.shape())?;
    if T::OWNS_TAPE {
        let (y_ghost, a_ghost, b_ghost) = (y.ghost(), a.ghost(), b.ghost());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            a_ghost.add(gradients, dy.clone())?;
            b_ghost.add(gradients, dy)
        });
    }
    Ok(y)
}

/// Values of one task.
const BLOCK: usize = 16_384;

/// a + b.
pub(crate) fn sum_of(a: &[f32], b: &[f32]) -> Buffer {
    let mut out = Buffer::scratch(a.len());
    out.chunks_mut(BLOCK)
        .zip(a.chunks(BLOCK))
        .zip(b.chunks(BLOCK))
        .for_each_on_threads(|((out, a), b)| {
            add_two(out, a, b);
        });
    out
}

vectorized! {
    /// `out = a + b`.
    pub(crate) fn add_two(out: &mut [f32], a: &[f32], b: &[f32]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a + b;
        }
    }
}

/// `to += from` on the threads of the pool.
pub(crate) fn add_parallel(to: &mut [f32], from: &[f32]) {
    to.chunks_mut(BLOCK)
        .zip(from.chunks(BLOCK))
        .for_each_on_threads(|(to, from)| {
            vectors::add_all(to, from);
        });
}
