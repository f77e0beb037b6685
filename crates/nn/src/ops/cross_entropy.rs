//! Softmax cross-entropy against class indices.

use dfdx::shapes::Axis;
use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::{ReshapeTo, SelectTo, SumTo, TryMul};

use super::buffers::Buffer;
use super::gather_rows::index_tensor;
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::{raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Scalar};

/// The target of a row without a label.
pub const NO_TARGET: u32 = u32::MAX;

/// Rows of one task.
const ROWS: usize = 32;

/// Mean over the labelled rows of -ln softmax(logits)`[target]`, for logits [M, C] and targets `[M]`
/// ([`NO_TARGET`] = not a sample). Without any labelled row it is 0.
pub fn cross_entropy<D: Device, T: Tape<f32, D>>(
    logits: &Matrix<D>,
    targets: &[u32],
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    let (rows, classes) = *logits.shape();
    check_shape("cross_entropy", "targets", &[rows], &[targets.len()])?;
    if let Some(target) = targets
        .iter()
        .find(|&&t| t != NO_TARGET && t as usize >= classes)
    {
        return Err(Error::value(
            "cross_entropy",
            "target",
            format!("below {classes}"),
            target,
        ));
    }
    if targets.iter().all(|&target| target == NO_TARGET) {
        return tensor(logits.device(), vec![0.0], ());
    }
    D::cross_entropy(logits, targets, tape)
}

fn labelled(targets: &[u32]) -> f32 {
    targets
        .iter()
        .filter(|&&target| target != NO_TARGET)
        .count() as f32
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    logits: &Matrix<D>,
    targets: &[u32],
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    let rows = targets.len();
    let index = targets
        .iter()
        .map(|&t| if t == NO_TARGET { 0 } else { t as usize })
        .collect();
    let weight = -1.0 / labelled(targets);
    let weights = targets
        .iter()
        .map(|&t| if t == NO_TARGET { 0.0 } else { weight })
        .collect();
    let (index, weights) = (
        index_tensor(logits.device(), index)?,
        raw(logits.device(), weights, (rows,))?,
    );
    let loss = taped(&logits.enter(tape)?, tape)
        .try_log_softmax::<Axis<1>>()
        .and_then(|y| y.try_select(index))
        .and_then(|y| y.try_mul(weights))
        .and_then(|y| y.try_sum::<(), Axis<0>>())
        .and_then(|y| y.try_reshape_like(&()))
        .map_err(Error::device)?;
    Scalar::leave(loss, tape)
}

vectorized! {
    /// Replaces logits by probabilities, or by zeros in a row without a target.
    fn row_losses(logits: &mut [f32], losses: &mut [f32], targets: &[u32], classes: usize) {
        for ((row, loss), &target) in logits.chunks_exact_mut(classes).zip(losses).zip(targets) {
            if target == NO_TARGET {
                row.fill(0.0);
                continue;
            }
            let logit = row[target as usize];
            *loss = vectors::softmax(row) - logit;
        }
    }
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    logits: &Matrix<Cpu>,
    targets: &[u32],
    tape: &mut T,
) -> Result<Scalar<Cpu>, Error> {
    let (rows, classes) = *logits.shape();
    let scale = 1.0 / labelled(targets);
    let mut probabilities = Buffer::of(logits);
    let mut losses = vec![0.0f32; rows];
    probabilities
        .chunks_mut(ROWS * classes)
        .zip(losses.chunks_mut(ROWS))
        .zip(targets.chunks(ROWS))
        .for_each_on_threads(|((logits, losses), targets)| {
            row_losses(logits, losses, targets, classes);
        });
    let total: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    let y = tensor(logits.device(), vec![total as f32 * scale], ())?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost) = (y.ghost(), logits.ghost());
        let targets = targets.to_vec();
        tape.add_backward_op(move |gradients| {
            let factor = y_ghost.gradient(gradients)?[0] * scale;
            let dx = x_ghost.gradient(gradients)?;
            dx.chunks_mut(ROWS * classes)
                .zip(probabilities.chunks(ROWS * classes))
                .zip(targets.chunks(ROWS))
                .for_each_on_threads(|((dx, p), targets)| {
                    vectors::add_all_scaled(dx, factor, p);
                    for (row, &target) in dx.chunks_exact_mut(classes).zip(targets) {
                        if target != NO_TARGET {
                            row[target as usize] -= factor;
                        }
                    }
                });
            Ok(())
        });
    }
    Ok(y)
}
