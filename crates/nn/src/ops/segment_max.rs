//! Max-pooling over the rows of each sequence.

use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::{GatherTo, ReshapeTo, TryMul};

use super::gather_rows::index_tensor;
use super::taped;
use crate::error::check_shape;
use crate::tensors::{raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Offsets};

/// The largest value of each column over the rows of each sequence of x [N, d]: [B, d]. The first of
/// equal values takes the gradient; a sequence without rows gives zeros.
pub fn segment_max<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    offsets: &Offsets,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, width) = *x.shape();
    check_shape("segment_max", "x", &[offsets.rows(), width], &[rows, width])?;
    D::segment_max(x, offsets, tape)
}

/// No row: the sequence is empty.
const NONE: u32 = u32::MAX;

/// By sequence and column: the row that holds the largest value. NaN is larger than any number.
fn largest_rows(values: &[f32], width: usize, offsets: &Offsets) -> Vec<u32> {
    let mut winners = vec![NONE; offsets.sequences() * width];
    if width == 0 {
        return winners;
    }
    winners
        .chunks_mut(width)
        .enumerate()
        .for_each_on_threads(|(sequence, winners)| {
            let rows = offsets.range(sequence);
            let first = rows.start;
            for row in rows {
                for (column, winner) in winners.iter_mut().enumerate() {
                    let value = values[row * width + column];
                    let best = if row == first {
                        f32::NEG_INFINITY
                    } else {
                        values[*winner as usize * width + column]
                    };
                    if row == first || value > best || (value.is_nan() && !best.is_nan()) {
                        *winner = row as u32;
                    }
                }
            }
        });
    winners
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    offsets: &Offsets,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, width) = *x.shape();
    let winners = largest_rows(&D::read(x), width, offsets);
    let index = winners.iter().enumerate().map(|(i, &row)| {
        if row == NONE {
            0
        } else {
            row as usize * width + i % width
        }
    });
    let index = index_tensor(x.device(), index.collect())?;
    let kept = winners
        .iter()
        .map(|&row| if row == NONE { 0.0 } else { 1.0 })
        .collect();
    let kept = raw(x.device(), kept, (offsets.sequences(), width))?;
    let y = taped(&x.enter(tape)?, tape)
        .try_reshape_like(&(rows * width,))
        .and_then(|flat| flat.try_gather(index))
        .and_then(|flat| flat.try_reshape_like(&(offsets.sequences(), width)))
        .and_then(|y| y.try_mul(kept))
        .map_err(Error::device)?;
    Matrix::leave(y, tape)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    offsets: &Offsets,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let width = x.shape().1;
    let values = x.values();
    let winners = largest_rows(values, width, offsets);
    let value = |(i, &row): (usize, &u32)| {
        if row == NONE {
            0.0
        } else {
            values[row as usize * width + i % width]
        }
    };
    let out: Vec<f32> = winners.iter().enumerate().map(value).collect();
    let y = tensor(x.device(), out, (offsets.sequences(), width))?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost) = (y.ghost(), x.ghost());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let dx = x_ghost.gradient(gradients)?;
            for (i, (&row, dy)) in winners.iter().zip(dy.iter()).enumerate() {
                if row != NONE {
                    dx[row as usize * width + i % width] += dy;
                }
            }
            Ok(())
        });
    }
    Ok(y)
}
