//! Attention on the CPU: one task for each sequence, which [`block`](super::block) computes.

use std::sync::Arc;

use dfdx::tensor::{Cpu, Tape};

use super::Qkv;
use super::block::{Backward, Forward, Normalizers, Rows, RowsMut, Scratch, Sizes, Targets};
use crate::ops::buffers::Buffer;
use crate::ops::lanes::{Line, on_lanes};
use crate::tensors::{Tensor, tensor};
use crate::threads::OnThreads;
use crate::{Error, Matrix, Offsets};

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
    let sizes: Vec<Sizes> = offsets
        .ranges()
        .map(|rows| Sizes {
            heads,
            steps: rows.len(),
            size: width / heads,
        })
        .collect();
    let mut out = Buffer::scratch(rows * width);
    // Small ones, that the allocator has at hand: one for all sequences would be new memory in every step.
    let mut normalizers: Vec<Vec<Normalizers>> = sizes
        .iter()
        .map(|sizes| vec![[Line::ZERO; 2]; sizes.blocks()])
        .collect();
    split(&mut out, sizes.iter().map(|sizes| sizes.steps * width))
        .into_iter()
        .zip(&mut normalizers)
        .enumerate()
        .for_each_on_threads_with(
            Scratch::default,
            |scratch, (sequence, (out, normalizers))| {
                let sizes = sizes[sequence];
                if sizes.steps == 0 {
                    return;
                }
                on_lanes(Forward {
                    scratch,
                    sizes,
                    parts: parts(&values, width, offsets.range(sequence).start),
                    out: RowsMut {
                        values: out,
                        stride: width,
                    },
                    normalizers,
                });
                multiplied(sizes, 2);
            },
        );
    let y = tensor(qkv.device(), out, (rows, width))?;
    if T::OWNS_TAPE {
        let y_ghost = y.ghost();
        let ghosts: Vec<_> = tensors.iter().map(|tensor| tensor.ghost()).collect();
        let offsets = offsets.clone();
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            // q, k and v may be one tensor: every part has a buffer of its own until the end.
            let stride = 3 * width / ghosts.len();
            let scratch = ghosts.iter().map(|_| Buffer::scratch(rows * stride));
            let mut buffers: Vec<Buffer> = scratch.collect();
            let empty = || Targets {
                slices: Vec::with_capacity(3),
                width,
            };
            let mut targets: Vec<Targets<'_>> = sizes.iter().map(|_| empty()).collect();
            for buffer in &mut buffers {
                let slices = split(buffer, sizes.iter().map(|sizes| sizes.steps * stride));
                for (target, slice) in targets.iter_mut().zip(slices) {
                    target.slices.push(slice);
                }
            }
            targets
                .into_iter()
                .zip(&normalizers)
                .enumerate()
                .for_each_on_threads_with(
                    Scratch::default,
                    |scratch, (sequence, (targets, normalizers))| {
                        let (sizes, first) = (sizes[sequence], offsets.range(sequence).start);
                        if sizes.steps == 0 {
                            return;
                        }
                        on_lanes(Backward {
                            scratch,
                            sizes,
                            parts: parts(&values, width, first),
                            d_out: Rows {
                                values: &dy[first * width..],
                                stride: width,
                            },
                            normalizers,
                            targets,
                        });
                        multiplied(sizes, 5);
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

/// Queries, keys and values from row `first` on: columns of one matrix, or three matrices.
fn parts(values: &[Arc<Buffer>], width: usize, first: usize) -> [Rows<'_>; 3] {
    let stride = 3 * width / values.len();
    [0, 1, 2].map(|part| {
        let (matrix, column) = match values.len() {
            1 => (0, part * width),
            _ => (part, 0),
        };
        Rows {
            values: values[matrix]
                .get(first * stride + column..)
                .unwrap_or_default(),
            stride,
        }
    })
}

/// Cuts a slice into parts of these lengths.
fn split<T>(mut values: &mut [T], lengths: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    let mut parts = Vec::with_capacity(lengths.size_hint().0);
    for length in lengths {
        let (part, rest) = values.split_at_mut(length);
        parts.push(part);
        values = rest;
    }
    parts
}

/// Tells the profile of so many products of the scores' size, by head.
fn multiplied(sizes: Sizes, products: usize) {
    for _ in 0..products * sizes.heads {
        crate::profile::multiplied(sizes.steps, sizes.steps, sizes.size);
    }
}
