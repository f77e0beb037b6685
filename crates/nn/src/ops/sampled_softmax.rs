//! Sampled softmax (Jean et al. 2015): cross-entropy over the own class and a few sampled ones, each
//! logit less the logarithm of how often it is expected in the sample.

use std::sync::Arc;

use dfdx::shapes::{Axes2, Axis, HasShape};
use dfdx::tensor::{Cpu, SplitTape, Tape, Tensor};
use dfdx::tensor_ops::{
    PermuteTo, ReshapeTo, SelectTo, SumTo, TryConcatAlong, TryMatMul, TryMul, TrySub,
};

use super::buffers::Buffer;
use super::gather_rows::{check_indices, index_tensor};
use super::products::{self, Start, Strided};
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::{raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Scalar};

/// What a row of hidden states is told apart from.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// The own class of each row, as a row of `classes`. `[P]`
    pub targets: Arc<[u32]>,
    /// Sampled classes, as rows of `classes`, each once. `[S]`
    pub samples: Arc<[u32]>,
    /// Logarithm of how often the own class of each row is expected among the samples. `[P]`
    pub target_log_counts: Arc<[f32]>,
    /// The same of the sampled classes. `[S]`
    pub sample_log_counts: Arc<[f32]>,
}

/// Taken off the logit of a sampled class that is the row's own: its probability becomes 0.
const HIT: f32 = 1e9;
/// Rows of one task.
const ROWS: usize = 32;

/// Mean over the rows of x [P, d] of -ln softmax at the own class, among that class and the sampled
/// ones that differ from it. `classes` [U, d + 1] holds a weight vector and a bias for each class in
/// use; a logit is x w + b - ln(expected count). Without rows or without
/// samples it is 0.
pub fn sampled_softmax<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    classes: &Matrix<D>,
    candidates: &Candidates,
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    const NAME: &str = "sampled_softmax";
    let ((rows, width), (used, columns)) = (*x.shape(), *classes.shape());
    check_shape(NAME, "classes", &[used, width + 1], &[used, columns])?;
    check_shape(NAME, "targets", &[rows], &[candidates.targets.len()])?;
    check_indices(NAME, &candidates.targets, used)?;
    check_indices(NAME, &candidates.samples, used)?;
    let (of_targets, of_samples) = (&candidates.target_log_counts, &candidates.sample_log_counts);
    check_shape(NAME, "counts of targets", &[rows], &[of_targets.len()])?;
    let samples = candidates.samples.len();
    check_shape(NAME, "counts of samples", &[samples], &[of_samples.len()])?;
    if rows == 0 || samples == 0 {
        return tensor(x.device(), vec![0.0], ());
    }
    D::sampled_softmax(x, classes, candidates, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    classes: &Matrix<D>,
    candidates: &Candidates,
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    let ((rows, width), samples) = (*x.shape(), candidates.samples.len());
    let device = x.device();
    let ones = raw(device, vec![1.0; rows], (rows, 1))?;
    let extended = (taped(&x.enter(tape)?, tape), ones)
        .try_concat_along(Axis::<1>)
        .map_err(Error::device)?;
    let (extended, rest) = extended.split_tape();
    *tape = rest;
    let own = super::gather_rows::composed(classes, &candidates.targets, tape)?.enter(tape)?;
    let own = taped(&own, tape)
        .try_mul(extended.clone())
        .and_then(|products| products.try_sum::<(usize,), Axis<1>>())
        .and_then(|logits| logits.try_reshape_like(&(rows, 1)))
        .map_err(Error::device)?;
    let (own, rest) = own.split_tape();
    *tape = rest;
    let sampled = super::gather_rows::composed(classes, &candidates.samples, tape)?.enter(tape)?;
    let sampled: Tensor<(usize, usize), f32, D, T> = taped(&sampled, tape)
        .try_permute::<(usize, usize), Axes2<1, 0>>()
        .map_err(Error::device)?;
    let (sampled, rest) = sampled.split_tape();
    *tape = rest;
    debug_assert_eq!(sampled.shape(), &(width + 1, samples));
    let sampled = taped(&extended, tape)
        .try_matmul(sampled)
        .map_err(Error::device)?;
    let mut corrections = Vec::with_capacity(rows * (samples + 1));
    for (&target, log_count) in candidates
        .targets
        .iter()
        .zip(&*candidates.target_log_counts)
    {
        corrections.push(*log_count);
        corrections.extend(sample_corrections(candidates, target));
    }
    let corrections = raw(device, corrections, (rows, samples + 1))?;
    let (sampled, rest) = sampled.split_tape();
    *tape = rest;
    let loss = (taped(&own, tape), sampled)
        .try_concat_along(Axis::<1>)
        .and_then(|logits| logits.try_sub(corrections))
        .and_then(|logits| logits.try_log_softmax::<Axis<1>>())
        .map_err(Error::device)?;
    let first = index_tensor(device, vec![0; rows])?;
    let loss = loss
        .try_select(first)
        .and_then(|losses: Tensor<(usize,), f32, D, T>| losses.try_mul(-1.0 / rows as f32))
        .and_then(|losses| losses.try_sum::<(), Axis<0>>())
        .map_err(Error::device)?;
    Scalar::leave(loss, tape)
}

/// What is taken off the logits of the sampled classes in a row whose own class is `target`.
fn sample_corrections(candidates: &Candidates, target: u32) -> impl Iterator<Item = f32> + '_ {
    let samples = candidates.samples.iter();
    samples
        .zip(&*candidates.sample_log_counts)
        .map(move |(&sample, log_count)| if sample == target { HIT } else { *log_count })
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    classes: &Matrix<Cpu>,
    candidates: &Candidates,
    tape: &mut T,
) -> Result<Scalar<Cpu>, Error> {
    let ((rows, width), samples) = (*x.shape(), candidates.samples.len());
    let (hidden, weights) = (x.share(), classes.share());
    let class = |row: u32| weights[row as usize * (width + 1)..][..width + 1].split_at(width);
    let mut sampled = Buffer::scratch(samples * width);
    for (to, &row) in sampled.chunks_exact_mut(width).zip(&*candidates.samples) {
        to.copy_from_slice(class(row).0);
    }
    // Logits of the sampled classes, then their probabilities. [P, S]
    let mut p = Buffer::scratch(rows * samples);
    products::multiply_rows(
        &mut p,
        Strided::new(&hidden, rows, width),
        Strided::new(&sampled, samples, width).transposed(),
        Start::Zero,
    );
    let biases: Vec<f32> = candidates
        .samples
        .iter()
        .map(|&row| class(row).1[0])
        .collect();
    // By row: probability of the own class, and loss.
    let mut own = vec![(0.0f32, 0.0f32); rows];
    p.chunks_mut(ROWS * samples)
        .zip(own.chunks_mut(ROWS))
        .enumerate()
        .for_each_on_threads(|(block, (logits, own))| {
            for (i, own) in own.iter_mut().enumerate() {
                let row = block * ROWS + i;
                let (weight, bias) = class(candidates.targets[row]);
                let logit = vectors::dot(&hidden[row * width..][..width], weight) + bias[0]
                    - candidates.target_log_counts[row];
                let logits = &mut logits[i * samples..][..samples];
                let corrections = sample_corrections(candidates, candidates.targets[row]);
                for ((value, bias), correction) in logits.iter_mut().zip(&biases).zip(corrections) {
                    *value += bias - correction;
                }
                *own = softmax_with(logits, logit);
            }
        });
    let total: f64 = own.iter().map(|(_, loss)| f64::from(*loss)).sum();
    let y = tensor(x.device(), vec![(total / rows as f64) as f32], ())?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost, classes_ghost) = (y.ghost(), x.ghost(), classes.ghost());
        let candidates = candidates.clone();
        tape.add_backward_op(move |gradients| {
            let factor = y_ghost.gradient(gradients)?[0] / rows as f32;
            let mut d_logits = p;
            d_logits.iter_mut().for_each(|p| *p *= factor);
            let d_own: Vec<f32> = own.iter().map(|(p, _)| factor * (p - 1.0)).collect();

            let dx = x_ghost.gradient(gradients)?;
            products::multiply_rows(
                dx,
                Strided::new(&d_logits, rows, samples),
                Strided::new(&sampled, samples, width),
                Start::Own,
            );
            for ((dx, d), &row) in dx
                .chunks_exact_mut(width)
                .zip(&d_own)
                .zip(&*candidates.targets)
            {
                vectors::add_scaled(dx, *d, &weights[row as usize * (width + 1)..][..width]);
            }

            let mut d_sampled = Buffer::zeros(samples * width);
            products::add_transposed_product(&mut d_sampled, &d_logits, &hidden, rows);
            let mut d_biases = vec![0.0; samples];
            products::add_column_sums(&mut d_biases, &d_logits);
            let d_classes = classes_ghost.gradient(gradients)?;
            let mut add = |row: u32, factor: f32, weight: &[f32], bias: f32| {
                let to = &mut d_classes[row as usize * (width + 1)..][..width + 1];
                vectors::add_scaled(&mut to[..width], factor, weight);
                to[width] += bias;
            };
            for ((&row, weight), bias) in candidates
                .samples
                .iter()
                .zip(d_sampled.chunks_exact(width))
                .zip(d_biases)
            {
                add(row, 1.0, weight, bias);
            }
            for ((&row, hidden), &d) in candidates
                .targets
                .iter()
                .zip(hidden.chunks_exact(width))
                .zip(&d_own)
            {
                add(row, d, hidden, d);
            }
            Ok(())
        });
    }
    Ok(y)
}

vectorized! {
    /// Replaces logits by their probabilities beside one more; gives the probability of that one, and
    /// -ln of it.
    fn softmax_with(logits: &mut [f32], own: f32) -> (f32, f32) {
        // NaN must come through: `f32::max` would drop it.
        let largest = vectors::maximum(logits);
        let largest = if own > largest || own.is_nan() {
            own
        } else {
            largest
        };
        for value in logits.iter_mut() {
            *value = vectors::exp(*value - largest);
        }
        let of_own = vectors::exp(own - largest);
        let total = vectors::sum(logits) + of_own;
        let scale = 1.0 / total;
        for value in logits.iter_mut() {
            *value *= scale;
        }
        (of_own * scale, largest + total.ln() - own)
    }
}
