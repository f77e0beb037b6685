//! Loops over f32 slices, compiled for AVX-512, AVX2 and the baseline, and chosen at run time.
//! The bits are the same on all three: sums run over sixteen fixed lanes, and nothing is contracted.

/// The instruction sets that loops are compiled for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Avx512,
    Avx2,
    Baseline,
}

/// The best one of this processor.
#[inline(always)]
pub(crate) fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let has512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("fma");
        if has512 {
            return Level::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Level::Avx2;
        }
    }
    Level::Baseline
}

/// Defines functions whose bodies, with all that is inlined into them, are compiled once for each
/// [`Level`]; a call runs the best one. (A closure would do only as long as the compiler inlines it.)
macro_rules! vectorized {
    ($($(#[$doc:meta])* $visible:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $output:ty)? $body:block)*) => {
        $(
            $(#[$doc])*
            $visible fn $name($($argument: $kind),*) $(-> $output)? {
                #[inline(always)]
                fn body($($argument: $kind),*) $(-> $output)? $body

                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
                fn avx512($($argument: $kind),*) $(-> $output)? {
                    body($($argument),*)
                }

                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) $(-> $output)? {
                    body($($argument),*)
                }

                match $crate::ops::vectors::level() {
                    // SAFETY: this level is given only where the processor has those instructions.
                    #[cfg(target_arch = "x86_64")]
                    $crate::ops::vectors::Level::Avx512 => unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    $crate::ops::vectors::Level::Avx2 => unsafe { avx2($($argument),*) },
                    _ => body($($argument),*),
                }
            }
        )*
    };
}
pub(crate) use vectorized;

vectorized! {
    /// `to += from`.
    pub(crate) fn add_all(to: &mut [f32], from: &[f32]) {
        add(to, from);
    }

    /// `to += factor * from`.
    pub(crate) fn add_all_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
        add_scaled(to, factor, from);
    }

    /// `from += share * (to - from)`.
    pub(crate) fn move_towards(from: &mut [f32], to: &[f32], share: f32) {
        for (from, to) in from.iter_mut().zip(to) {
            *from += share * (to - *from);
        }
    }

    /// Scalar product of two slices of one length.
    pub(crate) fn dot_all(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }
}

const LANES: usize = 16;

/// Adds up `value(x)` over sixteen lanes, then the lanes by halves.
#[inline(always)]
pub(crate) fn sum_of(x: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += value(x);
        }
    }
    let mut total = 0.0;
    for &x in rest {
        total += value(x);
    }
    total + sum_of_lanes(lanes)
}

/// Halves are added until one number is left: a short chain of additions.
#[inline(always)]
fn sum_of_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Sum of a slice.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    sum_of(x, |x| x)
}

/// Scalar product of two slices of one length, added up as in [`sum_of`].
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a, rest_of_a) = a.as_chunks::<LANES>();
    let (b, rest_of_b) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let mut total = 0.0;
    for (a, b) in rest_of_a.iter().zip(rest_of_b) {
        total += a * b;
    }
    total + sum_of_lanes(lanes)
}

/// The largest value; negative infinity for an empty slice, NaN if any value is NaN.
#[inline(always)]
pub(crate) fn maximum(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        for (largest, &value) in lanes.iter_mut().zip(chunk) {
            *largest = larger(*largest, value);
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = larger(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    rest.iter().fold(lanes[0], |a, &b| larger(a, b))
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// `to += from`.
#[inline(always)]
pub(crate) fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// `to += factor * from`.
#[inline(always)]
pub(crate) fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// exp(x) to about one unit in the last place (the polynomial of Cephes' expf); inputs are clamped to
/// [-87, 88], so the result is never 0 or infinite. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let power = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    (p * (r * r) + r + 1.0) * f32::from_bits(power)
}

/// Replaces logits by their softmax; gives back logsumexp of the logits.
#[inline(always)]
pub(crate) fn softmax(x: &mut [f32]) -> f32 {
    let largest = maximum(x);
    for value in x.iter_mut() {
        *value = exp(*value - largest);
    }
    let total = sum(x);
    let scale = 1.0 / total;
    for value in x.iter_mut() {
        *value *= scale;
    }
    largest + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_exact_value() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            let relative = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(relative < 2e-7, "exp({x}) is off by {relative}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e9) < 2e-38);
    }

    #[test]
    fn sums_of_odd_lengths() {
        for length in [0usize, 1, 15, 16, 17, 100] {
            let x: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected = (length * length.saturating_sub(1) / 2) as f32;
            assert_eq!(sum(&x), expected);
            assert_eq!(dot_all(&x, &vec![1.0; length]), expected);
            assert_eq!(maximum(&x), x.last().copied().unwrap_or(f32::NEG_INFINITY));
        }
    }

    #[test]
    fn maximum_keeps_nan() {
        let mut x = vec![1.0; 40];
        x[3] = f32::NAN;
        assert!(maximum(&x).is_nan());
    }

    vectorized! {
        fn wide_softmax(x: &mut [f32]) -> f32 {
            softmax(x)
        }
    }

    #[test]
    fn the_same_bits_with_and_without_wide_instructions() {
        let x: Vec<f32> = (0..777)
            .map(|i| ((i * 7919) % 1000) as f32 / 137.0 - 3.0)
            .collect();
        let (mut wide, mut plain) = (x.clone(), x);
        let a = wide_softmax(&mut wide);
        let b = softmax(&mut plain);
        assert_eq!(a.to_bits(), b.to_bits());
        assert_eq!(wide, plain);
    }
}
