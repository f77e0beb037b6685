//! Sum of two matrices (residuals).

use dfdx::shapes::HasShape;
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::TryAdd;
use rayon::prelude::*;

use super::buffers::Buffer;
use super::{taped, vectors};
use crate::error::check_shape;
use crate::tensors::tensor;
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
    let (y, rest) = taped(a, tape)
        .try_add(b.clone())
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    Ok(y)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    a: &Matrix<Cpu>,
    b: &Matrix<Cpu>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let mut out = crate::read(a);
    add_parallel(&mut out, &Buffer::of(b));
    let y = tensor(a.device(), out, *a.shape())?;
    if T::OWNS_TAPE {
        let (y_ghost, a_ghost, b_ghost) = (y.ghost(), a.ghost(), b.ghost());
        tape.add_backward_op(move |gradients| {
            let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&y_ghost)?);
            add_parallel(gradients.get_or_alloc_mut(&a_ghost)?, &dy);
            add_parallel(gradients.get_or_alloc_mut(&b_ghost)?, &dy);
            Ok(())
        });
    }
    Ok(y)
}

/// `to += from` on the threads of the pool.
pub(crate) fn add_parallel(to: &mut [f32], from: &[f32]) {
    const BLOCK: usize = 16_384;
    to.par_chunks_mut(BLOCK)
        .zip(from.par_chunks(BLOCK))
        .for_each(|(to, from)| {
            vectors::dispatch(|| vectors::add(to, from));
        });
}
