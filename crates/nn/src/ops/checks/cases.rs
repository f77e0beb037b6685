//! A case for each operation.

use std::sync::Arc;

use super::Kernel::{self, Device as Own};
use super::{Output, check, references};
use crate::ops::{self, Activation, Candidates, DenseInput, NO_TARGET};
use crate::{Device, NoneTape, Offsets, matrix, read};

/// Lengths 0 (between), 1, 2 and one beyond a block of queries.
pub(super) fn lengths() -> Offsets {
    Offsets::from_lengths(&[1, 2, 0, 70, 3]).unwrap()
}

pub(super) fn linear<D: Device>(kernel: Kernel) {
    for (rows, inputs, outputs) in [(1, 1, 1), (2, 3, 5), (300, 19, 7), (600, 5, 33)] {
        check::<D>(
            &[&[rows, inputs], &[inputs, outputs], &[outputs]],
            |x, tape| {
                let bias = Some(x.vector(2));
                let run = if kernel == Own {
                    ops::linear
                } else {
                    ops::linear::composed
                };
                Ok(vec![Output::Matrix(run(
                    x.matrix(0),
                    x.matrix(1),
                    bias,
                    tape,
                )?)])
            },
            |x| {
                vec![references::linear(
                    &x[0],
                    &x[1],
                    Some(&x[2]),
                    inputs,
                    outputs,
                )]
            },
        );
    }
}

pub(super) fn layer_norm<D: Device>(kernel: Kernel) {
    for activation in [Activation::Identity, Activation::Relu] {
        let relu = activation == Activation::Relu;
        let run = if kernel == Own {
            ops::layer_norm
        } else {
            ops::layer_norm::composed
        };
        check::<D>(
            &[&[130, 19], &[19], &[19]],
            |x, tape| {
                let out = run(
                    x.matrix(0),
                    None,
                    x.vector(1),
                    x.vector(2),
                    activation,
                    tape,
                )?;
                Ok(vec![Output::Matrix(out.y), Output::Matrix(out.stream)])
            },
            |x| {
                vec![
                    references::layer_norm(&x[0], &x[1], &x[2], relu),
                    x[0].clone(),
                ]
            },
        );
        check::<D>(
            &[&[3, 20], &[3, 20], &[20], &[20]],
            |x, tape| {
                let out = run(
                    x.matrix(0),
                    Some(x.matrix(1)),
                    x.vector(2),
                    x.vector(3),
                    activation,
                    tape,
                )?;
                Ok(vec![Output::Matrix(out.y), Output::Matrix(out.stream)])
            },
            |x| {
                let stream: Vec<f64> = x[0].iter().zip(&x[1]).map(|(a, b)| a + b).collect();
                vec![references::layer_norm(&stream, &x[2], &x[3], relu), stream]
            },
        );
    }
}

pub(super) fn add<D: Device>(kernel: Kernel) {
    let run = if kernel == Own {
        ops::add
    } else {
        ops::add::composed
    };
    check::<D>(
        &[&[7, 5], &[7, 5]],
        |x, tape| Ok(vec![Output::Matrix(run(x.matrix(0), x.matrix(1), tape)?)]),
        |x| vec![x[0].iter().zip(&x[1]).map(|(a, b)| a + b).collect()],
    );
}

pub(super) fn gather_rows<D: Device>(kernel: Kernel) {
    let rows: Arc<[u32]> = vec![4, 0, 4, 2].into();
    let run = if kernel == Own {
        ops::gather_rows
    } else {
        ops::gather_rows::composed
    };
    check::<D>(
        &[&[5, 3]],
        |x, tape| Ok(vec![Output::Matrix(run(x.matrix(0), &rows, tape)?)]),
        |x| {
            vec![
                rows.iter()
                    .flat_map(|&row| x[0][row as usize * 3..][..3].to_vec())
                    .collect(),
            ]
        },
    );
}

pub(super) fn segment_max<D: Device>(kernel: Kernel) {
    let offsets = lengths();
    let ranges: Vec<_> = offsets.ranges().collect();
    let run = if kernel == Own {
        ops::segment_max
    } else {
        ops::segment_max::composed
    };
    check::<D>(
        &[&[offsets.rows(), 5]],
        |x, tape| Ok(vec![Output::Matrix(run(x.matrix(0), &offsets, tape)?)]),
        |x| vec![references::segment_max(&x[0], 5, &ranges)],
    );
}

pub(super) fn lookup<D: Device>(kernel: Kernel) {
    let rows = 140;
    let codes: Vec<Arc<[u32]>> = vec![
        (0..rows).map(|i| (i * 7 % 4) as u32).collect(),
        (0..rows).map(|i| (i * i % 6) as u32).collect(),
    ];
    let values: Arc<[f32]> = (0..rows * 3).map(|i| (i % 11) as f32 - 5.0).collect();
    let masked: Arc<[bool]> = (0..rows * 2).map(|i| i % 5 == 0).collect();
    for masked in [masked, Arc::default()] {
        let dense = DenseInput {
            values: values.clone(),
            channels: 3,
            maskable: vec![2, 0].into(),
            masked,
        };
        check::<D>(
            &[&[4, 2], &[6, 3], &[2]],
            |x, tape| {
                let (tables, fill) = ([x.matrix(0), x.matrix(1)], Some(x.vector(2)));
                let run = if kernel == Own {
                    ops::lookup
                } else {
                    ops::lookup::composed
                };
                Ok(vec![Output::Matrix(run(
                    x.device(),
                    &tables,
                    &codes,
                    &dense,
                    fill,
                    tape,
                )?)])
            },
            |x| {
                let mut y = Vec::new();
                for row in 0..rows {
                    y.extend(&x[0][codes[0][row] as usize * 2..][..2]);
                    y.extend(&x[1][codes[1][row] as usize * 3..][..3]);
                    let mut numbers: Vec<f64> = values[row * 3..][..3]
                        .iter()
                        .map(|&v| f64::from(v))
                        .collect();
                    let hidden =
                        |i: usize| dense.masked.get(row * 2 + i).is_some_and(|masked| *masked);
                    for (i, channel) in [2, 0].into_iter().enumerate().filter(|(i, _)| hidden(*i)) {
                        numbers[channel] = x[2][i];
                    }
                    y.extend(numbers);
                    y.extend([0, 1].map(|i| f64::from(u8::from(hidden(i)))));
                }
                vec![y]
            },
        );
    }
}

pub(super) fn dropout<D: Device>(kernel: Kernel) {
    let ones = matrix(&D::default(), vec![1.0; 15], 5, 3).unwrap();
    let mask = read(&ops::dropout(&ones, 0.3, 77, &mut NoneTape).unwrap());
    let run = if kernel == Own {
        ops::dropout
    } else {
        ops::dropout::composed
    };
    check::<D>(
        &[&[5, 3]],
        |x, tape| Ok(vec![Output::Matrix(run(x.matrix(0), 0.3, 77, tape)?)]),
        |x| {
            vec![
                x[0].iter()
                    .zip(&mask)
                    .map(|(x, m)| x * f64::from(*m))
                    .collect(),
            ]
        },
    );
}

pub(super) fn cross_entropy<D: Device>(kernel: Kernel) {
    let targets: Vec<u32> = (0..70)
        .map(|i| if i % 3 == 0 { NO_TARGET } else { i % 9 })
        .collect();
    let run = if kernel == Own {
        ops::cross_entropy
    } else {
        ops::cross_entropy::composed
    };
    check::<D>(
        &[&[70, 9]],
        |x, tape| Ok(vec![Output::Scalar(run(x.matrix(0), &targets, tape)?)]),
        |x| {
            let targets: Vec<_> = targets
                .iter()
                .map(|&t| (t != NO_TARGET).then_some(t as usize))
                .collect();
            vec![vec![references::cross_entropy(&x[0], 9, &targets)]]
        },
    );
}

/// Own classes among the sampled ones and not, and classes of several rows.
pub(super) fn sampled_softmax<D: Device>(kernel: Kernel) {
    let run = if kernel == Own {
        ops::sampled_softmax
    } else {
        ops::sampled_softmax::composed
    };
    for rows in [1u32, 70] {
        let candidates = Candidates {
            targets: (0..rows).map(|i| i * 5 % 9).collect(),
            samples: vec![0, 2, 5, 6, 8].into(),
            target_log_counts: (0..rows).map(|i| -((i * 5 % 9) as f32) / 4.0).collect(),
            sample_log_counts: vec![0.0, -0.5, -1.25, -1.5, -2.0].into(),
        };
        check::<D>(
            &[&[rows as usize, 6], &[9, 7]],
            |x, tape| {
                let loss = run(x.matrix(0), x.matrix(1), &candidates, tape)?;
                Ok(vec![Output::Scalar(loss)])
            },
            |x| vec![vec![references::sampled_softmax(&x[0], &x[1], &candidates)]],
        );
    }
}

/// These have one implementation; the middle task has no label at all.
pub(super) fn losses_by_task<D: Device>(_: Kernel) {
    let labels: Vec<f32> = (0..24)
        .map(|i| {
            if i % 3 == 1 || i % 7 == 0 {
                f32::NAN
            } else {
                ((i / 3) % 2) as f32
            }
        })
        .collect();
    let mean = |x: &[f64], loss: fn(f64, f64) -> f64| -> Vec<f64> {
        let task = |k: usize| {
            let rows = (0..8)
                .map(|row| row * 3 + k)
                .filter(|&i| !labels[i].is_nan());
            let losses: Vec<f64> = rows.map(|i| loss(x[i], f64::from(labels[i]))).collect();
            losses.iter().sum::<f64>() / losses.len().max(1) as f64
        };
        (0..3).map(task).collect()
    };
    check::<D>(
        &[&[8, 3]],
        |x, tape| {
            let x = x.matrix(0);
            Ok(vec![
                Output::Vector(ops::bce_with_logits(x, &labels, tape)?),
                Output::Vector(ops::mse(x, &labels, tape)?),
                Output::Vector(ops::huber(x, &labels, 0.7, tape)?),
            ])
        },
        |x| {
            vec![
                mean(&x[0], |x, y| {
                    let p = 1.0 / (1.0 + (-x).exp());
                    -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
                }),
                mean(&x[0], |x, y| (x - y).powi(2)),
                mean(&x[0], |x, y| {
                    let e = (x - y).abs();
                    if e <= 0.7 {
                        e * e / 2.0
                    } else {
                        0.7 * (e - 0.35)
                    }
                }),
            ]
        },
    );
}

pub(super) fn sums<D: Device>(_: Kernel) {
    check::<D>(
        &[&[4]],
        |x, tape| {
            let total = ops::weighted_sum(x.vector(0), &[1.0, 0.0, -2.0, 0.5], tape)?;
            let twice = ops::sum(x.device(), &[(&total, 2.0), (&total, 1.0)], tape)?;
            Ok(vec![Output::Scalar(total), Output::Scalar(twice)])
        },
        |x| {
            let total = x[0][0] - 2.0 * x[0][2] + 0.5 * x[0][3];
            vec![vec![total], vec![3.0 * total]]
        },
    );
}
