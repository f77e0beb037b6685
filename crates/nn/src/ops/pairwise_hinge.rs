//! Hinge surrogate of AUC and concordance: pairs of rows that stand in the wrong order, or too near.

use dfdx::tensor::Tape;

use super::losses::with_gradient;
use crate::error::check_shape;
use crate::tensors::tensor;
use crate::{Device, Error, Matrix, Vector};

/// For scores x [B, K] and row-major labels [B, K] (NaN: none), by column the mean of
/// max(0, 1 - (x_i - x_j)) over all pairs of labelled rows with label_i > label_j, `[K]`. For labels 0
/// and 1 it bounds 1 - AUC from above, for others 1 - concordance. A column without such a pair gives
/// 0 and no gradient. Costs B^2 K.
pub fn pairwise_hinge<D: Device, T: Tape<f32, D>>(
    x: &Matrix<D>,
    labels: &[f32],
    tape: &mut T,
) -> Result<Vector<D>, Error> {
    let (rows, columns) = *x.shape();
    check_shape(
        "pairwise_hinge",
        "labels",
        &[rows * columns],
        &[labels.len()],
    )?;
    if labels.is_empty() {
        return tensor(x.device(), vec![0.0; columns], (columns,));
    }
    let values = D::read(x);
    let mut slopes = vec![0.0; values.len()];
    let mut losses = Vec::with_capacity(columns);
    for column in 0..columns {
        let of = |all: &[f32]| -> Vec<f32> {
            all.iter().skip(column).step_by(columns).copied().collect()
        };
        let hinge = Hinge::of(&of(&values), &of(labels));
        losses.push(hinge.loss as f32);
        for (to, slope) in slopes
            .iter_mut()
            .skip(column)
            .step_by(columns)
            .zip(hinge.slopes)
        {
            *to = slope as f32;
        }
    }
    with_gradient(x, slopes, losses, tape)
}

/// Of one column.
struct Hinge {
    loss: f64,
    /// The derivative of `loss` to each score. `[B]`
    slopes: Vec<f64>,
}

impl Hinge {
    fn of(scores: &[f32], labels: &[f32]) -> Hinge {
        let (mut loss, mut pairs) = (0.0, 0u64);
        let mut slopes = vec![0.0; scores.len()];
        // A pair is met once, at the row with the higher label; NaN is above nothing.
        for (i, (&score, label)) in scores.iter().zip(labels).enumerate() {
            for (j, (&below, _)) in scores
                .iter()
                .zip(labels)
                .enumerate()
                .filter(|(_, (_, low))| label > low)
            {
                pairs += 1;
                let miss = 1.0 - (f64::from(score) - f64::from(below));
                // `>=` of the negation would let NaN scores pass as a loss of 0.
                if miss > 0.0 || miss.is_nan() {
                    loss += miss;
                    slopes[i] -= 1.0;
                    slopes[j] += 1.0;
                }
            }
        }
        let pairs = pairs.max(1) as f64;
        slopes.iter_mut().for_each(|slope| *slope /= pairs);
        Hinge {
            loss: loss / pairs,
            slopes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{backward, weighted_sum};
    use crate::{Cpu, HostAccess, NoneTape, OwnedTape, matrix, read};

    const NAN: f32 = f32::NAN;

    #[test]
    fn pairs_by_hand() {
        let device = Cpu::default();
        // Column 0: labels 1, 0, 0, none. Column 1: an order of three. Column 2: one class.
        let x = matrix(
            &device,
            vec![0.5, 2.0, 1.0, 0.0, 0.5, 1.0, -2.0, 0.0, 1.0, 9.0, 9.0, 1.0],
            4,
            3,
        );
        let x = x.unwrap();
        let labels = [1.0, 3.0, 1.0, 0.0, 2.0, 1.0, 0.0, 1.0, 1.0, NAN, NAN, 1.0];
        let losses = pairwise_hinge(&x, &labels, &mut NoneTape).unwrap();
        // Column 0: pairs (0.5, 0) and (0.5, -2): 0.5 and 0. Column 1: 2 > 0.5, 2 > 0: 0 and 0; 0.5 > 0: 0.5.
        assert_eq!(read(&losses), [0.25, 0.5 / 3.0, 0.0]);
        let mut tape = OwnedTape::default();
        let losses = pairwise_hinge(&x, &labels, &mut tape).unwrap();
        let total = weighted_sum(&losses, &[1.0, 1.0, 1.0], &mut tape).unwrap();
        let mut gradients = backward(total, tape).unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(
            *Cpu::take_gradient(&mut gradients, &x).unwrap(),
            [
                -0.5, 0.0, 0.0, 0.5, -third, 0.0, 0.0, third, 0.0, 0.0, 0.0, 0.0
            ]
        );
    }

    #[test]
    fn ties_and_empty_batches() {
        let device = Cpu::default();
        let tie = matrix(&device, vec![0.3, 0.3], 2, 1).unwrap();
        let loss = pairwise_hinge(&tie, &[1.0, 0.0], &mut NoneTape).unwrap();
        assert_eq!(read(&loss), [1.0]);
        let none = matrix(&device, vec![], 0, 2).unwrap();
        assert_eq!(
            read(&pairwise_hinge(&none, &[], &mut NoneTape).unwrap()),
            [0.0; 2]
        );
        assert!(pairwise_hinge(&tie, &[1.0], &mut NoneTape).is_err());
    }

    #[test]
    fn a_score_that_is_no_number_is_no_loss_of_zero() {
        let device = Cpu::default();
        let x = matrix(&device, vec![NAN, 0.0], 2, 1).unwrap();
        let loss = pairwise_hinge(&x, &[1.0, 0.0], &mut NoneTape).unwrap();
        assert!(read(&loss)[0].is_nan());
    }
}
