//! Attention on the CPU: one task for each sequence, blocks of queries inside.

use dfdx::tensor::{Cpu, Tape};
use rayon::prelude::*;

use super::Qkv;
use crate::ops::add::add_parallel;
use crate::ops::buffers::Buffer;
use crate::ops::products::{Strided, StridedMut, multiply};
use crate::ops::vectors;
use crate::tensors::tensor;
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
    fn new(values: &'a [Buffer], width: usize) -> Self {
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
    let values: Vec<Buffer> = tensors.iter().map(Buffer::of).collect();
    let source = Source::new(&values, width);
    let mut out = vec![0.0; rows * width];
    let mut normalizers = vec![0.0; rows * heads]; // logsumexp of the scaled scores, by row and head
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
        drop(values);
        tape.add_backward_op(move |gradients| {
            let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&y_ghost)?);
            let values: Vec<Buffer> = tensors.iter().map(Buffer::of).collect();
            let source = Source::new(&values, width);
            // q, k and v may be one tensor: every part has a buffer of its own until the end.
            let stride = if ghosts.len() == 1 { 3 * width } else { width };
            let mut buffers: Vec<Vec<f32>> = Vec::with_capacity(ghosts.len());
            if ghosts.len() == 1 {
                buffers.push(std::mem::take(
                    &mut **gradients.get_or_alloc_mut(&ghosts[0])?,
                ));
            } else {
                buffers.resize_with(3, || vec![0.0; rows * width]);
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
            if ghosts.len() == 1 {
                **gradients.get_or_alloc_mut(&ghosts[0])? = buffers.swap_remove(0);
            } else {
                for (ghost, buffer) in ghosts.iter().zip(&buffers) {
                    add_parallel(gradients.get_or_alloc_mut(ghost)?, buffer);
                }
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
            vectors::dispatch(|| {
                for (i, row) in weights.chunks_exact_mut(steps).enumerate() {
                    for score in row.iter_mut() {
                        *score *= scale;
                    }
                    normalizers[(first + i) * heads + head] = vectors::softmax(row);
                }
            });
            let v = source.block(2, rows.start, steps, column, size);
            let out =
                StridedMut::with_stride(&mut out[first * width + column..], queries, size, width);
            multiply(out, Strided::new(weights, queries, steps), v, false);
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
                vectors::dispatch(|| {
                    for (i, (p, dp)) in weights
                        .chunks_exact_mut(steps)
                        .zip(d_weights.chunks_exact_mut(steps))
                        .enumerate()
                    {
                        let normalizer = self.normalizers[(start + i) * self.heads + head];
                        for p in p.iter_mut() {
                            *p = vectors::exp(*p * scale - normalizer);
                        }
                        let mean = vectors::dot(p, dp);
                        for (p, dp) in p.iter().zip(dp) {
                            *dp = p * (*dp - mean) * scale;
                        }
                    }
                });
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
