//! Dropout whose mask is a function of a key and the place, so that it is the same for any number of threads.

use dfdx::tensor::{Cpu, Tape};
use dfdx::tensor_ops::TryMul;

use super::buffers::Buffer;
use super::taped;
use super::vectors::vectorized;
use crate::tensors::{raw, tensor};
use crate::threads::OnThreads;
use crate::{Device, Error, Matrix};

/// x [N, d] with each value set to 0 with probability `rate` and the others divided by 1 - rate. The
/// same `key` gives the same mask: use another for each place and step. Rate 0 gives x itself; a rate
/// outside of [0, 1) is an error.
pub fn dropout<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    rate: f32,
    key: u64,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    if !(0.0..1.0).contains(&rate) {
        return Err(Error::value(
            "dropout",
            "rate",
            "at least 0 and below 1",
            rate,
        ));
    }
    if rate == 0.0 {
        return Ok(x.clone());
    }
    D::dropout(x, rate, key, tape)
}

/// Mixes a key with a number into another key (SplitMix64, Steele et al. 2014).
#[inline(always)]
pub(crate) fn mix(key: u64, number: u64) -> u64 {
    let mut z = key
        ^ number
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Values of one task.
const BLOCK: usize = 8192;

/// Multiplies `values` by the mask of `key`: 0 or 1 / (1 - rate).
fn apply(values: &mut [f32], rate: f32, key: u64) {
    // Compares 32 random bits with the rate; two places share one mixing.
    let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
    let scale = 1.0 / (1.0 - rate);
    values
        .chunks_mut(BLOCK)
        .enumerate()
        .for_each_on_threads(|(block, values)| {
            let first = (block * BLOCK / 2) as u64;
            apply_block(values, first, key, threshold, scale);
        });
}

vectorized! {
    fn apply_block(values: &mut [f32], first: u64, key: u64, threshold: u32, scale: f32) {
        let kept = |bits: u32, value: f32| if bits < threshold { 0.0 } else { value * scale };
        let (pairs, last) = values.as_chunks_mut::<2>();
        for (i, pair) in pairs.iter_mut().enumerate() {
            let bits = mix(key, first + i as u64);
            pair[0] = kept(bits as u32, pair[0]);
            pair[1] = kept((bits >> 32) as u32, pair[1]);
        }
        if let [last] = last {
            *last = kept(mix(key, first + pairs.len() as u64) as u32, *last);
        }
    }
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    rate: f32,
    key: u64,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, width) = *x.shape();
    let mut mask = vec![1.0; rows * width];
    apply(&mut mask, rate, key);
    let mask = raw(x.device(), mask, (rows, width))?;
    let y = taped(&x.enter(tape)?, tape)
        .try_mul(mask)
        .map_err(Error::device)?;
    Matrix::leave(y, tape)
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    x: &Matrix<Cpu>,
    rate: f32,
    key: u64,
    tape: &mut T,
) -> Result<Matrix<Cpu>, Error> {
    let mut out = Buffer::of(x);
    apply(&mut out, rate, key);
    let y = tensor(x.device(), out, *x.shape())?;
    if T::OWNS_TAPE {
        let (y_ghost, x_ghost) = (y.ghost(), x.ghost());
        tape.add_backward_op(move |gradients| {
            let mut dy = y_ghost.take(gradients)?;
            apply(&mut dy, rate, key);
            x_ghost.add(gradients, dy)
        });
    }
    Ok(y)
}
