//! A dense mixture: the results of all experts, weighted by a softmax gate (Ma et al. 2018, eq. 6 and 7).

use std::sync::Arc;

use dfdx::shapes::Axis;
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, SelectTo, TryMul};

use super::buffers::Buffer;
use super::gather_rows::index_tensor;
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::tensor;
use crate::{Device, Error, Matrix};

/// By row the sum over experts e of softmax(logits)_e times expert e's result: for logits [B, E] and E
/// matrices [B, d] it is [B, d].
///
/// # Errors
/// No expert, or matrices of shapes that do not fit the logits.
pub fn gated_sum<D: Device, T: Tape<f32, D>>(
    logits: &Matrix<D>,
    experts: &[&Matrix<D>],
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, columns) = *logits.shape();
    let Some(first) = experts.first() else {
        return Err(Error::value(
            "gated_sum",
            "number of experts",
            "at least 1",
            0,
        ));
    };
    let width = first.shape().1;
    check_shape(
        "gated_sum",
        "logits",
        &[rows, experts.len()],
        &[rows, columns],
    )?;
    for expert in experts {
        let (found, of) = *expert.shape();
        check_shape("gated_sum", "an expert", &[rows, width], &[found, of])?;
    }
    D::gated_sum(logits, experts, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    logits: &Matrix<D>,
    experts: &[&Matrix<D>],
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let shape = *experts[0].shape();
    let (gate, rest) = taped(&logits.enter(tape)?, tape)
        .try_softmax::<Axis<1>>()
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    let mut sum: Option<Matrix<D>> = None;
    for (e, expert) in experts.iter().enumerate() {
        let column = index_tensor(logits.device(), vec![e; shape.0])?;
        let expert = expert.enter(tape)?;
        let part = taped(&gate, tape)
            .try_select(column)
            .and_then(|share| share.try_broadcast_like::<_, Axis<1>>(&shape))
            .and_then(|share| share.try_mul(expert))
            .map_err(Error::device)?;
        let part = Matrix::leave(part, tape)?;
        sum = Some(match sum {
            None => part,
            Some(before) => super::add::composed(&before, &part, tape)?,
        });
    }
    // The checked entry has seen that there is an expert.
    sum.map_or_else(|| tensor(logits.device(), vec![], (0, 0)), Ok)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    logits: &Matrix<Cpu>,
    experts: &[&Matrix<Cpu>],
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let ((rows, count), width) = (*logits.shape(), experts[0].shape().1);
    let mut gate = Buffer::of(logits);
    let values: Vec<Arc<Buffer>> = experts.iter().map(|expert| expert.share()).collect();
    let mut out = Buffer::zeros(rows * width);
    gate_rows(&mut out, &mut gate, &values, width);
    let y = tensor(logits.device(), out, (rows, width))?;
    if T::OWNS_TAPE {
        let (y_ghost, logits_ghost) = (y.ghost(), logits.ghost());
        let ghosts: Vec<_> = experts.iter().map(|expert| expert.ghost()).collect();
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let d_logits = logits_ghost.gradient(gradients)?;
            add_gate_gradient(d_logits, &gate, &values, &dy);
            for (e, ghost) in ghosts.iter().enumerate() {
                let d_expert = ghost.gradient(gradients)?;
                add_shares(d_expert, &dy, &gate[e..], count, width);
            }
            Ok(())
        });
    }
    Ok(y)
}

vectorized! {
    /// Softmax of the gate by row, and the sum of the experts' rows times their shares.
    fn gate_rows(out: &mut [f32], gate: &mut [f32], values: &[Arc<Buffer>], width: usize) {
        for (row, gate) in gate.chunks_exact_mut(values.len()).enumerate() {
            vectors::softmax(gate);
            let out = &mut out[row * width..][..width];
            for (share, values) in gate.iter().zip(values) {
                vectors::add_scaled(out, *share, &values[row * width..][..width]);
            }
        }
    }

    /// Adds each row of `dy` times one expert's share; `gate` begins at that expert.
    fn add_shares(to: &mut [f32], dy: &[f32], gate: &[f32], count: usize, width: usize) {
        let shares = gate.iter().step_by(count);
        let rows = to.chunks_exact_mut(width.max(1)).zip(dy.chunks_exact(width.max(1)));
        for ((to, dy), &share) in rows.zip(shares) {
            vectors::add_scaled(to, share, dy);
        }
    }

    /// `d_logits += gate * (d_gate - sum of gate * d_gate)`, where d_gate of an expert is the product of
    /// its result and `dy`.
    fn add_gate_gradient(d_logits: &mut [f32], gate: &[f32], values: &[Arc<Buffer>], dy: &[f32]) {
        let count = values.len();
        let rows = gate.len() / count;
        let width = dy.len().checked_div(rows).unwrap_or(0);
        let mut d_gate = vec![0.0; count];
        for row in 0..rows {
            let dy = &dy[row * width..][..width];
            let gate = &gate[row * count..][..count];
            for (d_gate, values) in d_gate.iter_mut().zip(values) {
                *d_gate = vectors::dot(&values[row * width..][..width], dy);
            }
            let mean = vectors::dot(gate, &d_gate);
            let to = d_logits[row * count..][..count].iter_mut();
            for ((to, gate), d_gate) in to.zip(gate).zip(&d_gate) {
                *to += gate * (d_gate - mean);
            }
        }
    }
}
