//! Losses by task over the labelled samples (NaN = no label), and sums of losses.

use dfdx::shapes::Axis;
use dfdx::tensor::{Gradients, NoneTape, OwnedTape, PutTape, Tape};
use dfdx::tensor_ops::{SumTo, TryAdd, TryMul, TrySub};

use super::taped;
use crate::error::check_shape;
use crate::tensors::{raw, tensor};
use crate::{Device, Error, Matrix, Scalar, Vector};

/// Binary cross-entropy with logits, by column: for logits [B, K] and row-major labels [B, K] in [0, 1]
/// the mean over the labelled rows of each task, `[K]`. A task without any label gives 0 and no gradient.
pub fn bce_with_logits<D: Device, T: Tape<f32, D>>(
    logits: &Matrix<D>,
    labels: &[f32],
    tape: &mut T,
) -> Result<Vector<D>, Error> {
    mean_by_task("bce_with_logits", logits, labels, tape, |x, y| {
        // ln(1 + e^-|x|) + max(x, 0) - x y
        let loss = (-x.abs()).exp().ln_1p() + keep_nan_max(x) - x * y;
        (loss, 1.0 / (1.0 + (-x).exp()) - y)
    })
}

/// Squared error, by column: as [`bce_with_logits`], with the mean of (x - label)^2.
pub fn mse<D: Device, T: Tape<f32, D>>(
    predictions: &Matrix<D>,
    labels: &[f32],
    tape: &mut T,
) -> Result<Vector<D>, Error> {
    mean_by_task("mse", predictions, labels, tape, |x, y| {
        ((x - y) * (x - y), 2.0 * (x - y))
    })
}

/// Huber loss, by column: as [`bce_with_logits`], with e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2).
pub fn huber<D: Device, T: Tape<f32, D>>(
    predictions: &Matrix<D>,
    labels: &[f32],
    delta: f32,
    tape: &mut T,
) -> Result<Vector<D>, Error> {
    if delta.is_nan() || delta <= 0.0 {
        return Err(Error::value("huber", "delta", "above 0", delta));
    }
    let delta = f64::from(delta);
    mean_by_task("huber", predictions, labels, tape, |x, y| {
        let e = x - y;
        let loss = if e.abs() > delta {
            delta * (e.abs() - 0.5 * delta)
        } else {
            0.5 * e * e
        };
        (loss, e.clamp(-delta, delta))
    })
}

/// The sum of `weights[k] * losses[k]` for losses `[K]`.
pub fn weighted_sum<D: Device, T: Tape<f32, D>>(
    losses: &Vector<D>,
    weights: &[f32],
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    check_shape(
        "weighted_sum",
        "weights",
        &[losses.shape().0],
        &[weights.len()],
    )?;
    let weights = raw(losses.device(), weights.to_vec(), *losses.shape())?;
    let total = taped(&losses.enter(tape)?, tape)
        .try_mul(weights)
        .and_then(|products| products.try_sum::<(), Axis<0>>())
        .map_err(Error::device)?;
    Scalar::leave(total, tape)
}

/// Sum of weight * loss over scalars. Without terms it is 0.
pub fn sum<D: Device, T: Tape<f32, D>>(
    device: &D,
    terms: &[(&Scalar<D>, f32)],
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    let entered = terms.iter().map(|(term, _)| term.enter(tape));
    let entered = entered.collect::<Result<Vec<_>, _>>()?;
    let mut total = taped(&raw(device, vec![0.0], ())?, tape);
    for (term, (_, weight)) in entered.into_iter().zip(terms) {
        let scaled = term
            .put_tape(T::default())
            .try_mul(*weight)
            .map_err(Error::device)?;
        total = total.try_add(scaled).map_err(Error::device)?;
    }
    Scalar::leave(total, tape)
}

/// Runs the tape backwards from `loss`; the gradients of all leaf tensors come out.
pub fn backward<D: Device>(
    loss: Scalar<D>,
    tape: OwnedTape<f32, D>,
) -> Result<Gradients<f32, D>, Error> {
    <D as crate::HostAccess>::backward(loss, tape)
}

fn keep_nan_max(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// Mean by column over the rows whose label is a number; `loss` gives value and derivative in f64.
fn mean_by_task<D: Device, T: Tape<f32, D>>(
    operation: &'static str,
    x: &Matrix<D>,
    labels: &[f32],
    tape: &mut T,
    loss: impl Fn(f64, f64) -> (f64, f64),
) -> Result<Vector<D>, Error> {
    let (rows, tasks) = *x.shape();
    check_shape(operation, "labels", &[rows * tasks], &[labels.len()])?;
    if rows * tasks == 0 {
        return tensor(x.device(), vec![0.0; tasks], (tasks,));
    }
    let mut samples = vec![0usize; tasks];
    for row in labels.chunks_exact(tasks) {
        for (samples, label) in samples.iter_mut().zip(row) {
            *samples += usize::from(!label.is_nan());
        }
    }
    let values = D::read(x);
    let mut means = vec![0.0f64; tasks];
    let mut slopes = vec![0.0f32; values.len()];
    for (i, (&value, &label)) in values.iter().zip(labels).enumerate() {
        if label.is_nan() {
            continue;
        }
        let samples = samples[i % tasks] as f64;
        let (loss, slope) = loss(f64::from(value), f64::from(label));
        means[i % tasks] += loss / samples;
        slopes[i] = (slope / samples) as f32;
    }
    with_gradient(
        x,
        slopes,
        means.iter().map(|&mean| mean as f32).collect(),
        tape,
    )
}

/// A vector `[K]` with the given values whose gradient to x [B, K] is `slopes`, on any device: the values
/// are constant, and (x - x0) * slopes, which is 0, carries the gradient.
pub(super) fn with_gradient<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    slopes: Vec<f32>,
    values: Vec<f32>,
    tape: &mut T,
) -> Result<Vector<D>, Error> {
    let tasks = values.len();
    let values = tensor(x.device(), values, (tasks,))?;
    if !T::OWNS_TAPE {
        return Ok(values);
    }
    let values = values.enter(&mut NoneTape)?;
    let slopes = raw(x.device(), slopes, *x.shape())?;
    let constant = raw(x.device(), D::read(x), *x.shape())?;
    let carrier = taped(&x.enter(tape)?, tape)
        .try_sub(constant)
        .and_then(|zero| zero.try_mul(slopes))
        .and_then(|zero| zero.try_sum::<(usize,), Axis<0>>())
        .and_then(|zero| zero.try_add(values))
        .map_err(Error::device)?;
    Vector::leave(carrier, tape)
}
