//! Attention on the CPU: one task for each sequence, blocks of queries inside.

use std::sync::Arc;

use dfdx::tensor::{Cpu, Tape};
use rayon::prelude::*;

use super::Qkv;
use crate::ops::buffers::Buffer;
use crate::ops::products::{Strided, StridedMut, multiply};
use crate::ops::vectors::{self, vectorized};
use crate::tensors::{Tensor, tensor};
use crate::{Error, Matrix, Offsets};

/// Query rows worked on at once: the scratch is two matrices [QUERIES, T].
const QUERIES: usize = 64;

/// The parts of q, k and v in slices whose rows begin `stride` values apart.
#[derive(Clone, Copy)]
struct Source<'a> {
    parts: [&'a [f32]; 3],
    stride: usize,
}

impl<'a> Source<'a> {
    fn new(values: &'a [Arc<Buffer>], width: usize) -> Self {
        match values {
            [packed] => {
                let part = |i: usize| packed.get(i * width..).unwrap_or_default();
                Self {
                    parts: [part(0), part(1), part(2)],
                    stride: 3 * width,
                }
            }
            _ => Self {
                parts: [&values[0], &values[1], &values[2]],
                stride: width,
            },
        }
    }

    /// Columns `column..column + size` of part `part`, rows `start..start + rows`.
    fn block(
        &self,
        part: usize,
        start: usize,
        rows: usize,
        column: usize,
        size: usize,
    ) -> Strided<'a> {
        Strided::with_stride(
            &self.parts[part][start * self.stride + column..],
            rows,
            size,
            self.stride,
        )
    }
}

/// Gradients of one sequence: one slice [T, 3 d], or three [T, d].
struct Target<'a> {
    slices: Vec<&'a mut [f32]>,
    width: usize,
}

impl Target<'_> {
    fn block(
        &mut self,
        part: usize,
        start: usize,
        rows: usize,
        column: usize,
        size: usize,
    ) -> StridedMut<'_> {
        let packed = self.slices.len() == 1;
        let (slice, first, stride) = if packed {
            (0, part * self.width, 3 * self.width)
        } else {
            (part, 0, self.width)
        };
        StridedMut::with_stride(
            &mut self.slices[slice][start * stride + first + column..],
            rows,
            size,
            stride,
        )
    }
}

/// Splits rows of `width` values into one slice for each sequence.
fn split_sequences<'a>(
    mut values: &'a mut [f32],
    width: usize,
    offsets: &Offsets,
) -> Vec<&'a mut [f32]> {
    let mut slices = Vec::with_capacity(offsets.sequences());
    for rows in offsets.ranges() {
        let (slice, rest) = values.split_at_mut(rows.len() * width);
        slices.push(slice);
        values = rest;
    }
    slices
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    qkv: Qkv<'_, Cpu>,
    offsets: &Offsets,
    heads: usize,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let (rows, width) = qkv.shape();
    let tensors: Vec<Matrix<Cpu>> = match qkv {
        Qkv::Packed(qkv) => vec![qkv.clone()],
        Qkv::Separate { q, k, v } => vec![q.clone(), k.clone(), v.clone()],
    };
    let values: Vec<Arc<Buffer>> = tensors.iter().map(Tensor::share).collect();
    let source = Source::new(&values, width);
    let mut out = Buffer::scratch(rows * width);
    let mut normalizers = Buffer::scratch(rows * heads); // logsumexp of the scaled scores, by row and head
    split_sequences(&mut out, width, offsets)
        .into_par_iter()
        .zip(split_sequences(&mut normalizers, heads, offsets))
        .enumerate()
        .for_each_init(Vec::new, |scratch, (sequence, (out, normalizers))| {
            forward_sequence(
                source,
                offsets.range(sequence),
                width,
                heads,
                out,
                normalizers,
                scratch,
            );
        });
    let y = tensor(qkv.device(), out, (rows, width))?;
    if T::OWNS_TAPE {
        let y_ghost = y.ghost();
        let ghosts: Vec<_> = tensors.iter().map(|tensor| tensor.ghost()).collect();
        let offsets = offsets.clone();
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let source = Source::new(&values, width);
            // q, k and v may be one tensor: every part has a buffer of its own until the end.
            let stride = if ghosts.len() == 1 { 3 * width } else { width };
            let mut buffers: Vec<Buffer> = Vec::with_capacity(ghosts.len());
            if ghosts.len() == 1 {
                buffers.push(ghosts[0].take(gradients)?);
            } else {
                buffers.resize_with(3, || Buffer::zeros(rows * width));
            }
            let mut targets: Vec<Target<'_>> = (0..offsets.sequences())
                .map(|_| Target {
                    slices: Vec::with_capacity(3),
                    width,
                })
                .collect();
            for buffer in &mut buffers {
                for (target, slice) in targets
                    .iter_mut()
                    .zip(split_sequences(buffer, stride, &offsets))
                {
                    target.slices.push(slice);
                }
            }
            targets.into_par_iter().enumerate().for_each_init(
                Vec::new,
                |scratch, (sequence, target)| {
                    let task = BackwardTask {
                        source,
                        dy: &dy,
                        normalizers: &normalizers,
                        width,
                        heads,
                    };
                    task.run(offsets.range(sequence), target, scratch);
                },
            );
            for (ghost, buffer) in ghosts.iter().zip(buffers) {
                ghost.add(gradients, buffer)?;
            }
            Ok(())
        });
    }
    Ok(y)
}

fn forward_sequence(
    source: Source<'_>,
    rows: std::ops::Range<usize>,
    width: usize,
    heads: usize,
    out: &mut [f32],
    normalizers: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let (steps, size) = (rows.len(), width / heads);
    let scale = 1.0 / (size as f32).sqrt();
    scratch.resize(scratch.len().max(QUERIES * steps), 0.0);
    for head in 0..heads {
        let column = head * size;
        for first in (0..steps).step_by(QUERIES) {
            let queries = QUERIES.min(steps - first);
            let weights = &mut scratch[..queries * steps];
            let q = source.block(0, rows.start + first, queries, column, size);
            let k = source.block(1, rows.start, steps, column, size);
            multiply(
                StridedMut::new(weights, queries, steps),
                q,
                k.transposed(),
                false,
            );
            softmax_rows(
                weights,
                steps,
                scale,
                &mut normalizers[first * heads + head..],
                heads,
            );
            let v = source.block(2, rows.start, steps, column, size);
            let out =
                StridedMut::with_stride(&mut out[first * width + column..], queries, size, width);
            multiply(out, Strided::new(weights, queries, steps), v, false);
        }
    }
}

vectorized! {
    /// Softmax of scaled scores by row; the normalizer of row i goes to `normalizers[i * stride]`.
    fn softmax_rows(
        scores: &mut [f32],
        steps: usize,
        scale: f32,
        normalizers: &mut [f32],
        stride: usize,
    ) {
        let places = normalizers.iter_mut().step_by(stride);
        for (row, normalizer) in scores.chunks_exact_mut(steps).zip(places) {
            for score in row.iter_mut() {
                *score *= scale;
            }
            *normalizer = vectors::softmax(row);
        }
    }

    /// Turns scores into weights again, and the gradients of weights into those of scores.
    fn score_gradients(
        scores: &mut [f32],
        d_weights: &mut [f32],
        steps: usize,
        scale: f32,
        normalizers: &[f32],
        stride: usize,
    ) {
        let rows = scores.chunks_exact_mut(steps).zip(d_weights.chunks_exact_mut(steps));
        for ((p, dp), &normalizer) in rows.zip(normalizers.iter().step_by(stride)) {
            for p in p.iter_mut() {
                *p = vectors::exp(*p * scale - normalizer);
            }
            let mean = vectors::dot(p, dp);
            for (p, dp) in p.iter().zip(dp) {
                *dp = p * (*dp - mean) * scale;
            }
        }
    }
}

struct BackwardTask<'a> {
    source: Source<'a>,
    dy: &'a [f32],
    normalizers: &'a [f32],
    width: usize,
    heads: usize,
}

impl BackwardTask<'_> {
    fn run(&self, rows: std::ops::Range<usize>, mut target: Target<'_>, scratch: &mut Vec<f32>) {
        let (steps, size) = (rows.len(), self.width / self.heads);
        let scale = 1.0 / (size as f32).sqrt();
        scratch.resize(scratch.len().max(2 * QUERIES * steps), 0.0);
        for head in 0..self.heads {
            let column = head * size;
            for first in (0..steps).step_by(QUERIES) {
                let queries = QUERIES.min(steps - first);
                let (weights, rest) = scratch.split_at_mut(queries * steps);
                let d_weights = &mut rest[..queries * steps];
                let start = rows.start + first;
                let q = self.source.block(0, start, queries, column, size);
                let k = self.source.block(1, rows.start, steps, column, size);
                let v = self.source.block(2, rows.start, steps, column, size);
                let dy = Strided::with_stride(
                    &self.dy[start * self.width + column..],
                    queries,
                    size,
                    self.width,
                );
                multiply(
                    StridedMut::new(weights, queries, steps),
                    q,
                    k.transposed(),
                    false,
                );
                multiply(
                    StridedMut::new(d_weights, queries, steps),
                    dy,
                    v.transposed(),
                    false,
                );
                let normalizers = &self.normalizers[start * self.heads + head..];
                score_gradients(weights, d_weights, steps, scale, normalizers, self.heads);
                let (p, ds) = (
                    Strided::new(weights, queries, steps),
                    Strided::new(d_weights, queries, steps),
                );
                multiply(target.block(0, first, queries, column, size), ds, k, true);
                multiply(
                    target.block(1, 0, steps, column, size),
                    ds.transposed(),
                    q,
                    true,
                );
                multiply(
                    target.block(2, 0, steps, column, size),
                    p.transposed(),
                    dy,
                    true,
                );
            }
        }
    }
}
