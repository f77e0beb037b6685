//! Matrix products of values rounded to bfloat16, summed in f32, by the instructions of AVX512-BF16.
//!
//! Operands are copied in pairs of the inner dimension, two numbers of 16 bits in one of 32: an instruction
//! multiplies and adds both of a pair.

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::multiply;

/// Whether this processor has the instructions.
pub(crate) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::ops::buffers::Buffer;
    use crate::ops::products::{Strided, StridedMut};

    /// Columns of a register.
    const LANES: usize = 16;
    /// Columns worked on at once, and rows: their sums fill most registers.
    const PANEL: usize = 2 * LANES;
    const ROWS: usize = 12;

    /// `out = a b`, or `out += a b`; sizes agree, and no side is 0.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(crate) fn multiply(out: StridedMut<'_>, a: Strided<'_>, b: Strided<'_>, accumulate: bool) {
        let pairs = a.columns.div_ceil(2);
        let width = b.columns.next_multiple_of(LANES);
        let mut left = Buffer::scratch(pairs * a.rows);
        let mut right = Buffer::scratch(pairs * width);
        let left = bytemuck::cast_slice_mut(&mut left[..]);
        let right = bytemuck::cast_slice_mut(&mut right[..]);
        let left = Left::pack(a, pairs, left);
        pack_right(b, pairs, width, right);
        for panel in (0..b.columns).step_by(PANEL) {
            let mut row = 0;
            while row < a.rows {
                let block = Block {
                    left: left.from(row),
                    right: &right[panel..],
                    width,
                    pairs,
                    columns: PANEL.min(b.columns - panel),
                    accumulate,
                };
                let to = &mut out.values[row * out.row_stride + panel..];
                row += match a.rows - row {
                    ROWS.. => block.run::<ROWS>(to, out.row_stride),
                    4.. => block.run::<4>(to, out.row_stride),
                    _ => block.run::<1>(to, out.row_stride),
                };
            }
        }
    }

    /// Pairs of the left operand: that of row r and pair p at `r * by_row + p * by_pair`.
    #[derive(Clone, Copy)]
    struct Left<'a> {
        pairs: &'a [u32],
        by_row: usize,
        by_pair: usize,
    }

    impl<'a> Left<'a> {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
        fn pack(a: Strided<'_>, pairs: usize, to: &'a mut [u32]) -> Self {
            if a.column_stride == 1 {
                for (row, to) in to.chunks_exact_mut(pairs).take(a.rows).enumerate() {
                    pack_along(&a.values[row * a.row_stride..][..a.columns], to);
                }
                return Self {
                    pairs: to,
                    by_row: pairs,
                    by_pair: 1,
                };
            }
            pack_across(a.transposed(), pairs, a.rows, to);
            Self {
                pairs: to,
                by_row: 1,
                by_pair: a.rows,
            }
        }

        fn from(self, row: usize) -> Self {
            Self {
                pairs: &self.pairs[row * self.by_row..],
                ..self
            }
        }
    }

    /// Pairs of the right operand: that of pair p and column c at `p * width + c`; zeros beyond the columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn pack_right(b: Strided<'_>, pairs: usize, width: usize, to: &mut [u32]) {
        if b.column_stride == 1 {
            return pack_across(b, pairs, width, to);
        }
        for (pair, to) in to.chunks_exact_mut(width).take(pairs).enumerate() {
            for (column, to) in to.iter_mut().enumerate() {
                let value = |inner: usize| {
                    let inside = inner < b.rows && column < b.columns;
                    if inside {
                        b.values[inner * b.row_stride + column * b.column_stride]
                    } else {
                        0.0
                    }
                };
                *to =
                    u32::from(round(value(2 * pair))) | u32::from(round(value(2 * pair + 1))) << 16;
            }
        }
    }

    /// To the nearest, ties to even; the high half of the bits. NaN stays NaN.
    fn round(value: f32) -> u16 {
        let bits = value.to_bits();
        if value.is_nan() {
            return (bits >> 16) as u16 | 0x40;
        }
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    }

    /// Neighbours of one slice become pairs.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn pack_along(from: &[f32], to: &mut [u32]) {
        let (whole, rest) = from.as_chunks::<PANEL>();
        let (to_whole, to_rest) = to.split_at_mut(whole.len() * LANES);
        for (from, to) in whole.iter().zip(to_whole.chunks_exact_mut(LANES)) {
            // SAFETY: 32 values are read, 16 numbers of 32 bits written.
            unsafe {
                let low = _mm512_loadu_ps(from.as_ptr());
                let high = _mm512_loadu_ps(from.as_ptr().add(LANES));
                let both: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), both);
            }
        }
        for (pair, to) in rest.chunks(2).zip(to_rest) {
            let second = pair.get(1).copied().unwrap_or(0.0);
            *to = u32::from(round(pair[0])) | u32::from(round(second)) << 16;
        }
    }

    /// Rows 2p and 2p + 1 of a matrix with rows in order become pairs, by column; `width` apart, and zeros
    /// beyond its columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn pack_across(from: Strided<'_>, pairs: usize, width: usize, to: &mut [u32]) {
        for (pair, to) in to.chunks_exact_mut(width).take(pairs).enumerate() {
            let row = |row: usize| &from.values[row * from.row_stride..][..from.columns];
            let first = row(2 * pair);
            let second = (2 * pair + 1 < from.rows).then(|| row(2 * pair + 1));
            for (block, to) in to.chunks_mut(LANES).enumerate() {
                let start = block * LANES;
                let count = from.columns.saturating_sub(start).min(LANES);
                let mask = low_lanes(count);
                // SAFETY: `count` values are read from each row, and at most 16 numbers written, as many as
                // `to` has.
                unsafe {
                    let low =
                        _mm512_maskz_loadu_ps(mask, first.as_ptr().add(start.min(from.columns)));
                    let high = second.map_or(_mm512_setzero_ps(), |second| {
                        _mm512_maskz_loadu_ps(mask, second.as_ptr().add(start.min(from.columns)))
                    });
                    let low: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(low));
                    let high: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(high));
                    let high = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high));
                    let both = _mm512_or_si512(_mm512_cvtepu16_epi32(low), high);
                    let all = low_lanes(to.len());
                    _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), all, both);
                }
            }
        }
    }

    /// The mask of the first lanes.
    fn low_lanes(count: usize) -> __mmask16 {
        ((1u32 << count.min(LANES)) - 1) as __mmask16
    }

    /// At most [`PANEL`] columns of the result.
    struct Block<'a> {
        left: Left<'a>,
        right: &'a [u32],
        width: usize,
        pairs: usize,
        columns: usize,
        accumulate: bool,
    }

    impl Block<'_> {
        /// R rows of the result; gives R.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
        fn run<const R: usize>(&self, out: &mut [f32], stride: usize) -> usize {
            let two = self.columns > LANES;
            let masks = [
                low_lanes(self.columns),
                low_lanes(self.columns.saturating_sub(LANES)),
            ];
            let last_left = (R - 1) * self.left.by_row + (self.pairs - 1) * self.left.by_pair;
            let lanes = if two { PANEL } else { LANES };
            assert!(last_left < self.left.pairs.len());
            assert!((self.pairs - 1) * self.width + lanes <= self.right.len());
            assert!((R - 1) * stride + self.columns <= out.len());
            // SAFETY: the places read and written are those that were just asserted; what lies beyond the
            // columns is masked.
            unsafe {
                let mut sums = [[_mm512_setzero_ps(); 2]; R];
                if self.accumulate {
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let from = out.as_ptr().add(row * stride);
                        sums[0] = _mm512_maskz_loadu_ps(masks[0], from);
                        if two {
                            sums[1] = _mm512_maskz_loadu_ps(masks[1], from.add(LANES));
                        }
                    }
                }
                let mut right = self.right.as_ptr();
                let mut left = self.left.pairs.as_ptr();
                for _ in 0..self.pairs {
                    let first =
                        std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(right.cast()));
                    let second = if two {
                        std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(
                            right.add(LANES).cast(),
                        ))
                    } else {
                        first
                    };
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let pair = _mm512_set1_epi32(*left.add(row * self.left.by_row) as i32);
                        let pair = std::mem::transmute::<__m512i, __m512bh>(pair);
                        sums[0] = _mm512_dpbf16_ps(sums[0], pair, first);
                        sums[1] = _mm512_dpbf16_ps(sums[1], pair, second);
                    }
                    right = right.wrapping_add(self.width);
                    left = left.wrapping_add(self.left.by_pair);
                }
                for (row, sums) in sums.iter().enumerate() {
                    let to = out.as_mut_ptr().add(row * stride);
                    _mm512_mask_storeu_ps(to, masks[0], sums[0]);
                    if two {
                        _mm512_mask_storeu_ps(to.add(LANES), masks[1], sums[1]);
                    }
                }
            }
            R
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::ops::products::{Strided, StridedMut};
    use crate::parameters::Initial;

    /// The nearest number of 8 bits of fraction.
    fn rounded(value: f32) -> f64 {
        let step = 2f64.powi(value.abs().log2().floor() as i32 - 7);
        (f64::from(value) / step).round_ties_even() * step
    }

    fn values(count: usize, seed: u64) -> Vec<f32> {
        Initial::Normal(1.0).values(count, seed)
    }

    #[test]
    fn products_of_rounded_values_in_every_order() {
        if !available() {
            eprintln!("skipped: this processor has no AVX512-BF16");
            return;
        }
        let sizes = [
            (1, 1, 1),
            (13, 7, 3),
            (12, 32, 32),
            (5, 33, 47),
            (40, 64, 48),
            (29, 1, 70),
        ];
        for (m, k, n) in sizes {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let (at, bt) = (turned(&a, m, k), turned(&b, k, n));
            let left = [Strided::new(&a, m, k), Strided::new(&at, k, m).transposed()];
            let right = [Strided::new(&b, k, n), Strided::new(&bt, n, k).transposed()];
            for (left, right) in left
                .into_iter()
                .flat_map(|left| right.map(|right| (left, right)))
            {
                let mut out = vec![1.0; m * (n + 3)];
                for accumulate in [false, true] {
                    let to = StridedMut::with_stride(&mut out, m, n, n + 3);
                    // SAFETY: the processor has the instructions.
                    unsafe { multiply(to, left, right, accumulate) };
                }
                for (i, row) in out.chunks_exact(n + 3).enumerate() {
                    for (j, found) in row[..n].iter().enumerate() {
                        let term = |c: usize| rounded(a[i * k + c]) * rounded(b[c * n + j]);
                        let expected = 2.0 * (0..k).map(term).sum::<f64>();
                        assert!(
                            (f64::from(*found) - expected).abs() < 1e-4,
                            "{m} x {k} x {n}, ({i}, {j}): {found} is not {expected}"
                        );
                    }
                    assert_eq!(row[n..], [1.0; 3], "values beside the result stay");
                }
            }
        }
    }

    fn turned(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        let place = |i: usize| values[i % rows * columns + i / rows];
        (0..rows * columns).map(place).collect()
    }
}
