//! Mean-pooling over the rows of each sequence.

use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::TryMatMul;

use super::buffers::Buffer;
use super::{taped, vectors};
use crate::error::check_shape;
use crate::tensors::{raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Offsets};

/// The mean of each column over the rows of each sequence of x [N, d]: [B, d]. A sequence without rows
/// gives zeros.
pub fn segment_mean<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    offsets: &Offsets,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, width) = *x.shape();
    check_shape(
        "segment_mean",
        "x",
        &[offsets.rows(), width],
        &[rows, width],
    )?;
    if rows == 0 {
        return tensor(
            x.device(),
            vec![0.0; offsets.sequences() * width],
            (offsets.sequences(), width),
        );
    }
    D::segment_mean(x, offsets, tape)
}

/// A [B, N] matrix with 1 / length at the rows of each sequence, times x.
pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    offsets: &Offsets,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, sequences) = (offsets.rows(), offsets.sequences());
    let mut shares = vec![0.0; sequences * rows];
    for (sequence, range) in offsets.ranges().enumerate() {
        let share = 1.0 / range.len() as f32;
        shares[sequence * rows..][range].fill(share);
    }
    let shares = raw(x.device(), shares, (sequences, rows))?;
    let x = x.enter(tape)?;
    let y = taped(&shares, tape).try_matmul(x).map_err(Error::device)?;
    Matrix::leave(y, tape)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    offsets: &Offsets,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let width = x.shape().1;
    let values = x.values();
    let mut out = Buffer::zeros(offsets.sequences() * width);
    out.chunks_mut(width.max(1))
        .enumerate()
        .for_each_on_threads(|(sequence, mean)| {
            let rows = offsets.range(sequence);
            let share = 1.0 / rows.len() as f32;
            for row in rows {
                vectors::add_all(mean, &values[row * width..][..width]);
            }
            if share.is_finite() {
                mean.iter_mut().for_each(|value| *value *= share);
            }
        });
    let y = tensor(x.device(), out, (offsets.sequences(), width))?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, offsets) = (y.ghost(), x.ghost(), offsets.clone());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let dx = x_ghost.gradient(gradients)?;
            for (sequence, rows) in offsets.ranges().enumerate() {
                let share = 1.0 / rows.len() as f32;
                let dy = &dy[sequence * width..][..width];
                for row in rows {
                    vectors::add_all_scaled(&mut dx[row * width..][..width], share, dy);
                }
            }
            Ok(())
        });
    }
    Ok(y)
}
