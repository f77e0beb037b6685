//! Multi-head self-attention within each sequence of a packed batch. The backward pass computes the
//! weights again from q, k and one number per row and head; no [T, T] matrix is kept.

mod block;
mod kernel;

use dfdx::shapes::{Axes4, Axis};
use dfdx::tensor::{SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, GatherTo, PermuteTo, ReshapeTo, TryAdd, TryMatMul, TryMul};

pub(crate) use kernel::fused;

use super::gather_rows::index_tensor;
use super::taped;
use crate::error::check_shape;
use crate::tensors::{Raw, raw, tensor};
use crate::{Device, Error, Matrix, Offsets};

/// [batch, heads, steps, columns of a head].
type Heads<D> = Raw<(usize, usize, usize, usize), D>;

/// Where queries, keys and values stand.
pub enum Qkv<'a, D: Device> {
    /// One matrix [N, 3 d]: queries, keys, values side by side.
    Packed(&'a Matrix<D>),
    /// Three matrices [N, d].
    Separate {
        /// Queries.
        q: &'a Matrix<D>,
        /// Keys.
        k: &'a Matrix<D>,
        /// Values.
        v: &'a Matrix<D>,
    },
}

impl<D: Device> Clone for Qkv<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Device> Copy for Qkv<'_, D> {}

impl<D: Device> Qkv<'_, D> {
    /// Rows N and width d of the result.
    fn shape(&self) -> (usize, usize) {
        match self {
            Qkv::Packed(qkv) => (qkv.shape().0, qkv.shape().1 / 3),
            Qkv::Separate { q, .. } => *q.shape(),
        }
    }

    fn device(&self) -> &D {
        match self {
            Qkv::Packed(qkv) => qkv.device(),
            Qkv::Separate { q, .. } => q.device(),
        }
    }
}

/// softmax(q k^T / sqrt(d / heads)) v by head, over the keys of the row's own sequence; heads stand side
/// by side in the columns. Result [N, d].
pub fn attention<D: Device, T: Tape<f32, D>>(
    qkv: Qkv<'_, D>,
    offsets: &Offsets,
    heads: usize,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (rows, width) = qkv.shape();
    check_shape("attention", "q", &[offsets.rows(), width], &[rows, width])?;
    match qkv {
        Qkv::Packed(qkv) => check_shape(
            "attention",
            "qkv",
            &[rows, 3 * width],
            &[rows, qkv.shape().1],
        )?,
        Qkv::Separate { k, v, .. } => {
            check_shape(
                "attention",
                "k",
                &[rows, width],
                &[k.shape().0, k.shape().1],
            )?;
            check_shape(
                "attention",
                "v",
                &[rows, width],
                &[v.shape().0, v.shape().1],
            )?;
        }
    }
    if heads == 0 || !width.is_multiple_of(heads) || width == 0 {
        return Err(Error::value(
            "attention",
            "heads",
            format!("a divisor of the width {width}"),
            heads,
        ));
    }
    if rows == 0 {
        return tensor(qkv.device(), vec![], (0, width));
    }
    D::attention(qkv, offsets, heads, tape)
}

/// Pads to [B, T] rows inside, with masked keys, and takes the real rows out again.
pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    qkv: Qkv<'_, D>,
    offsets: &Offsets,
    heads: usize,
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let (_, width) = qkv.shape();
    let device = qkv.device().clone();
    let (batch, longest) = (offsets.sequences(), offsets.longest());
    let mut padded = Vec::with_capacity(batch * longest); // row of the packed batch by padded place
    let mut mask = Vec::with_capacity(batch * longest);
    let mut places = Vec::with_capacity(offsets.rows());
    for (sequence, rows) in offsets.ranges().enumerate() {
        places.extend((0..rows.len()).map(|i| sequence * longest + i));
        mask.extend((0..longest).map(|i| if i < rows.len() { 0.0 } else { -1e9 }));
        padded.extend((0..longest).map(|i| if i < rows.len() { rows.start + i } else { 0 }));
    }
    let padded = index_tensor(&device, padded)?;
    let size = width / heads;
    let parts: [Raw<(usize, usize), D>; 3] = match qkv {
        Qkv::Separate { q, k, v } => [q.enter(tape)?, k.enter(tape)?, v.enter(tape)?],
        Qkv::Packed(qkv) => {
            let qkv = qkv.enter(tape)?;
            let mut columns = |i: usize| -> Result<Raw<(usize, usize), D>, Error> {
                let (part, rest) = taped(&qkv, tape)
                    .try_slice((0..offsets.rows(), i * width..(i + 1) * width))
                    .map_err(Error::device)?
                    .split_tape();
                *tape = rest;
                Ok(part)
            };
            [columns(0)?, columns(1)?, columns(2)?]
        }
    };
    let mut split = |x: &Raw<(usize, usize), D>| -> Result<Heads<D>, Error> {
        let (x, rest) = taped(x, tape)
            .try_gather(padded.clone())
            .and_then(|x| x.try_reshape_like(&(batch, longest, heads, size)))
            .and_then(|x| x.try_permute::<_, Axes4<0, 2, 1, 3>>())
            .and_then(|x| x.try_contiguous())
            .map_err(Error::device)?
            .split_tape();
        *tape = rest;
        Ok(x)
    };
    let (q, k, v) = (split(&parts[0])?, split(&parts[1])?, split(&parts[2])?);
    let mask = raw(&device, mask, (batch, longest))?
        .try_broadcast_like::<_, dfdx::shapes::Axes2<1, 2>>(&(batch, heads, longest, longest))
        .map_err(Error::device)?;
    let scale = 1.0 / (size as f32).sqrt();
    let (k, rest) = taped(&k, tape)
        .try_permute::<_, Axes4<0, 1, 3, 2>>()
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    let out = taped(&q, tape)
        .try_mul(scale)
        .and_then(|q| q.try_matmul(k))
        .and_then(|scores| scores.try_add(mask))
        .and_then(|scores| scores.try_softmax::<Axis<3>>())
        .and_then(|weights| weights.try_matmul(v))
        .and_then(|out| out.try_permute::<(usize, usize, usize, usize), Axes4<0, 2, 1, 3>>())
        .and_then(|out| out.try_reshape_like(&(batch * longest, width)))
        .map_err(Error::device)?
        .try_gather(index_tensor(&device, places)?)
        .map_err(Error::device)?;
    Matrix::leave(out, tape)
}
