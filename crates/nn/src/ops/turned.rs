//! Sixteen rows with the rows in lanes, and their products with rows that stand as they are: where the
//! other side is small, faster than matrix products, and what follows runs along registers.

use super::lanes::{LANES, Lanes, Line};

/// Rows of the other side worked on at once: accumulators that fit the registers.
pub(crate) const TILE: usize = 8;

/// Column c of sixteen rows goes to `columns[c]`, the rows in lanes; `line(row, i)` is line i of a row.
#[inline(always)]
pub(crate) fn turn<L: Lanes>(columns: &mut [Line], line: impl Fn(usize, usize) -> L) {
    for (i, columns) in columns.chunks_mut(LANES).enumerate() {
        let mut tile = [L::splat(0.0); LANES];
        for (row, values) in tile.iter_mut().enumerate() {
            *values = line(row, i);
        }
        for (column, values) in columns.iter_mut().zip(L::transposed(tile)) {
            values.store(column);
        }
    }
}

/// `out[t]` = sum over c of `columns[c]` times value c of row t. `rows` [T, lines], T a multiple of [`TILE`].
#[inline(always)]
pub(crate) fn scores<L: Lanes>(columns: &[Line], rows: &[Line], out: &mut [Line], lines: usize) {
    let tiles = rows.chunks_exact(TILE * lines);
    for (rows, out) in tiles.zip(out.chunks_exact_mut(TILE)) {
        let mut sums = [L::splat(0.0); TILE];
        for (line, columns) in columns.chunks(LANES).enumerate() {
            for (c, column) in columns.iter().enumerate() {
                let column = L::load(column);
                for (t, sum) in sums.iter_mut().enumerate() {
                    let value = rows[t * lines + line].0[c];
                    *sum = L::splat(value).mul_add(column, *sum);
                }
            }
        }
        for (sum, out) in sums.into_iter().zip(out) {
            sum.store(out);
        }
    }
}
