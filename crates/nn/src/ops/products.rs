//! Matrix products of row-major slices over gemm's single-threaded kernels.
//!
//! gemm splits the inner dimension by the size of the caches and may split work by threads, both of
//! which change bits. Here every call has an inner dimension of at most [`INNER`], and threads take
//! blocks of [`ROWS`] rows, whatever the machine.

use rayon::prelude::*;

use super::buffers::Buffer;
use super::vectors;

/// Rows of the result that one task computes.
pub(crate) const ROWS: usize = 128;
/// The longest inner dimension of one gemm call.
const INNER: usize = 512;

/// A matrix inside of a slice, with a distance between rows and one between columns.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
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
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
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
    for start in (0..a.columns).step_by(INNER) {
        let inner = INNER.min(a.columns - start);
        // SAFETY: `fits` held for the three matrices when they were made (transposing keeps it), their
        // sizes agree (asserted above), start + inner <= a.columns, and `out` is borrowed mutably, so
        // it overlaps neither operand; its rows do not overlap (asserted when made).
        unsafe {
            gemm::gemm(
                out.rows,
                out.columns,
                inner,
                out.values.as_mut_ptr(),
                1,
                out.row_stride as isize,
                accumulate || start > 0,
                a.values.as_ptr().add(start * a.column_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.values.as_ptr().add(start * b.row_stride),
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

/// `out = a b` or `out += a b` for a dense `out`, in blocks of rows on the threads of the pool.
pub(crate) fn multiply_rows(out: &mut [f32], a: Strided<'_>, b: Strided<'_>, accumulate: bool) {
    let columns = b.columns;
    assert_eq!(out.len(), a.rows * columns, "size of a product");
    if out.is_empty() {
        return;
    }
    out.par_chunks_mut(ROWS * columns)
        .enumerate()
        .for_each(|(block, out)| {
            let rows = out.len() / columns;
            multiply(
                StridedMut::new(out, rows, columns),
                a.row_block(block * ROWS, rows),
                b,
                accumulate,
            );
        });
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
        .par_chunks_mut(out.len())
        .enumerate()
        .for_each(|(group, partial)| {
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
    vectors::dispatch(|| {
        for partial in partials.chunks(out.len()) {
            vectors::add(out, partial);
        }
    });
}

/// The same with threads on blocks of inputs: for few rows, or for results too large for partial sums.
fn add_transposed_product_by_inputs(out: &mut [f32], x: &[f32], y: &[f32], rows: usize) {
    let (inputs, outputs) = (x.len() / rows, y.len() / rows);
    let block = inputs.div_ceil(4).clamp(16, ROWS);
    let transposed = Strided::new(x, rows, inputs).transposed();
    let y = Strided::new(y, rows, outputs);
    out.par_chunks_mut(block * outputs)
        .enumerate()
        .for_each(|(index, out)| {
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
    out.par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(block, out)| {
            vectors::dispatch(|| {
                for row in y.chunks_exact(columns) {
                    vectors::add(out, &row[block * BLOCK..]);
                }
            });
        });
}

/// Sets every row of `out` to `row`, or to zeros.
pub(crate) fn fill_rows(out: &mut [f32], row: Option<&[f32]>, columns: usize) {
    match row {
        Some(row) => out
            .chunks_exact_mut(columns)
            .for_each(|to| to.copy_from_slice(row)),
        None => out.fill(0.0),
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
                multiply_rows(&mut out, a, b, false);
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
