//! Layer normalisation of x, or of x + residual, with an optional ReLU.

use dfdx::shapes::{Axis, HasShape};
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, TryAdd, TryMul};
use rayon::prelude::*;

use super::buffers::Buffer;
use super::{taped, vectors};
use crate::error::check_shape;
use crate::tensors::tensor;
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
    let mut stream = taped(x, tape);
    if let Some(residual) = residual {
        stream = stream.try_add(residual.clone()).map_err(Error::device)?;
    }
    let (stream, rest) = stream.split_tape();
    *tape = rest;
    let shape = *x.shape();
    let scale = scale
        .clone()
        .try_broadcast_like::<_, Axis<0>>(&shape)
        .map_err(Error::device)?;
    let shift = shift
        .clone()
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
    let (y, rest) = y.split_tape();
    *tape = rest;
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
    let (scale_values, shift_values) = (crate::read(scale), crate::read(shift));
    let mut stream_values = crate::read(x);
    let residual_values = residual.map(Buffer::of);
    let mut out = vec![0.0; rows * width];
    let mut moments = vec![(0.0f32, 0.0f32); rows]; // mean, 1 / deviation
    out.par_chunks_mut(ROWS * width)
        .zip(stream_values.par_chunks_mut(ROWS * width))
        .zip(moments.par_chunks_mut(ROWS))
        .enumerate()
        .for_each(|(block, ((out, stream), moments))| {
            vectors::dispatch(|| {
                if let Some(residual) = &residual_values {
                    vectors::add(stream, &residual[block * ROWS * width..]);
                }
                for ((out, s), moments) in out
                    .chunks_exact_mut(width)
                    .zip(stream.chunks_exact(width))
                    .zip(moments)
                {
                    *moments = normalize_row(out, s, &scale_values, &shift_values, activation);
                }
            });
        });
    let stream = match residual {
        Some(_) => tensor(x.device(), stream_values, (rows, width))?,
        None => x.clone(),
    };
    let y = tensor(x.device(), out, (rows, width))?;
    if T::OWNS_TAPE {
        let residual_ghosts = residual.map(|residual| (x.ghost(), residual.ghost()));
        let (stream_ghost, y_ghost) = (stream.ghost(), y.ghost());
        let (scale_ghost, shift_ghost) = (scale.ghost(), shift.ghost());
        let stream = stream.clone();
        tape.add_backward_op(move |gradients| {
            let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&y_ghost)?);
            let saved = Saved {
                stream: Buffer::of(&stream),
                moments,
                scale: scale_values,
                shift: shift_values,
                activation,
            };
            // Without a residual the stream is x itself, and its gradient is added to in place.
            let d_stream = &mut **gradients.get_or_alloc_mut(&stream_ghost)?;
            let (d_scale, d_shift) = saved.backward(d_stream, &dy);
            if let Some((x, residual)) = residual_ghosts {
                let d_stream = std::mem::take(d_stream);
                add_into(gradients.get_or_alloc_mut(&x)?, &d_stream);
                add_into(gradients.get_or_alloc_mut(&residual)?, &d_stream);
            }
            add_into(gradients.get_or_alloc_mut(&scale_ghost)?, &d_scale);
            add_into(gradients.get_or_alloc_mut(&shift_ghost)?, &d_shift);
            Ok(())
        });
    }
    Ok(Normalized { stream, y })
}

fn add_into(to: &mut [f32], from: &[f32]) {
    vectors::dispatch(|| vectors::add(to, from));
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
    let variance = vectors::sum_of(s.len(), |i| (s[i] - mean) * (s[i] - mean)) / width;
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
    stream: Buffer,
    moments: Vec<(f32, f32)>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    activation: Activation,
}

impl Saved {
    /// Adds to the stream's gradient; gives back those of scale and shift.
    fn backward(&self, d_stream: &mut [f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let width = self.scale.len();
        let blocks = self.moments.len().div_ceil(ROWS);
        let mut partials = vec![0.0; blocks * 2 * width]; // by block: d_scale, d_shift
        d_stream
            .par_chunks_mut(ROWS * width)
            .zip(dy.par_chunks(ROWS * width))
            .zip(partials.par_chunks_mut(2 * width))
            .enumerate()
            .for_each(|(block, ((d_stream, dy), partial))| {
                vectors::dispatch(|| self.backward_block(block, d_stream, dy, partial));
            });
        let mut totals = vec![0.0; 2 * width];
        for partial in partials.chunks_exact(2 * width) {
            add_into(&mut totals, partial);
        }
        let d_shift = totals.split_off(width);
        (totals, d_shift)
    }

    #[inline(always)]
    fn backward_block(&self, block: usize, d_stream: &mut [f32], dy: &[f32], partial: &mut [f32]) {
        let width = self.scale.len();
        let (d_scale, d_shift) = partial.split_at_mut(width);
        let mut d_normal = vec![0.0; width];
        let mut normal = vec![0.0; width];
        for (i, (d_stream, dy)) in d_stream
            .chunks_exact_mut(width)
            .zip(dy.chunks_exact(width))
            .enumerate()
        {
            let row = block * ROWS + i;
            let (mean, inverse) = self.moments[row];
            let s = &self.stream[row * width..(row + 1) * width];
            for c in 0..width {
                let x = (s[c] - mean) * inverse;
                let y = x * self.scale[c] + self.shift[c];
                let kept = self.activation == Activation::Identity || y > 0.0;
                let g = if kept { dy[c] } else { 0.0 };
                d_scale[c] += g * x;
                d_shift[c] += g;
                normal[c] = x;
                d_normal[c] = g * self.scale[c];
            }
            let mean_d = vectors::sum(&d_normal) / width as f32;
            let mean_dx = vectors::dot(&d_normal, &normal) / width as f32;
            for c in 0..width {
                d_stream[c] += (d_normal[c] - mean_d - normal[c] * mean_dx) * inverse;
            }
        }
    }
}
