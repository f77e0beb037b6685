//! The input of the multi-channel feature projection: rows of embedding tables and dense channels, side by side.

use std::sync::Arc;

use dfdx::shapes::Axis;
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, GatherTo, TryAdd, TryConcatAlong, TryMul};

use super::buffers::Buffer;
use super::gather_rows::{check_indices, index_tensor};
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::{Raw, Tensor, raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix, Vector};

/// Dense channels of a packed batch. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct DenseInput {
    /// Standardised values, row-major [N, channels].
    pub values: Arc<[f32]>,
    /// Number of dense channels.
    pub channels: usize,
    /// The channels that masking may hide, by index into the channels.
    pub maskable: Arc<[usize]>,
    /// Whether the value is hidden, row-major [N, maskable]; empty = nothing is hidden.
    pub masked: Arc<[bool]>,
}

impl DenseInput {
    /// Width of the dense part of [`lookup`]'s result: the channels and a flag for each maskable one.
    pub fn width(&self) -> usize {
        self.channels + self.maskable.len()
    }

    fn check(&self, rows: usize) -> Result<(), Error> {
        check_shape(
            "lookup",
            "dense values",
            &[rows, self.channels],
            &[self.rows(rows), self.channels],
        )?;
        check_shape(
            "lookup",
            "dense values",
            &[rows * self.channels],
            &[self.values.len()],
        )?;
        if !self.masked.is_empty() {
            check_shape(
                "lookup",
                "masked",
                &[rows * self.maskable.len()],
                &[self.masked.len()],
            )?;
        }
        match self
            .maskable
            .iter()
            .find(|&&channel| channel >= self.channels)
        {
            None => Ok(()),
            Some(channel) => Err(Error::value(
                "lookup",
                "maskable channel",
                format!("below {}", self.channels),
                channel,
            )),
        }
    }

    fn rows(&self, default: usize) -> usize {
        self.values
            .len()
            .checked_div(self.channels)
            .unwrap_or(default)
    }

    /// Writes values and flags of one row; hidden values become `fill`.
    fn write_row(&self, row: usize, fill: &[f32], out: &mut [f32]) {
        let (values, flags) = out.split_at_mut(self.channels);
        values.copy_from_slice(&self.values[row * self.channels..][..self.channels]);
        flags.fill(0.0);
        if !self.masked.is_empty() {
            let masked = &self.masked[row * self.maskable.len()..][..self.maskable.len()];
            for (i, _) in masked.iter().enumerate().filter(|(_, masked)| **masked) {
                values[self.maskable[i]] = fill[i];
                flags[i] = 1.0;
            }
        }
    }
}

/// By row: `tables[i]` [V_i, dim_i] at `codes[i][row]` for each table, then the dense channels with
/// hidden values replaced by `fill` `[maskable]`, then a 0 or 1 for each maskable channel (1 = hidden).
/// Result [N, sum of dim_i + channels + maskable]; N is the length of `codes`, or of the dense values
/// where there is no table. A code outside of its table is an error.
pub fn lookup<D: Device, T: Tape<f32, D>>(
    device: &D,
    tables: &[&Matrix<D>],
    codes: &[Arc<[u32]>],
    dense: &DenseInput,
    fill: Option<&Vector<D>>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    check_shape("lookup", "codes", &[tables.len()], &[codes.len()])?;
    let rows = codes
        .first()
        .map_or_else(|| dense.rows(0), |codes| codes.len());
    for (table, codes) in tables.iter().zip(codes) {
        check_shape("lookup", "codes of a channel", &[rows], &[codes.len()])?;
        check_indices("lookup", codes, table.shape().0)?;
    }
    dense.check(rows)?;
    let fills = fill.map_or(0, |fill| fill.shape().0);
    if fills != dense.maskable.len() {
        check_shape("lookup", "fill", &[dense.maskable.len()], &[fills])?;
    }
    D::lookup(device, tables, codes, dense, fill, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    device: &D,
    tables: &[&Matrix<D>],
    codes: &[Arc<[u32]>],
    dense: &DenseInput,
    fill: Option<&Vector<D>>,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let rows = codes
        .first()
        .map_or_else(|| dense.rows(0), |codes| codes.len());
    let mut parts: Vec<Raw<(usize, usize), D>> = Vec::new();
    for (table, codes) in tables.iter().zip(codes) {
        parts.push(super::gather_rows::composed(table, codes, tape)?.enter(tape)?);
    }
    if dense.width() > 0 {
        parts.push(composed_dense(device, dense, fill, rows, tape)?);
    }
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return tensor(device, vec![], (rows, 0));
    };
    let mut joined: dfdx::tensor::Tensor<(usize, usize), f32, D, T> = taped(&first, tape);
    for part in parts {
        joined = (joined, part)
            .try_concat_along(Axis::<1>)
            .map_err(Error::device)?;
    }
    Matrix::leave(joined, tape)
}

/// Dense values and flags: constants, plus fill^T spread to the hidden places.
fn composed_dense<D: Device, T: Tape<f32, D>>(
    device: &D,
    dense: &DenseInput,
    fill: Option<&Vector<D>>,
    rows: usize,
    tape: &mut T,
) -> Result<Raw<(usize, usize), D>, Error> {
    let width = dense.width();
    let mut constant = vec![0.0; rows * width];
    let none = vec![0.0; dense.maskable.len()];
    for row in 0..rows {
        dense.write_row(row, &none, &mut constant[row * width..][..width]);
    }
    let mut hidden = vec![0.0; rows * width];
    for (i, _) in dense
        .masked
        .iter()
        .enumerate()
        .filter(|(_, masked)| **masked)
    {
        let (row, channel) = (
            i / dense.maskable.len(),
            dense.maskable[i % dense.maskable.len()],
        );
        hidden[row * width + channel] = 1.0;
    }
    let constant = raw(device, constant, (rows, width))?;
    let Some(fill) = fill else {
        return Ok(constant);
    };
    if dense.maskable.is_empty() {
        return Ok(constant);
    }
    // Column c of the result takes fill[place of c among the maskable channels]; others are not hidden.
    let place = |c: usize| {
        dense
            .maskable
            .iter()
            .position(|&channel| channel == c)
            .unwrap_or(0)
    };
    let index = index_tensor(device, (0..width).map(place).collect())?;
    let hidden = raw(device, hidden, (rows, width))?;
    let spread = taped(&fill.enter(tape)?, tape)
        .try_gather(index)
        .and_then(|fill| fill.try_broadcast_like::<_, Axis<0>>(&(rows, width)))
        .and_then(|fill| fill.try_mul(hidden))
        .and_then(|fill| fill.try_add(constant))
        .map_err(Error::device)?;
    let (spread, rest) = spread.split_tape();
    *tape = rest;
    Ok(spread)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    device: &Cpu,
    tables: &[&Matrix<Cpu>],
    codes: &[Arc<[u32]>],
    dense: &DenseInput,
    fill: Option<&Vector<Cpu>>,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    const ROWS: usize = 128;
    let rows = codes
        .first()
        .map_or_else(|| dense.rows(0), |codes| codes.len());
    let dims: Vec<usize> = tables.iter().map(|table| table.shape().1).collect();
    let embedded: usize = dims.iter().sum();
    let width = embedded + dense.width();
    let fill_values = fill.map(Tensor::values).unwrap_or_default();
    let sources: Vec<Source<'_>> = (tables.iter().zip(&dims).zip(codes))
        .map(|((table, &dim), codes)| Source {
            values: table.values(),
            codes,
            dim,
        })
        .collect();
    let mut out = Buffer::scratch(rows * width);
    out.chunks_mut(ROWS * width.max(1))
        .enumerate()
        .for_each_on_threads(|(block, out)| {
            for (i, out) in out.chunks_exact_mut(width).enumerate() {
                let row = block * ROWS + i;
                let mut rest = &mut *out;
                for source in &sources {
                    let (to, after) = rest.split_at_mut(source.dim);
                    to.copy_from_slice(source.row(row));
                    rest = after;
                }
                dense.write_row(row, fill_values, rest);
            }
        });
    let y = tensor(device, out, (rows, width))?;
    if T::OWNS_TAPE {
        let y_ghost = y.ghost();
        let table_ghosts: Vec<_> = tables.iter().map(|table| table.ghost()).collect();
        let fill_ghost = fill.map(|fill| fill.ghost());
        let (codes, dense) = (codes.to_vec(), dense.clone());
        tape.add_backward_op(move |gradients| {
            let dy = y_ghost.take(gradients)?;
            let taken = table_ghosts.iter().map(|ghost| ghost.take(gradients));
            let mut of_tables = taken.collect::<Result<Vec<_>, _>>()?;
            let spans: Vec<_> = spans(&dims).collect();
            of_tables
                .iter_mut()
                .zip(codes.iter().zip(&spans))
                .for_each_on_threads(|(of_table, (codes, &(start, dim)))| {
                    add_by_code(of_table, codes, &dy[start..], width, dim);
                });
            // One table may serve several channels: their gradients add up in the order of channels.
            for (ghost, of_table) in table_ghosts.iter().zip(of_tables) {
                ghost.add(gradients, of_table)?;
            }
            if let (Some(ghost), false) = (fill_ghost, dense.masked.is_empty()) {
                let fill = ghost.gradient(gradients)?;
                for (masked, dy) in dense
                    .masked
                    .chunks_exact(dense.maskable.len())
                    .zip(dy.chunks_exact(width))
                {
                    for (i, _) in masked.iter().enumerate().filter(|(_, masked)| **masked) {
                        fill[i] += dy[embedded + dense.maskable[i]];
                    }
                }
            }
            Ok(())
        });
    }
    Ok(y)
}

/// What one channel takes its rows from.
struct Source<'a> {
    values: &'a [f32],
    codes: &'a [u32],
    dim: usize,
}

impl Source<'_> {
    /// The embedding of a row of the batch.
    fn row(&self, row: usize) -> &[f32] {
        &self.values[self.codes[row] as usize * self.dim..][..self.dim]
    }
}

vectorized! {
    /// Adds to the row of each code the first `dim` values of its row of `dy`, whose rows begin `stride`
    /// values apart.
    fn add_by_code(table: &mut [f32], codes: &[u32], dy: &[f32], stride: usize, dim: usize) {
        for (&code, dy) in codes.iter().zip(dy.chunks(stride)) {
            vectors::add(&mut table[code as usize * dim..][..dim], &dy[..dim]);
        }
    }
}

/// First column and width of each table's part.
fn spans(dims: &[usize]) -> impl Iterator<Item = (usize, usize)> + '_ {
    dims.iter().scan(0, |start, &dim| {
        *start += dim;
        Some((*start - dim, dim))
    })
}
