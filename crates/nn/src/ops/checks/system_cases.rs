//! A case for each operation of the systems that are compared: pooling, joining, dense mixtures, the
//! contrastive loss.

use std::sync::Arc;

use super::Kernel::{self, Device as Own};
use super::cases::lengths;
use super::{Output, check, references};
use crate::Device;
use crate::ops;

pub(super) fn relu<D: Device>(kernel: Kernel) {
    let run = if kernel == Own {
        ops::relu
    } else {
        ops::relu::composed
    };
    check::<D>(
        &[&[7, 5]],
        |x, tape| Ok(vec![Output::Matrix(run(x.matrix(0), tape)?)]),
        |x| vec![x[0].iter().map(|x| x.max(0.0)).collect()],
    );
}

/// The first part stands in the result twice.
pub(super) fn join_columns<D: Device>(kernel: Kernel) {
    let run = if kernel == Own {
        ops::join_columns
    } else {
        ops::join_columns::composed
    };
    check::<D>(
        &[&[6, 2], &[6, 3]],
        |x, tape| {
            let (a, b) = (x.matrix(0), x.matrix(1));
            Ok(vec![Output::Matrix(run(&[a, b, a], tape)?)])
        },
        |x| {
            let mut y = Vec::new();
            for row in 0..6 {
                y.extend_from_slice(&x[0][row * 2..][..2]);
                y.extend_from_slice(&x[1][row * 3..][..3]);
                y.extend_from_slice(&x[0][row * 2..][..2]);
            }
            vec![y]
        },
    );
}

pub(super) fn segment_mean<D: Device>(kernel: Kernel) {
    let offsets = lengths();
    let ranges: Vec<_> = offsets.ranges().collect();
    let run = if kernel == Own {
        ops::segment_mean
    } else {
        ops::segment_mean::composed
    };
    check::<D>(
        &[&[offsets.rows(), 5]],
        |x, tape| Ok(vec![Output::Matrix(run(x.matrix(0), &offsets, tape)?)]),
        |x| {
            let mean = |rows: &std::ops::Range<usize>, c: usize| {
                let sum: f64 = rows.clone().map(|row| x[0][row * 5 + c]).sum();
                sum / rows.len().max(1) as f64
            };
            let means = ranges.iter();
            vec![
                means
                    .flat_map(|rows| (0..5).map(move |c| mean(rows, c)))
                    .collect(),
            ]
        },
    );
}

/// Two rows are added to one.
pub(super) fn add_rows<D: Device>(kernel: Kernel) {
    let rows: Arc<[u32]> = vec![4, 0, 4].into();
    let run = if kernel == Own {
        ops::add_rows
    } else {
        ops::add_rows::composed
    };
    check::<D>(
        &[&[5, 3], &[3, 3]],
        |x, tape| {
            let sum = run(x.matrix(0), x.matrix(1), &rows, tape)?;
            Ok(vec![Output::Matrix(sum)])
        },
        |x| {
            let mut y = x[0].clone();
            for (i, &row) in rows.iter().enumerate() {
                for c in 0..3 {
                    y[row as usize * 3 + c] += x[1][i * 3 + c];
                }
            }
            vec![y]
        },
    );
}

/// One expert, and three of which one stands twice.
pub(super) fn gated_sum<D: Device>(kernel: Kernel) {
    let run = if kernel == Own {
        ops::gated_sum
    } else {
        ops::gated_sum::composed
    };
    for experts in [vec![1], vec![1, 2, 1]] {
        let count = experts.len();
        check::<D>(
            &[&[6, count], &[6, 19], &[6, 19]],
            |x, tape| {
                let of: Vec<_> = experts.iter().map(|&e| x.matrix(e)).collect();
                Ok(vec![Output::Matrix(run(x.matrix(0), &of, tape)?)])
            },
            |x| {
                let mut y = vec![0.0; 6 * 19];
                for row in 0..6 {
                    let gate = references::softmax(&x[0][row * count..][..count]);
                    for (share, &e) in gate.iter().zip(&experts) {
                        for c in 0..19 {
                            y[row * 19 + c] += share * x[e][row * 19 + c];
                        }
                    }
                }
                vec![y]
            },
        );
    }
}

pub(super) fn info_nce<D: Device>(kernel: Kernel) {
    let run = if kernel == Own {
        ops::info_nce
    } else {
        ops::info_nce::composed
    };
    for rows in [1, 9] {
        check::<D>(
            &[&[rows, 18], &[rows, 18]],
            |x, tape| {
                let loss = run(x.matrix(0), x.matrix(1), 0.3, tape)?;
                Ok(vec![Output::Scalar(loss)])
            },
            |x| {
                let view = |x: &[f64], row: usize| x[row * 18..][..18].to_vec();
                let dot =
                    |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
                let mut total = 0.0;
                for i in 0..rows {
                    let a = view(&x[0], i);
                    let logit = |j: usize| {
                        let b = view(&x[1], j);
                        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt() / 0.3
                    };
                    let logits: Vec<f64> = (0..rows).map(logit).collect();
                    total += references::log_sum_exp(&logits) - logits[i];
                }
                vec![vec![total / rows as f64]]
            },
        );
    }
}
