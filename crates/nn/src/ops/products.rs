//! Matrix products of row-major slices over gemm's single-threaded kernels.
//!
//! gemm splits the inner dimension by the size of the caches and may split work by threads, both of
//! which change bits. Here every call has an inner dimension of at most [`INNER`], and threads take
//! blocks of [`ROWS`] rows, whatever the machine.

use std::sync::Once;

use super::buffers::Buffer;
use super::lanes::{LANES, Lanes, OnLanes, on_lanes};
use super::vectors::{self, vectorized};
use crate::precision::{Precision, precision};
use crate::threads::OnThreads;

/// Rows of the result that one task computes, by the rows of the whole.
pub(crate) fn block_rows(rows: usize) -> usize {
    if rows < 1024 { 64 } else { UNPACKED_ROWS }
}

/// What a product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing: what stood in the result is overwritten.
    Zero,
    /// What stands in the result.
    Own,
    /// The same row everywhere.
    Row(&'a [f32]),
}

/// The longest inner dimension of one gemm call.
const INNER: usize = 512;
/// Values of an operand that gemm copies into its own order, in panels that it fills up to [`PANEL`]
/// rows: below 64 KiB, small beside a core's cache.
const PACKED: usize = 12_000;
/// See [`PACKED`].
const PANEL: usize = 8;
/// Values of the right operand that one gemm call copies: below 64 KiB.
const COPIED: usize = 14_336;
/// gemm copies columns of the right operand in panels that it fills up to this many, or fewer.
const COLUMN_PANEL: usize = 64;
/// gemm copies a row-major left operand of more rows than this.
const UNPACKED_ROWS: usize = 128;

/// A matrix inside of a slice, with a distance between rows and one between columns.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Strided<'a> {
    /// A dense row-major matrix.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::with_stride(values, rows, columns, columns)
    }

    /// A row-major matrix whose rows begin `row_stride` values apart.
    pub(crate) fn with_stride(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(
            fits(values.len(), rows, columns, row_stride, 1),
            "matrix larger than its slice"
        );
        Self {
            values,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn row_block(self, start: usize, rows: usize) -> Self {
        let values = if rows == 0 {
            &[]
        } else {
            &self.values[start * self.row_stride..]
        };
        Self {
            values,
            rows,
            ..self
        }
    }
}

/// A row-major matrix inside of a slice, to write to.
pub(crate) struct StridedMut<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
}

impl<'a> StridedMut<'a> {
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::with_stride(values, rows, columns, columns)
    }

    pub(crate) fn with_stride(
        values: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(
            columns <= row_stride || rows <= 1,
            "rows of a result overlap"
        );
        assert!(
            fits(values.len(), rows, columns, row_stride, 1),
            "matrix larger than its slice"
        );
        Self {
            values,
            rows,
            columns,
            row_stride,
        }
    }
}

fn fits(
    length: usize,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + (columns - 1) * column_stride < length
}

#[cfg(test)]
thread_local! {
    /// Multiplications of all products of this thread so far.
    pub(crate) static MULTIPLIED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// `out = a b`, or `out += a b`, on the calling thread.
pub(crate) fn multiply(out: StridedMut<'_>, a: Strided<'_>, b: Strided<'_>, accumulate: bool) {
    assert_eq!(
        (out.rows, out.columns, a.columns),
        (a.rows, b.columns, b.rows),
        "sizes of a product"
    );
    crate::profile::multiplied(out.rows, out.columns, a.columns);
    #[cfg(test)]
    MULTIPLIED.set(MULTIPLIED.get() + out.rows * out.columns * a.columns);
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    if a.columns == 0 && !accumulate {
        for row in out.values.chunks_mut(out.row_stride).take(out.rows) {
            row[..out.columns].fill(0.0);
        }
    }
    #[cfg(target_arch = "x86_64")]
    if precision() == Precision::Bf16 && a.columns > 0 {
        // SAFETY: this precision is chosen only where the processor has the instructions.
        return unsafe { super::bf16::multiply(out, a, b, accumulate) };
    }
    read_in_place();
    let longest = longest_inner(a, b);
    for start in (0..a.columns).step_by(longest) {
        let inner = longest.min(a.columns - start);
        let width = columns_at_once(b, inner);
        for first in (0..out.columns).step_by(width) {
            let columns = width.min(out.columns - first);
            // SAFETY: `fits` held for the three matrices when they were made (transposing keeps it), their
            // sizes agree (asserted above), start + inner <= a.columns, first + columns <= out.columns,
            // and `out` is borrowed mutably, so it overlaps neither operand; its rows do not overlap
            // (asserted when made).
            unsafe {
                gemm::gemm(
                    out.rows,
                    columns,
                    inner,
                    out.values.as_mut_ptr().add(first),
                    1,
                    out.row_stride as isize,
                    accumulate || start > 0,
                    a.values.as_ptr().add(start * a.column_stride),
                    a.column_stride as isize,
                    a.row_stride as isize,
                    b.values
                        .as_ptr()
                        .add(start * b.row_stride + first * b.column_stride),
                    b.column_stride as isize,
                    b.row_stride as isize,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    }
}

/// gemm copies a right operand that it could read where it stands, if the result has more rows than six
/// times this: for the blocks of rows here that takes longer than it saves.
fn read_in_place() {
    const COPIED_FROM: usize = 256;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| gemm::set_lhs_packing_threshold_single_thread(COPIED_FROM));
}

/// The inner dimension of one gemm call, so that what it copies of either operand stays small.
fn longest_inner(a: Strided<'_>, b: Strided<'_>) -> usize {
    let copied = |copies: bool, side: usize| if copies { side + PANEL } else { 1 };
    let of_a = copied(a.column_stride != 1 || a.rows > UNPACKED_ROWS, a.rows);
    let of_b = copied(b.column_stride != 1, b.columns);
    let longest = if copies_right(b) {
        COPIED / COLUMN_PANEL
    } else {
        INNER
    };
    (PACKED / of_a.max(of_b).max(1)).clamp(64, longest)
}

/// Whether gemm copies the right operand: where it is not row-major, or its rows are no whole vectors.
fn copies_right(b: Strided<'_>) -> bool {
    b.column_stride != 1 || !b.columns.is_multiple_of(16)
}

/// The columns of one gemm call, so that its copy of the right operand has at most [`COPIED`] values. Splitting
/// columns changes no sum.
fn columns_at_once(b: Strided<'_>, inner: usize) -> usize {
    let panels = b.columns.div_ceil(COLUMN_PANEL);
    let at_once = (COPIED / (COLUMN_PANEL * inner)).max(1);
    if !copies_right(b) || panels <= at_once {
        return b.columns;
    }
    panels.div_ceil(panels.div_ceil(at_once)) * COLUMN_PANEL
}

/// `out = start + a b` for a dense `out`, in blocks of rows on the threads of the pool.
pub(crate) fn multiply_rows(out: &mut [f32], a: Strided<'_>, b: Strided<'_>, start: Start<'_>) {
    let columns = b.columns;
    assert_eq!(out.len(), a.rows * columns, "size of a product");
    if out.is_empty() {
        return;
    }
    let block_rows = block_rows(a.rows);
    out.chunks_mut(block_rows * columns)
        .enumerate()
        .for_each_on_threads(|(block, out)| {
            let rows = out.len() / columns;
            let a = a.row_block(block * block_rows, rows);
            multiply_from(out, a, b, start);
        });
}

/// `out = start + a b` for a dense `out`, on the calling thread.
pub(crate) fn multiply_from(out: &mut [f32], a: Strided<'_>, b: Strided<'_>, start: Start<'_>) {
    let accumulate = matches!(start, Start::Own);
    multiply(StridedMut::new(out, a.rows, b.columns), a, b, accumulate);
    if let Start::Row(row) = start {
        add_row(out, row);
    }
}

/// The transpose of a dense matrix: what is multiplied by many times is faster with its rows in order.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Buffer {
    let mut out = Buffer::scratch(rows * columns);
    transpose_into(&mut out, values, rows, columns);
    out
}

/// See [`transpose`].
pub(crate) fn transpose_into(out: &mut [f32], values: &[f32], rows: usize, columns: usize) {
    assert_eq!((out.len(), values.len()), (rows * columns, rows * columns));
    on_lanes(Transpose {
        out,
        values,
        rows,
        columns,
    });
}

struct Transpose<'a> {
    out: &'a mut [f32],
    values: &'a [f32],
    rows: usize,
    columns: usize,
}

impl OnLanes for Transpose<'_> {
    /// Tiles of sixteen rows and columns; zeros stand for what a tile lacks.
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for top in (0..self.rows).step_by(LANES) {
            let height = LANES.min(self.rows - top);
            for left in (0..self.columns).step_by(LANES) {
                let width = LANES.min(self.columns - left);
                let mut tile = [L::splat(0.0); LANES];
                for (i, row) in tile.iter_mut().take(height).enumerate() {
                    *row = L::of_some(&self.values[(top + i) * self.columns + left..][..width]);
                }
                let tile = L::transposed(tile);
                for (i, column) in tile.into_iter().take(width).enumerate() {
                    column.put_some(&mut self.out[(left + i) * self.rows + top..][..height]);
                }
            }
        }
    }
}

/// Weight gradient: `out += x^T y` for x [N, inputs], y [N, outputs], both dense.
pub(crate) fn add_transposed_product(out: &mut [f32], x: &[f32], y: &[f32], rows: usize) {
    if rows == 0 || out.is_empty() {
        return;
    }
    let (inputs, outputs) = (x.len() / rows, y.len() / rows);
    assert_eq!(
        (x.len(), y.len(), out.len()),
        (rows * inputs, rows * outputs, inputs * outputs)
    );
    const PARTIALS: usize = 8;
    let groups = rows.div_ceil(INNER).min(PARTIALS);
    if groups == 1 || inputs * outputs > 65_536 {
        return add_transposed_product_by_inputs(out, x, y, rows);
    }
    let group_rows = rows.div_ceil(groups);
    let mut partials = Buffer::zeros(groups * out.len()); // a group may have no rows
    partials
        .chunks_mut(out.len())
        .enumerate()
        .for_each_on_threads(|(group, partial)| {
            let (start, end) = (group * group_rows, ((group + 1) * group_rows).min(rows));
            if start >= end {
                return;
            }
            let x = Strided::new(&x[start * inputs..end * inputs], end - start, inputs);
            let y = Strided::new(&y[start * outputs..end * outputs], end - start, outputs);
            multiply(
                StridedMut::new(partial, inputs, outputs),
                x.transposed(),
                y,
                false,
            );
        });
    for partial in partials.chunks(out.len()) {
        vectors::add_all(out, partial);
    }
}

/// The same with threads on blocks of inputs: for few rows, or for results too large for partial sums.
fn add_transposed_product_by_inputs(out: &mut [f32], x: &[f32], y: &[f32], rows: usize) {
    let (inputs, outputs) = (x.len() / rows, y.len() / rows);
    let block = inputs.div_ceil(4).clamp(16, 128);
    let transposed = Strided::new(x, rows, inputs).transposed();
    let y = Strided::new(y, rows, outputs);
    out.chunks_mut(block * outputs)
        .enumerate()
        .for_each_on_threads(|(index, out)| {
            let inputs = out.len() / outputs;
            multiply(
                StridedMut::new(out, inputs, outputs),
                transposed.row_block(index * block, inputs),
                y,
                true,
            );
        });
}

/// Bias gradient: `out += ` the column sums of y [N, outputs], in blocks of columns on the pool.
pub(crate) fn add_column_sums(out: &mut [f32], y: &[f32]) {
    let columns = out.len();
    const BLOCK: usize = 64;
    out.chunks_mut(BLOCK)
        .enumerate()
        .for_each_on_threads(|(block, out)| {
            add_rows_to(out, y, block * BLOCK, columns);
        });
}

vectorized! {
    /// Adds `row` to every row of `out`.
    fn add_row(out: &mut [f32], row: &[f32]) {
        for to in out.chunks_exact_mut(row.len().max(1)) {
            vectors::add(to, row);
        }
    }

    /// `out += ` the sum over rows of y of the values from `start` on.
    pub(crate) fn add_rows_to(out: &mut [f32], y: &[f32], start: usize, columns: usize) {
        for row in y.chunks_exact(columns) {
            vectors::add(out, &row[start..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Initial;

    fn plain(a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
        let term = |i: usize, j: usize, c: usize| f64::from(a[i * k + c]) * f64::from(b[c * n + j]);
        let places = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
        places
            .map(|(i, j)| (0..k).map(|c| term(i, j, c)).sum())
            .collect()
    }

    fn assert_close(found: &[f32], expected: &[f64], case: &str) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-3,
                "{case}: {found} is not {expected}"
            );
        }
    }

    #[test]
    fn products_of_odd_sizes() {
        let sizes = [
            (1, 1, 1),
            (1, 7, 3),
            (3, 0, 2),
            (129, 17, 5),
            (257, 1, 31),
            (2, 1100, 9),
            (0, 3, 4),
            (4, 3, 0),
        ];
        for (m, k, n) in sizes {
            let (a, b) = (
                Initial::Normal(1.0).values(m * k, 1),
                Initial::Normal(1.0).values(k * n, 2),
            );
            let mut expected = plain(&a, &b, (m, k, n));
            let (a, b) = (Strided::new(&a, m, k), Strided::new(&b, k, n));
            let mut out = vec![f32::NAN; m * n];
            if n > 0 {
                multiply_rows(&mut out, a, b, Start::Zero);
                assert_close(&out, &expected, "product");
            }
            multiply(StridedMut::new(&mut out, m, n), a, b, false);
            multiply(StridedMut::new(&mut out, m, n), a, b, true);
            expected.iter_mut().for_each(|value| *value *= 2.0);
            assert_close(&out, &expected, "accumulated product");
        }
    }

    #[test]
    fn weight_gradients_of_odd_sizes() {
        for (rows, inputs, outputs) in [(1, 1, 1), (513, 3, 70), (5000, 7, 5), (40, 300, 301)] {
            let x = Initial::Normal(0.1).values(rows * inputs, 1);
            let y = Initial::Normal(0.1).values(rows * outputs, 2);
            let transposed: Vec<f32> = (0..inputs * rows)
                .map(|i| x[i % rows * inputs + i / rows])
                .collect();
            let mut expected = plain(&transposed, &y, (inputs, rows, outputs));
            expected.iter_mut().for_each(|value| *value += 1.0);
            let mut out = vec![1.0; inputs * outputs];
            add_transposed_product(&mut out, &x, &y, rows);
            assert_close(&out, &expected, "weight gradient");
            let mut sums = vec![0.0; outputs];
            add_column_sums(&mut sums, &y);
            assert_close(
                &sums,
                &plain(&vec![1.0; rows], &y, (1, rows, outputs)),
                "bias gradient",
            );
        }
    }

    #[test]
    fn transposes_of_odd_sizes() {
        for (rows, columns) in [(1, 1), (16, 16), (17, 3), (5, 40), (33, 47), (0, 4), (4, 0)] {
            let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let transposed = transpose(&values, rows, columns);
            assert_eq!(transposed.len(), values.len());
            for (i, value) in transposed.iter().enumerate() {
                assert_eq!(*value, values[i % rows * columns + i / rows]);
            }
        }
    }

    #[test]
    fn rows_of_a_larger_matrix() {
        let a = Initial::Normal(1.0).values(5 * 9, 1);
        let b = Initial::Normal(1.0).values(3 * 2, 2);
        let mut out = [7.0; 5 * 4];
        let part = Strided::with_stride(&a[4..], 5, 3, 9);
        multiply(
            StridedMut::with_stride(&mut out[1..], 5, 2, 4),
            part,
            Strided::new(&b, 3, 2),
            false,
        );
        let dense: Vec<f32> = a.chunks(9).flat_map(|row| row[4..7].to_vec()).collect();
        let expected = plain(&dense, &b, (5, 3, 2));
        for (row, expected) in out.chunks(4).zip(expected.chunks(2)) {
            assert_eq!(
                (row[0], row[3]),
                (7.0, 7.0),
                "values beside the result stay"
            );
            assert_close(&row[1..3], expected, "part");
        }
    }

    #[test]
    #[should_panic(expected = "matrix larger than its slice")]
    fn a_matrix_larger_than_its_slice_is_refused() {
        Strided::with_stride(&[0.0; 10], 3, 2, 5);
    }
}
