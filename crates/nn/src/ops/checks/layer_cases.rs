//! The cases of whole layers: attention and mixtures of experts.

use super::Kernel::{self, Device as Own};
use super::cases::lengths;
use super::{Output, check, references};
use crate::Device;
use crate::ops::{self, Jitter, MoeOptions, MoeWeights, Qkv};

pub(super) fn attention_of_one_matrix<D: Device>(kernel: Kernel) {
    let offsets = lengths();
    let ranges: Vec<_> = offsets.ranges().collect();
    for (width, heads) in [(6, 2), (5, 1), (4, 4)] {
        check::<D>(
            &[&[offsets.rows(), 3 * width]],
            |x, tape| {
                let run = if kernel == Own {
                    ops::attention
                } else {
                    ops::attention::composed
                };
                Ok(vec![Output::Matrix(run(
                    Qkv::Packed(x.matrix(0)),
                    &offsets,
                    heads,
                    tape,
                )?)])
            },
            |x| {
                let part = |i: usize| -> Vec<f64> {
                    x[0].chunks(3 * width)
                        .flat_map(|row| row[i * width..(i + 1) * width].to_vec())
                        .collect()
                };
                vec![references::attention(
                    &part(0),
                    &part(1),
                    &part(2),
                    width,
                    heads,
                    &ranges,
                )]
            },
        );
    }
}

pub(super) fn attention_of_three_matrices<D: Device>(kernel: Kernel) {
    let offsets = lengths();
    let ranges: Vec<_> = offsets.ranges().collect();
    let shape = [offsets.rows(), 6];
    check::<D>(
        &[&shape, &shape, &shape],
        |x, tape| {
            let qkv = Qkv::Separate {
                q: x.matrix(0),
                k: x.matrix(1),
                v: x.matrix(2),
            };
            let run = if kernel == Own {
                ops::attention
            } else {
                ops::attention::composed
            };
            Ok(vec![Output::Matrix(run(qkv, &offsets, 3, tape)?)])
        },
        |x| vec![references::attention(&x[0], &x[1], &x[2], 6, 3, &ranges)],
    );
}

/// Ways to route: (experts, top_k, capacity factor).
const ROUTES: [(usize, usize, Option<f32>); 6] = [
    (1, 1, None),
    (3, 1, None),
    (4, 2, None),
    (3, 3, None),
    (4, 1, Some(0.5)),
    (4, 2, Some(1.0)),
];

fn route(
    experts: usize,
    top_k: usize,
    capacity_factor: Option<f32>,
    tokens: usize,
) -> (MoeOptions, usize) {
    let options = MoeOptions {
        top_k,
        capacity_factor,
        jitter: None,
    };
    let capacity = options.capacity(tokens, experts);
    (options, capacity)
}

pub(super) fn moe_ffn<D: Device>(kernel: Kernel) {
    let (width, inner) = (5, 7);
    for (experts, top_k, factor) in ROUTES {
        for tokens in [1, 200] {
            let (options, capacity) = route(experts, top_k, factor, tokens);
            check::<D>(
                &[
                    &[tokens, width],
                    &[width, experts],
                    &[experts, width, inner],
                    &[experts, inner],
                    &[experts, inner, width],
                    &[experts, width],
                ],
                |x, tape| {
                    let weights = MoeWeights {
                        gate: x.matrix(1),
                        inner: x.cube(2),
                        inner_bias: x.matrix(3),
                        outer: x.cube(4),
                        outer_bias: x.matrix(5),
                    };
                    let run = if kernel == Own {
                        ops::moe_ffn
                    } else {
                        ops::moe_ffn::composed
                    };
                    let out = run(x.matrix(0), weights, &options, tape)?;
                    assert_eq!(out.counts.iter().sum::<u32>() as usize, tokens * top_k);
                    Ok(vec![
                        Output::Matrix(out.y),
                        Output::Scalar(out.balance),
                        Output::Scalar(out.z),
                    ])
                },
                |x| {
                    references::mixture(&x[0], &x[1], experts, top_k, capacity, |row, e| {
                        references::expert_ffn(row, e, &x[2], &x[3], &x[4], &x[5], inner)
                    })
                },
            );
        }
    }
}

/// Weights that two inputs share; the second leaves experts without rows.
pub(super) fn moe_ffn_of_two_inputs<D: Device>(kernel: Kernel) {
    let (width, inner, experts, tokens) = (5, 7, 4, [40, 1]);
    let (options, capacity) = route(experts, 1, None, tokens[0]);
    check::<D>(
        &[
            &[tokens[0], width],
            &[tokens[1], width],
            &[width, experts],
            &[experts, width, inner],
            &[experts, inner],
            &[experts, inner, width],
            &[experts, width],
        ],
        |x, tape| {
            let weights = MoeWeights {
                gate: x.matrix(2),
                inner: x.cube(3),
                inner_bias: x.matrix(4),
                outer: x.cube(5),
                outer_bias: x.matrix(6),
            };
            let run = if kernel == Own {
                ops::moe_ffn
            } else {
                ops::moe_ffn::composed
            };
            let mut outputs = Vec::new();
            for input in [x.matrix(0), x.matrix(1)] {
                let out = run(input, weights, &options, tape)?;
                outputs.push(Output::Matrix(out.y));
            }
            Ok(outputs)
        },
        |x| {
            let of_input = |input: &[f64]| {
                let outputs = references::mixture(input, &x[2], experts, 1, capacity, |row, e| {
                    references::expert_ffn(row, e, &x[3], &x[4], &x[5], &x[6], inner)
                });
                outputs.into_iter().next().unwrap()
            };
            vec![of_input(&x[0]), of_input(&x[1])]
        },
    );
}

pub(super) fn moe_linear<D: Device>(kernel: Kernel) {
    for (experts, top_k, factor) in ROUTES {
        moe_linear_of::<D>(kernel, experts, top_k, factor, None);
    }
}

/// What gates see is not what experts see.
pub(super) fn moe_linear_with_jitter<D: Device>(kernel: Kernel) {
    let jitter = Jitter { width: 0.3, key: 9 };
    moe_linear_of::<D>(kernel, 3, 2, None, Some(jitter));
}

fn moe_linear_of<D: Device>(
    kernel: Kernel,
    experts: usize,
    top_k: usize,
    capacity_factor: Option<f32>,
    jitter: Option<Jitter>,
) {
    let (inputs, outputs, tokens) = (5, 4, 150);
    let mut factors = vec![1.0; tokens * inputs];
    if let Some(jitter) = jitter {
        jitter.apply(&mut factors);
    }
    let (options, capacity) = route(experts, top_k, capacity_factor, tokens);
    let options = MoeOptions { jitter, ..options };
    check::<D>(
        &[
            &[tokens, inputs],
            &[inputs, experts],
            &[experts, inputs, outputs],
        ],
        |x, tape| {
            let run = if kernel == Own {
                ops::moe_linear
            } else {
                ops::moe_linear::composed
            };
            let out = run(x.matrix(0), x.matrix(1), x.cube(2), &options, tape)?;
            Ok(vec![
                Output::Matrix(out.y),
                Output::Scalar(out.balance),
                Output::Scalar(out.z),
            ])
        },
        |x| {
            let pairs = x[0].iter().zip(&factors);
            let seen: Vec<f64> = pairs.map(|(x, &factor)| x * f64::from(factor)).collect();
            references::mixture_seeing(&x[0], &seen, &x[1], experts, top_k, capacity, |row, e| {
                let weight = &x[2][e * inputs * outputs..][..inputs * outputs];
                references::linear(row, weight, None, inputs, outputs)
            })
        },
    );
}
