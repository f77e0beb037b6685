//! Sixteen f32 side by side, for kernels whose values must stay in registers: one vector of AVX-512, two of
//! AVX2, or an array where there is neither. The two with vectors fuse multiplication and addition, as the
//! matrix products do, and give the same bits.

use super::vectors::{Level, level};

/// Number of lanes.
pub(crate) const LANES: usize = 16;

/// Values in memory, aligned to a line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

impl Line {
    pub(crate) const ZERO: Line = Line([0.0; LANES]);
}

/// Values in registers. An implementation is only used where the processor has its instructions, see
/// [`on_lanes`].
pub(crate) trait Lanes: Copy {
    fn splat(value: f32) -> Self;
    fn load(line: &Line) -> Self;
    fn store(self, line: &mut Line);
    fn of(values: &[f32; LANES]) -> Self;
    fn put(self, values: &mut [f32; LANES]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * factor + addend`.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger ones; `other` where one of the two is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller ones; `other` where one of the two is NaN.
    fn min(self, other: Self) -> Self;
    /// Lanes of `this` where `self` is larger than `than`, of `other` elsewhere.
    fn where_larger(self, than: Self, this: Self, other: Self) -> Self;
    /// 2^n, where `self` is n + [`ROUND`] and n a whole number from -126 to 127.
    fn power_of_two(self) -> Self;
    /// Lane j of result i is lane i of row j.
    fn transposed(rows: [Self; LANES]) -> [Self; LANES];

    /// At most [`LANES`] values, then zeros.
    #[inline(always)]
    fn of_some(values: &[f32]) -> Self {
        match values.as_array() {
            Some(values) => Self::of(values),
            None => {
                let mut line = Line::ZERO;
                line.0
                    .iter_mut()
                    .zip(values)
                    .for_each(|(to, &from)| *to = from);
                Self::load(&line)
            }
        }
    }

    /// The first ones, as many as `values` has.
    #[inline(always)]
    fn put_some(self, values: &mut [f32]) {
        match values.as_mut_array() {
            Some(values) => self.put(values),
            None => {
                let mut line = Line::ZERO;
                self.store(&mut line);
                values
                    .iter_mut()
                    .zip(line.0)
                    .for_each(|(to, from)| *to = from);
            }
        }
    }

    /// As [`vectors::exp`](super::vectors::exp), with fused multiplication and addition.
    #[inline(always)]
    fn exp(self) -> Self {
        let s = Self::splat;
        let x = s(88.0).min(s(-87.0).max(self));
        let shifted = x.mul_add(s(std::f32::consts::LOG2_E), s(ROUND));
        let n = shifted.sub(s(ROUND));
        let r = n.mul_add(s(-0.693_359_4), x);
        let r = n.mul_add(s(2.121_944_4e-4), r);
        let p = s(1.987_569_1e-4).mul_add(r, s(1.398_199_9e-3));
        let p = p.mul_add(r, s(8.333_452e-3));
        let p = p.mul_add(r, s(4.166_579_6e-2));
        let p = p.mul_add(r, s(1.666_666_5e-1));
        let p = p.mul_add(r, s(0.5));
        let p = p.mul_add(r.mul(r), r).add(s(1.0));
        p.mul(shifted.power_of_two())
    }
}

/// Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
const ROUND: f32 = 12_582_912.0;
const POWER: i32 = 127i32.wrapping_sub(ROUND.to_bits() as i32);

/// A computation that is compiled for each kind of lanes. `run` and all that it calls must be
/// `#[inline(always)]`.
pub(crate) trait OnLanes {
    fn run<L: Lanes>(self);
}

/// Runs it on the widest registers of this processor.
pub(crate) fn on_lanes(kernel: impl OnLanes) {
    match level() {
        // SAFETY: this level is given only where the processor has those instructions.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { on_avx512(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { on_avx2(kernel) },
        _ => kernel.run::<Plain>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
fn on_avx512(kernel: impl OnLanes) {
    kernel.run::<x86::One>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn on_avx2(kernel: impl OnLanes) {
    kernel.run::<x86::Two>();
}

#[derive(Clone, Copy)]
struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Plain {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn load(line: &Line) -> Self {
        Self(line.0)
    }
    #[inline(always)]
    fn store(self, line: &mut Line) {
        line.0 = self.0;
    }
    #[inline(always)]
    fn of(values: &[f32; LANES]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    fn put(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.mul(factor).add(addend)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.with(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.with(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn where_larger(self, than: Self, this: Self, other: Self) -> Self {
        let chosen = |i: usize| {
            if self.0[i] > than.0[i] {
                this.0[i]
            } else {
                other.0[i]
            }
        };
        Self(std::array::from_fn(chosen))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        let power =
            |x: f32| f32::from_bits(((x.to_bits() as i32).wrapping_add(POWER) << 23) as u32);
        Self(self.0.map(power))
    }
    #[inline(always)]
    fn transposed(rows: [Self; LANES]) -> [Self; LANES] {
        std::array::from_fn(|i| Self(std::array::from_fn(|j| rows[j].0[i])))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Lanes, Line, POWER};

    /// One register of AVX-512.
    #[derive(Clone, Copy)]
    pub(super) struct One(__m512);

    // SAFETY (of every block): `on_lanes` uses this type only where the processor has AVX-512; lines and
    // arrays have sixteen values, and lines are aligned.
    impl Lanes for One {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        fn load(line: &Line) -> Self {
            Self(unsafe { _mm512_load_ps(line.0.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, line: &mut Line) {
            unsafe { _mm512_store_ps(line.0.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn of(values: &[f32; LANES]) -> Self {
            Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
        }
        #[inline(always)]
        fn put(self, values: &mut [f32; LANES]) {
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Self(unsafe { _mm512_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn where_larger(self, than: Self, this: Self, other: Self) -> Self {
            Self(unsafe {
                let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, than.0);
                _mm512_mask_blend_ps(larger, other.0, this.0)
            })
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            Self(unsafe {
                let bits = _mm512_add_epi32(_mm512_castps_si512(self.0), _mm512_set1_epi32(POWER));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits))
            })
        }
        #[inline(always)]
        fn transposed(rows: [Self; LANES]) -> [Self; LANES] {
            unsafe {
                // Within each quarter of a register four rows change places with four lanes.
                let mut quarters = [_mm512_setzero_ps(); LANES];
                for first in (0..LANES).step_by(4) {
                    let (a, b) = (rows[first].0, rows[first + 1].0);
                    let (c, d) = (rows[first + 2].0, rows[first + 3].0);
                    let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                    let (ab_high, cd_high) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                    quarters[first] = _mm512_shuffle_ps::<0x44>(ab, cd);
                    quarters[first + 1] = _mm512_shuffle_ps::<0xee>(ab, cd);
                    quarters[first + 2] = _mm512_shuffle_ps::<0x44>(ab_high, cd_high);
                    quarters[first + 3] = _mm512_shuffle_ps::<0xee>(ab_high, cd_high);
                }
                // Then the quarters themselves.
                let mut columns = [Self(_mm512_setzero_ps()); LANES];
                for i in 0..4 {
                    let (a, b) = (quarters[i], quarters[i + 4]);
                    let (c, d) = (quarters[i + 8], quarters[i + 12]);
                    let even = _mm512_shuffle_f32x4::<0x88>(a, b);
                    let odd = _mm512_shuffle_f32x4::<0xdd>(a, b);
                    let even_high = _mm512_shuffle_f32x4::<0x88>(c, d);
                    let odd_high = _mm512_shuffle_f32x4::<0xdd>(c, d);
                    columns[i] = Self(_mm512_shuffle_f32x4::<0x88>(even, even_high));
                    columns[i + 4] = Self(_mm512_shuffle_f32x4::<0x88>(odd, odd_high));
                    columns[i + 8] = Self(_mm512_shuffle_f32x4::<0xdd>(even, even_high));
                    columns[i + 12] = Self(_mm512_shuffle_f32x4::<0xdd>(odd, odd_high));
                }
                columns
            }
        }
    }

    /// Two registers of AVX2.
    #[derive(Clone, Copy)]
    pub(super) struct Two(__m256, __m256);

    // SAFETY (of every block): as above, with AVX2 and FMA.
    impl Lanes for Two {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            let half = unsafe { _mm256_set1_ps(value) };
            Self(half, half)
        }
        #[inline(always)]
        fn load(line: &Line) -> Self {
            let first = line.0.as_ptr();
            unsafe { Self(_mm256_load_ps(first), _mm256_load_ps(first.add(LANES / 2))) }
        }
        #[inline(always)]
        fn store(self, line: &mut Line) {
            let first = line.0.as_mut_ptr();
            unsafe {
                _mm256_store_ps(first, self.0);
                _mm256_store_ps(first.add(LANES / 2), self.1);
            }
        }
        #[inline(always)]
        fn of(values: &[f32; LANES]) -> Self {
            let first = values.as_ptr();
            unsafe {
                Self(
                    _mm256_loadu_ps(first),
                    _mm256_loadu_ps(first.add(LANES / 2)),
                )
            }
        }
        #[inline(always)]
        fn put(self, values: &mut [f32; LANES]) {
            let first = values.as_mut_ptr();
            unsafe {
                _mm256_storeu_ps(first, self.0);
                _mm256_storeu_ps(first.add(LANES / 2), self.1);
            }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_add_ps(self.0, other.0),
                    _mm256_add_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_sub_ps(self.0, other.0),
                    _mm256_sub_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_mul_ps(self.0, other.0),
                    _mm256_mul_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            unsafe {
                Self(
                    _mm256_fmadd_ps(self.0, factor.0, addend.0),
                    _mm256_fmadd_ps(self.1, factor.1, addend.1),
                )
            }
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_max_ps(self.0, other.0),
                    _mm256_max_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            unsafe {
                Self(
                    _mm256_min_ps(self.0, other.0),
                    _mm256_min_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn where_larger(self, than: Self, this: Self, other: Self) -> Self {
            unsafe {
                let first = _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, than.0);
                let second = _mm256_cmp_ps::<_CMP_GT_OQ>(self.1, than.1);
                Self(
                    _mm256_blendv_ps(other.0, this.0, first),
                    _mm256_blendv_ps(other.1, this.1, second),
                )
            }
        }
        #[inline(always)]
        fn power_of_two(self) -> Self {
            unsafe {
                let power = _mm256_set1_epi32(POWER);
                let first = _mm256_add_epi32(_mm256_castps_si256(self.0), power);
                let second = _mm256_add_epi32(_mm256_castps_si256(self.1), power);
                Self(
                    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(first)),
                    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(second)),
                )
            }
        }
        #[inline(always)]
        fn transposed(rows: [Self; LANES]) -> [Self; LANES] {
            unsafe {
                let zero = _mm256_setzero_ps();
                let mut columns = [Self(zero, zero); LANES];
                // Eight rows of eight at a time.
                for (half, rows) in [&rows[..8], &rows[8..]].into_iter().enumerate() {
                    let mut left = [zero; 8];
                    let mut right = [zero; 8];
                    for i in 0..8 {
                        (left[i], right[i]) = (rows[i].0, rows[i].1);
                    }
                    let (left, right) = (transposed_half(left), transposed_half(right));
                    for i in 0..8 {
                        if half == 0 {
                            (columns[i].0, columns[i + 8].0) = (left[i], right[i]);
                        } else {
                            (columns[i].1, columns[i + 8].1) = (left[i], right[i]);
                        }
                    }
                }
                columns
            }
        }
    }

    /// Eight rows of eight. SAFETY: the processor has AVX.
    #[inline(always)]
    unsafe fn transposed_half(rows: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: as the function's.
        unsafe {
            let mut halves = [_mm256_setzero_ps(); 8];
            for first in [0, 4] {
                let (a, b) = (rows[first], rows[first + 1]);
                let (c, d) = (rows[first + 2], rows[first + 3]);
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                halves[first] = _mm256_shuffle_ps::<0x44>(ab, cd);
                halves[first + 1] = _mm256_shuffle_ps::<0xee>(ab, cd);
                halves[first + 2] = _mm256_shuffle_ps::<0x44>(ab_high, cd_high);
                halves[first + 3] = _mm256_shuffle_ps::<0xee>(ab_high, cd_high);
            }
            let mut columns = halves;
            for i in 0..4 {
                columns[i] = _mm256_permute2f128_ps::<0x20>(halves[i], halves[i + 4]);
                columns[i + 4] = _mm256_permute2f128_ps::<0x31>(halves[i], halves[i + 4]);
            }
            columns
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Exp<'a>(&'a mut [Line]);

    impl OnLanes for Exp<'_> {
        #[inline(always)]
        fn run<L: Lanes>(self) {
            for line in self.0 {
                L::load(line).exp().store(line);
            }
        }
    }

    #[test]
    fn exp_is_close_to_the_exact_value_on_every_kind_of_lanes() {
        let inputs: Vec<Line> = (0..1090)
            .map(|line| {
                Line(std::array::from_fn(|lane| {
                    (line * 16 + lane) as f32 / 100.0 - 87.0
                }))
            })
            .collect();
        let (mut widest, mut plain) = (inputs.clone(), inputs.clone());
        on_lanes(Exp(&mut widest));
        Exp(&mut plain).run::<Plain>();
        for found in [widest, plain] {
            for (x, found) in inputs.iter().zip(found) {
                for (x, found) in x.0.iter().zip(found.0) {
                    let exact = f64::from(*x).exp();
                    let relative = (f64::from(found) - exact).abs() / exact;
                    assert!(relative < 2e-7, "exp({x}) is off by {relative}");
                }
            }
        }
        let mut beyond = [Line([f32::NAN; LANES])];
        on_lanes(Exp(&mut beyond));
        assert!(beyond[0].0.iter().all(|value| value.is_nan()));
    }

    struct Transpose<'a>(&'a mut [Line; LANES]);

    impl OnLanes for Transpose<'_> {
        #[inline(always)]
        fn run<L: Lanes>(self) {
            let mut rows = [L::splat(0.0); LANES];
            for (row, line) in rows.iter_mut().zip(&*self.0) {
                *row = L::load(line);
            }
            for (column, line) in L::transposed(rows).into_iter().zip(self.0) {
                column.store(line);
            }
        }
    }

    #[test]
    fn sixteen_rows_are_transposed_on_every_kind_of_lanes() {
        let rows = std::array::from_fn(|i| Line(std::array::from_fn(|j| (16 * i + j) as f32)));
        let mut all = vec![rows; 2];
        Transpose(&mut all[0]).run::<Plain>();
        on_lanes(Transpose(&mut all[1]));
        #[cfg(target_arch = "x86_64")]
        if level() != Level::Baseline {
            let mut rows = rows;
            // SAFETY: the processor has AVX2 and FMA.
            unsafe { on_avx2(Transpose(&mut rows)) };
            all.push(rows);
        }
        for columns in all {
            for (i, column) in columns.iter().enumerate() {
                for (j, value) in column.0.iter().enumerate() {
                    assert_eq!(*value, (16 * j + i) as f32);
                }
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn one_register_and_two_give_the_same_bits() {
        if level() != Level::Avx512 {
            eprintln!("skipped: this processor has no AVX-512");
            return;
        }
        let inputs: Vec<Line> = (0..50)
            .map(|line| {
                Line(std::array::from_fn(|lane| {
                    (line * 16 + lane) as f32 / 31.0 - 13.0
                }))
            })
            .collect();
        let (mut one, mut two) = (inputs.clone(), inputs);
        // SAFETY: the processor has AVX-512, and with it AVX2 and FMA.
        unsafe {
            on_avx512(Exp(&mut one));
            on_avx2(Exp(&mut two));
        }
        for (one, two) in one.iter().zip(&two) {
            assert_eq!(one.0.map(f32::to_bits), two.0.map(f32::to_bits));
        }
    }
}
