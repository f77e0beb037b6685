//! The contrastive loss of two views of each sample (InfoNCE; van den Oord et al. 2018, Chen et al. 2020).

use dfdx::shapes::{Axes2, Axis, HasShape};
use dfdx::tensor::{Cpu, SplitTape, Tape};
use dfdx::tensor_ops::{BroadcastTo, PermuteTo, SumTo, TryAdd, TryDiv, TryMatMul, TryMul};

use super::buffers::Buffer;
use super::products::{self, Start, Strided};
use super::taped;
use super::vectors::{self, vectorized};
use crate::error::check_shape;
use crate::tensors::{Raw, tensor};
use crate::{Device, Error, Matrix, Scalar};

/// Added to squared lengths, so that a view of zeros has a direction's gradient that is finite.
const EPSILON: f32 = 1e-12;

/// Mean over the rows i of -ln softmax_j(cos(a_i, b_j) / temperature) at j = i, for views `a` and `b`
/// [B, d]: the other samples of the batch are the negatives. Without rows it is 0.
///
/// # Errors
/// Views of different shapes; a temperature that is not above 0.
pub fn info_nce<D: Device, T: Tape<f32, D>>(
    a: &Matrix<D>,
    b: &Matrix<D>,
    temperature: f32,
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    let (of_a, of_b) = (*a.shape(), *b.shape());
    check_shape("info_nce", "b", &[of_a.0, of_a.1], &[of_b.0, of_b.1])?;
    if temperature.is_nan() || temperature <= 0.0 {
        return Err(Error::value(
            "info_nce",
            "temperature",
            "above 0",
            temperature,
        ));
    }
    if of_a.0 == 0 {
        return tensor(a.device(), vec![0.0], ());
    }
    D::info_nce(a, b, temperature, tape)
}

pub(crate) fn composed<D: Device, T: Tape<f32, D>>(
    a: &Matrix<D>,
    b: &Matrix<D>,
    temperature: f32,
    tape: &mut T,
) -> Result<Scalar<D>, Error> {
    let rows = a.shape().0;
    let (a, b) = (a.enter(tape)?, b.enter(tape)?);
    let (a, b) = (
        composed_directions(&a, tape)?,
        composed_directions(&b, tape)?,
    );
    let (b, rest) = taped(&b, tape)
        .try_permute::<_, Axes2<1, 0>>()
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    let logits = taped(&a, tape)
        .try_matmul(b)
        .and_then(|cosines| cosines.try_mul(1.0 / temperature))
        .map_err(Error::device)?;
    let logits = Matrix::leave(logits, tape)?;
    let own: Vec<u32> = (0..rows as u32).collect();
    super::cross_entropy::composed(&logits, &own, tape)
}

fn composed_directions<D: Device, T: Tape<f32, D>>(
    x: &Raw<(usize, usize), D>,
    tape: &mut T,
) -> Result<Raw<(usize, usize), D>, Error> {
    let (length, rest) = taped(x, tape)
        .try_square()
        .and_then(|squares| squares.try_sum::<(usize,), Axis<1>>())
        .and_then(|sums| sums.try_add(EPSILON))
        .and_then(|sums| sums.try_sqrt())
        .and_then(|lengths| lengths.try_broadcast_like::<_, Axis<1>>(x.shape()))
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    let (directions, rest) = taped(x, tape)
        .try_div(length)
        .map_err(Error::device)?
        .split_tape();
    *tape = rest;
    Ok(directions)
}

/// Rows of length 1, and the lengths that they had.
struct Directions {
    rows: Buffer,
    lengths: Vec<f32>,
    width: usize,
}

impl Directions {
    fn of(x: &Matrix<Cpu>) -> Directions {
        let (count, width) = *x.shape();
        let mut rows = Buffer::of(x);
        let mut lengths = vec![0.0; count];
        scale_to_length_one(&mut rows, &mut lengths, width.max(1));
        Directions {
            rows,
            lengths,
            width,
        }
    }

    /// From the gradient of the directions that of the rows: (d - u <u, d>) / length.
    fn add_gradient(&self, to: &mut [f32], directions: &[f32]) {
        add_direction_gradient(to, directions, &self.rows, &self.lengths, self.width.max(1));
    }
}

vectorized! {
    fn scale_to_length_one(rows: &mut [f32], lengths: &mut [f32], width: usize) {
        for (row, length) in rows.chunks_exact_mut(width).zip(lengths) {
            *length = (vectors::dot(row, row) + EPSILON).sqrt();
            row.iter_mut().for_each(|value| *value /= *length);
        }
    }

    fn add_direction_gradient(
        to: &mut [f32],
        directions: &[f32],
        rows: &[f32],
        lengths: &[f32],
        width: usize,
    ) {
        for ((to, d), (u, length)) in to
            .chunks_exact_mut(width)
            .zip(directions.chunks_exact(width))
            .zip(rows.chunks_exact(width).zip(lengths))
        {
            let along = vectors::dot(u, d);
            vectors::add_scaled(to, 1.0 / length, d);
            vectors::add_scaled(to, -along / length, u);
        }
    }

    /// Turns cosines into probabilities; the sum of -ln of those on the diagonal.
    fn own_losses(p: &mut [f32], rows: usize, temperature: f32) -> f64 {
        let mut total = 0.0;
        for (i, row) in p.chunks_exact_mut(rows).enumerate() {
            row.iter_mut().for_each(|cosine| *cosine /= temperature);
            let own = row[i];
            total += f64::from(vectors::softmax(row) - own);
        }
        total
    }
}

pub(crate) fn fused<T: Tape<f32, Cpu>>(
    a: &Matrix<Cpu>,
    b: &Matrix<Cpu>,
    temperature: f32,
    tape: &mut T,
) -> Result<Scalar<Cpu>, Error> {
    let (rows, width) = *a.shape();
    let (of_a, of_b) = (Directions::of(a), Directions::of(b));
    // Logits, then probabilities. [B, B]
    let mut p = Buffer::scratch(rows * rows);
    products::multiply_rows(
        &mut p,
        Strided::new(&of_a.rows, rows, width),
        Strided::new(&of_b.rows, rows, width).transposed(),
        Start::Zero,
    );
    let total = own_losses(&mut p, rows, temperature);
    let y = tensor(a.device(), vec![(total / rows as f64) as f32], ())?;
    if T::OWNS_TAPE {
        let (y_ghost, a_ghost, b_ghost) = (y.ghost(), a.ghost(), b.ghost());
        tape.add_backward_op(move |gradients| {
            let factor = y_ghost.gradient(gradients)?[0] / (rows as f32 * temperature);
            let mut d_cosines = p;
            for (i, row) in d_cosines.chunks_exact_mut(rows).enumerate() {
                row[i] -= 1.0;
                row.iter_mut().for_each(|value| *value *= factor);
            }
            let d_cosines = Strided::new(&d_cosines, rows, rows);
            let mut directions = Buffer::scratch(rows * width);
            let b_rows = Strided::new(&of_b.rows, rows, width);
            products::multiply_rows(&mut directions, d_cosines, b_rows, Start::Zero);
            of_a.add_gradient(a_ghost.gradient(gradients)?, &directions);
            let a_rows = Strided::new(&of_a.rows, rows, width);
            products::multiply_rows(&mut directions, d_cosines.transposed(), a_rows, Start::Zero);
            of_b.add_gradient(b_ghost.gradient(gradients)?, &directions);
            Ok(())
        });
    }
    Ok(y)
}
