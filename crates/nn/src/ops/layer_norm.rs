//! Layer normalisation of x, or of x + residual, with an optional ReLU.

use std::sync::Arc;

use dfdx::shapes::Axis;
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, TryAdd, TryMul};

use super::buffers::Buffer;
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::tensor;
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Vector};

/// Added to the variance, as in PyTorch.
const EPSILON: f32 = 1e-5;
/// Rows of one task.
const ROWS: usize = 64;

/// What follows the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// max(0, y).
    Relu,
}

/// Result of [`layer_norm`].
pub struct Normalized<D: Device> {
    /// x + residual (x itself without one), [N, d]: the residual stream to go on with.
    pub stream: Matrix<D>,
    /// The normalised rows, [N, d].
    pub y: Matrix<D>,
}

/// y = activation((s - mean) / sqrt(variance + 1e-5) * scale + shift) with s = x + residual, by row of
/// [N, d]; scale and shift are `[d]`.
pub fn layer_norm<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    residual: Option<&Matrix<D>>,
    scale: &Vector<D>,
    shift: &Vector<D>,
    activation: Activation,
    tape: &mut T,
) -> Result<Normalized<D>, Error> {
    let (rows, width) = *x.shape();
    if let Some(residual) = residual {
        let found = *residual.shape();
        check_shape(
            "layer_norm",
            "residual",
            &[rows, width],
            &[found.0, found.1],
        )?;
    }
    check_shape("layer_norm", "scale", &[width], &[scale.shape().0])?;
    check_shape("layer_norm", "shift", &[width], &[shift.shape().0])?;
    D::layer_norm(x, residual, scale, shift, activation, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    residual: Option<&Matrix<D>>,
    scale: &Vector<D>,
    shift: &Vector<D>,
    activation: Activation,
    tape: &mut T,
) -> Result<Normalized<D>, Error> {
    let shape = *x.shape();
    let (x, scale, shift) = (x.enter(tape)?, scale.enter(tape)?, shift.enter(tape)?);
    let residual = residual.map(|residual| residual.enter(tape)).transpose()?;
    let mut stream = taped(&x, tape);
    if let Some(residual) = residual {
        stream = stream.try_add(residual).map_err(Error::device)?;
    }
    let (stream, rest) = stream.split_tape();
    *tape = rest;
    let scale = scale
        .try_broadcast_like::<_, Axis<0>>(&shape)
        .map_err(Error::device)?;
    let shift = shift
        .try_broadcast_like::<_, Axis<0>>(&shape)
        .map_err(Error::device)?;
    let mut y = taped(&stream, tape)
        .try_normalize::<Axis<1>>(f64::from(EPSILON))
        .and_then(|y| y.try_mul(scale))
        .and_then(|y| y.try_add(shift))
        .map_err(Error::device)?;
    if activation == Activation::Relu {
        y = y.try_relu().map_err(Error::device)?;
    }
    let y = Matrix::leave(y, tape)?;
    let stream = taped(&stream, tape);
    let stream = Matrix::leave(stream, tape)?;
    Ok(Normalized { stream, y })
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    residual: Option<&Matrix<Cpu>>,
    scale: &Vector<Cpu>,
    shift: &Vector<Cpu>,
    activation: Activation,
    tape: &mut T,
) -> Result<Normalized<Cpu>, Error> {
    let (rows, width) = *x.shape();
    if width == 0 || rows == 0 {
        return composed(x, residual, scale, shift, activation, tape);
    }
    let mut out = Buffer::scratch(rows * width);
    let mut moments = Buffer::scratch(2 * rows); // by row: mean, 1 / deviation
    let blocks = out
        .chunks_mut(ROWS * width)
        .zip(moments.chunks_mut(2 * ROWS))
        .zip(x.values().chunks(ROWS * width));
    let (scale_values, shift_values) = (scale.values(), shift.values());
    let stream = match residual {
        Some(residual) => {
            let mut sum = Buffer::scratch(rows * width);
            let sums = sum.chunks_mut(ROWS * width);
            let residuals = residual.values().chunks(ROWS * width);
            blocks.zip(sums).zip(residuals).for_each_on_threads(
                |((((out, moments), x), sum), residual)| {
                    add_and_normalize_rows(
                        out,
                        (x, residual, sum),
                        moments,
                        scale_values,
                        shift_values,
                        activation,
                    );
                },
            );
            tensor(x.device(), sum, (rows, width))?
        }
        None => {
            blocks.for_each(|((out, moments), x)| {
                normalize_rows(out, x, moments, scale_values, shift_values, activation);
            });
            x.clone()
        }
    };
    let y = tensor(x.device(), out, (rows, width))?;
    if T::OWNS_TAPE {
        let residual_ghosts = residual.map(|residual| (x.ghost(), residual.ghost()));
        let (stream_ghost, y_ghost) = (stream.ghost(), y.ghost());
        let (scale_ghost, shift_ghost) = (scale.ghost(), shift.ghost());
        let saved = Saved {
            stream: stream.share(),
            moments,
            scale: scale.share(),
            shift: shift.share(),
            activation,
        };
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let (d_scale, d_shift) = match residual_ghosts {
                // The stream is x itself, and its gradient is added to in place.
                None => saved.backward(stream_ghost.gradient(gradients)?, None, &dy),
                Some((x, residual)) => {
                    let mut d_stream = stream_ghost.take(gradients)?;
                    let mut copy = Buffer::scratch(d_stream.len());
                    let sums = saved.backward(&mut d_stream, Some(&mut copy), &dy);
                    x.add(gradients, copy)?;
                    residual.add(gradients, d_stream)?;
                    sums
                }
            };
            vectors::add_all(scale_ghost.gradient(gradients)?, &d_scale);
            vectors::add_all(shift_ghost.gradient(gradients)?, &d_shift);
            Ok(())
        });
    }
    Ok(Normalized { stream, y })
}

vectorized! {
    fn normalize_rows(
        out: &mut [f32],
        stream: &[f32],
        moments: &mut [f32],
        scale: &[f32],
        shift: &[f32],
        activation: Activation,
    ) {
        let width = scale.len();
        for ((out, s), moments) in out
            .chunks_exact_mut(width)
            .zip(stream.chunks_exact(width))
            .zip(moments.chunks_exact_mut(2))
        {
            let (mean, inverse) = normalize_row(out, s, scale, shift, activation);
            moments.copy_from_slice(&[mean, inverse]);
        }
    }

    /// The same of x + residual, whose sum goes to the third of `streams`.
    fn add_and_normalize_rows(
        out: &mut [f32],
        streams: (&[f32], &[f32], &mut [f32]),
        moments: &mut [f32],
        scale: &[f32],
        shift: &[f32],
        activation: Activation,
    ) {
        let width = scale.len();
        let (x, residual, sums) = streams;
        let rows = x.chunks_exact(width).zip(residual.chunks_exact(width));
        for (((out, (x, residual)), sum), moments) in out
            .chunks_exact_mut(width)
            .zip(rows)
            .zip(sums.chunks_exact_mut(width))
            .zip(moments.chunks_exact_mut(2))
        {
            for ((sum, x), residual) in sum.iter_mut().zip(x).zip(residual) {
                *sum = x + residual;
            }
            let (mean, inverse) = normalize_row(out, sum, scale, shift, activation);
            moments.copy_from_slice(&[mean, inverse]);
        }
    }

    /// Adds to the gradients of the stream, of scale and of shift, and copies the first where `copy` is not
    /// empty; `scratch` is two rows.
    fn backward_rows(
        d_stream: &mut [f32],
        copy: &mut [f32],
        dy: &[f32],
        rows: SavedRows<'_>,
        d_scale: &mut [f32],
        d_shift: &mut [f32],
        scratch: &mut [f32],
    ) {
        let width = rows.scale.len();
        let (normal, d_normal) = scratch.split_at_mut(width);
        let mut copies = copy.chunks_exact_mut(width);
        for (((d_stream, dy), s), moments) in d_stream
            .chunks_exact_mut(width)
            .zip(dy.chunks_exact(width))
            .zip(rows.stream.chunks_exact(width))
            .zip(rows.moments.chunks_exact(2))
        {
            let (mean, inverse) = (moments[0], moments[1]);
            let relu = rows.activation == Activation::Relu;
            let sums = d_scale.iter_mut().zip(&mut *d_shift);
            let weights = rows.scale.iter().zip(rows.shift);
            let row = normal.iter_mut().zip(&mut *d_normal).zip(s.iter().zip(dy));
            for (((x, g), (s, dy)), ((d_scale, d_shift), (scale, shift))) in
                row.zip(sums.zip(weights))
            {
                *x = (s - mean) * inverse;
                let d_y = if relu && *x * scale + shift <= 0.0 { 0.0 } else { *dy };
                *d_scale += d_y * *x;
                *d_shift += d_y;
                *g = d_y * scale;
            }
            let mean_d = vectors::sum(d_normal) / width as f32;
            let mean_dx = vectors::dot(d_normal, normal) / width as f32;
            let slopes = d_normal.iter().zip(&*normal);
            let slopes = slopes.map(|(g, x)| (g - mean_d - x * mean_dx) * inverse);
            match copies.next() {
                Some(copy) => {
                    for ((to, copy), slope) in d_stream.iter_mut().zip(copy).zip(slopes) {
                        *to += slope;
                        *copy = *to;
                    }
                }
                None => d_stream.iter_mut().zip(slopes).for_each(|(to, slope)| *to += slope),
            }
        }
    }
}

/// What the backward pass of some rows needs of the forward one.
#[derive(Clone, Copy)]
struct SavedRows<'a> {
    stream: &'a [f32],
    moments: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    activation: Activation,
}

#[inline(always)]
fn normalize_row(
    out: &mut [f32],
    s: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
) -> (f32, f32) {
    let width = s.len() as f32;
    let mean = vectors::sum(s) / width;
    let variance = vectors::sum_of(s, |s| (s - mean) * (s - mean)) / width;
    let inverse = 1.0 / (variance + EPSILON).sqrt();
    for (((out, s), scale), shift) in out.iter_mut().zip(s).zip(scale).zip(shift) {
        let y = (s - mean) * inverse * scale + shift;
        *out = if activation == Activation::Relu && y < 0.0 {
            0.0
        } else {
            y
        };
    }
    (mean, inverse)
}

struct Saved {
    stream: Arc<Buffer>,
    /// By row: mean, 1 / deviation.
    moments: Buffer,
    scale: Arc<Buffer>,
    shift: Arc<Buffer>,
    activation: Activation,
}

impl Saved {
    /// Adds to the stream's gradient, and copies the sum; gives back those of scale and shift.
    fn backward(
        &self,
        d_stream: &mut [f32],
        copy: Option<&mut [f32]>,
        dy: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let width = self.scale.len();
        let blocks = self.moments.len().div_ceil(2 * ROWS);
        let mut partials = Buffer::zeros(blocks * 4 * width); // by block: d_scale, d_shift, scratch
        let mut copies: Vec<&mut [f32]> = match copy {
            Some(copy) => copy.chunks_mut(ROWS * width).collect(),
            None => (0..blocks).map(|_| Default::default()).collect(),
        };
        d_stream
            .chunks_mut(ROWS * width)
            .zip(&mut copies)
            .zip(dy.chunks(ROWS * width))
            .zip(self.stream.chunks(ROWS * width))
            .zip(self.moments.chunks(2 * ROWS))
            .zip(partials.chunks_mut(4 * width))
            .for_each_on_threads(|(((((d_stream, copy), dy), stream), moments), partial)| {
                let rows = SavedRows {
                    stream,
                    moments,
                    scale: &self.scale,
                    shift: &self.shift,
                    activation: self.activation,
                };
                let (d_scale, rest) = partial.split_at_mut(width);
                let (d_shift, scratch) = rest.split_at_mut(width);
                backward_rows(d_stream, copy, dy, rows, d_scale, d_shift, scratch);
            });
        let mut totals = vec![0.0; 2 * width];
        for partial in partials.chunks_exact(4 * width) {
            vectors::add_all(&mut totals, &partial[..2 * width]);
        }
        let d_shift = totals.split_off(width);
        (totals, d_shift)
    }
}
