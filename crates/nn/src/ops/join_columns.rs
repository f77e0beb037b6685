//! Matrices side by side.

use dfdx::shapes::Axis;
use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::TryConcatAlong;

use super::buffers::Buffer;
use super::taped;
use crate::error::check_shape;
use crate::tensors::tensor;
use crate::{Device, Error, Matrix};

/// The columns of all parts [N, d_i], in their order: [N, sum of d_i].
///
/// # Errors
/// No part, or parts whose numbers of rows differ.
pub fn join_columns<D: Device, T: Tape<f32, D>>(
    parts: &[&Matrix<D>],
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let Some(first) = parts.first() else {
        return Err(Error::value(
            "join_columns",
            "number of parts",
            "at least 1",
            0,
        ));
    };
    let rows = first.shape().0;
    for part in parts {
        let (found, width) = *part.shape();
        check_shape("join_columns", "a part", &[rows, width], &[found, width])?;
    }
    D::join_columns(parts, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    parts: &[&Matrix<D>],
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let parts = parts.iter().map(|part| part.enter(tape));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let mut joined = taped(&parts[0], tape);
    for part in &parts[1..] {
        joined = (joined, part.clone())
            .try_concat_along(Axis::<1>)
            .map_err(Error::device)?;
    }
    Matrix::leave(joined, tape)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    parts: &[&Matrix<Cpu>],
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let rows = parts[0].shape().0;
    let widths: Vec<usize> = parts.iter().map(|part| part.shape().1).collect();
    let width: usize = widths.iter().sum();
    let mut out = Buffer::scratch(rows * width);
    for (row, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
        let mut rest = out;
        for (part, &width) in parts.iter().zip(&widths) {
            let (to, after) = rest.split_at_mut(width);
            to.copy_from_slice(&part.values()[row * width..][..width]);
            rest = after;
        }
    }
    let y = tensor(parts[0].device(), out, (rows, width))?;
    if T::OWNS_TAPE {
        let y_ghost = y.ghost();
        let ghosts: Vec<_> = parts.iter().map(|part| part.ghost()).collect();
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let mut start = 0;
            for (ghost, &own) in ghosts.iter().zip(&widths) {
                let dx = ghost.gradient(gradients)?;
                for row in 0..rows {
                    let to = dx[row * own..][..own].iter_mut();
                    let from = &dy[row * width + start..][..own];
                    to.zip(from).for_each(|(dx, dy)| *dx += dy);
                }
                start += own;
            }
            Ok(())
        });
    }
    Ok(y)
}
