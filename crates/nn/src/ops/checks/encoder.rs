//! The layers, put together, against plain f64 code.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Output, compare, references};
use crate::layers::{Encoder, EncoderConfig, EncoderInput, MfpConfig, MfpInput, Mode, TableSize};
use crate::ops::MoeOptions;
use crate::tables::RowOptimizer;
use crate::{Cpu, Offsets, OwnedTape, Parameters, Table, ops};

fn config(experts: usize, attention_experts: usize) -> EncoderConfig {
    EncoderConfig {
        mfp: MfpConfig {
            categories: vec![TableSize {
                name: "country".into(),
                rows: 5,
                dim: 2,
            }],
            ids: vec![3],
            dense: 2,
            maskable: vec![1],
            deviation: 1.0,
            width: 8,
        },
        width: 8,
        heads: 2,
        layers: 2,
        inner: 6,
        experts,
        attention_experts,
        ffns: 2,
        moe: MoeOptions::default(),
        dropout: 0.0,
        positions: 4,
    }
}

struct Batch {
    offsets: Offsets,
    categories: Vec<Arc<[u32]>>,
    ids: Vec<u32>,
    dense: Arc<[f32]>,
    masked: Arc<[bool]>,
    positions: Vec<u32>,
}

fn batch() -> Batch {
    let offsets = Offsets::from_lengths(&[1, 2, 9]).unwrap();
    let rows = offsets.rows();
    Batch {
        categories: vec![(0..rows as u32).map(|i| i * 3 % 5).collect()],
        ids: (0..rows as u32).map(|i| i * i % 7).collect(),
        dense: (0..2 * rows)
            .map(|i| (i * 5 % 7) as f32 / 3.0 - 1.0)
            .collect(),
        masked: (0..rows).map(|i| i % 4 == 1).collect(),
        positions: offsets
            .ranges()
            .flat_map(|rows| (0..rows.len() as u32).rev())
            .collect(),
        offsets,
    }
}

fn plain(
    config: &EncoderConfig,
    batch: &Batch,
    rows: &[u32],
    values: &HashMap<&str, &[f64]>,
) -> Vec<Vec<f64>> {
    let width = config.width;
    let get = |name: &str| values[name];
    let linear = |x: &[f64], name: &str, outputs: usize| {
        let (weight, bias) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        references::linear(x, weight, Some(bias), weight.len() / outputs, outputs)
    };
    let norm = |x: &[f64], name: &str, relu: bool| {
        references::layer_norm(
            x,
            get(&format!("{name}.scale")),
            get(&format!("{name}.shift")),
            relu,
        )
    };
    let mut inputs = Vec::new();
    for i in 0..batch.offsets.rows() {
        inputs.extend(&get("mfp.table.country")[batch.categories[0][i] as usize * 2..][..2]);
        let row = rows.iter().position(|&row| row == batch.ids[i]).unwrap();
        inputs.extend(&get("item")[row * 3..][..3]);
        inputs.push(f64::from(batch.dense[2 * i]));
        inputs.push(if batch.masked[i] {
            get("mfp.fill")[0]
        } else {
            f64::from(batch.dense[2 * i + 1])
        });
        inputs.push(f64::from(u8::from(batch.masked[i])));
    }
    let mut x = norm(&linear(&inputs, "mfp.projection", width), "mfp.norm", true);
    for (i, &position) in batch.positions.iter().enumerate() {
        let position = (position as usize).min(config.positions - 1);
        (0..width).for_each(|c| x[i * width + c] += get("position")[position * width + c]);
    }
    let ranges: Vec<_> = batch.offsets.ranges().collect();
    let (mut balance, mut z) = (0.0, 0.0);
    for block in 0..config.layers {
        let name = format!("block.{block}");
        let y = norm(&x, &format!("{name}.attention_norm"), false);
        let [q, k, v] = if config.attention_experts == 1 {
            let qkv = linear(&y, &format!("{name}.attention.qkv"), 3 * width);
            [0, 1, 2].map(|i| {
                qkv.chunks(3 * width)
                    .flat_map(|r| r[i * width..(i + 1) * width].to_vec())
                    .collect()
            })
        } else {
            ["q", "k", "v"].map(|part| {
                let gate = get(&format!("{name}.attention.{part}.gate"));
                let weight = get(&format!("{name}.attention.{part}.experts"));
                let out = references::mixture(
                    &y,
                    gate,
                    config.attention_experts,
                    1,
                    usize::MAX,
                    |row, e| {
                        references::linear(
                            row,
                            &weight[e * width * width..][..width * width],
                            None,
                            width,
                            width,
                        )
                    },
                );
                balance += out[1][0];
                z += out[2][0];
                out[0].clone()
            })
        };
        let attended: Vec<f64> = references::attention(&q, &k, &v, width, config.heads, &ranges);
        add(
            &mut x,
            &linear(&attended, &format!("{name}.attention.output"), width),
        );
        for i in 0..config.ffns {
            let y = norm(&x, &format!("{name}.ffn_norm.{i}"), false);
            let part = |part: &str| get(&format!("{name}.ffn.{i}.{part}"));
            let out =
                references::mixture(&y, part("gate"), config.experts, 1, usize::MAX, |row, e| {
                    let (wi, bi, wo, bo) = (
                        part("inner"),
                        part("inner_bias"),
                        part("outer"),
                        part("outer_bias"),
                    );
                    references::expert_ffn(row, e, wi, bi, wo, bo, config.inner)
                });
            add(&mut x, &out[0]);
            if config.experts > 1 {
                balance += out[1][0];
                z += out[2][0];
            }
        }
    }
    vec![norm(&x, "norm", false), vec![balance], vec![z]]
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn check_encoder(config: &EncoderConfig) {
    let device = Cpu::default();
    let mut parameters = Parameters::new(device.clone(), 11);
    let encoder = Encoder::new(&mut parameters, config).unwrap();
    let batch = batch();
    let table = Table::new("item", 7, 3, 1.0, RowOptimizer::LazyAdam, 11);
    let rows = table.gather(&device, &batch.ids).unwrap();
    let dense = encoder
        .mfp()
        .dense_input(batch.dense.clone(), batch.masked.clone());
    let input = EncoderInput {
        channels: MfpInput {
            categories: &batch.categories,
            ids: &[&rows],
            dense: &dense,
        },
        positions: &batch.positions,
        offsets: &batch.offsets,
    };
    let mut tape = OwnedTape::default();
    let out = encoder
        .forward(&parameters, &input, Mode::Train { key: 1 }, &mut tape)
        .unwrap();
    let outputs = [
        Output::Matrix(out.hidden),
        Output::Scalar(out.balance),
        Output::Scalar(out.z),
    ];
    let values: Vec<_> = outputs.iter().map(Output::read).collect();
    let terms: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(i, out)| out.contract(i, &mut tape).unwrap())
        .collect();
    let terms: Vec<_> = terms.iter().map(|term| (term, 1.0)).collect();
    let loss = ops::sum(&device, &terms, &mut tape).unwrap();
    let mut gradients = ops::backward(loss, tape).unwrap();
    let mut found: Vec<Vec<f32>> = parameters
        .iter()
        .map(|p| p.take_gradient(&mut gradients).unwrap())
        .collect();
    found.push(crate::Device::take_gradient(&mut gradients, &rows.leaf).unwrap());
    let mut inputs: Vec<Vec<f64>> = parameters
        .iter()
        .map(|p| p.read().into_iter().map(f64::from).collect())
        .collect();
    inputs.push(crate::read(&rows.leaf).into_iter().map(f64::from).collect());
    let names: Vec<&str> = parameters
        .iter()
        .map(|p| p.name())
        .chain(["item"])
        .collect();
    compare(&values, &found, &inputs, &|x: &[Vec<f64>]| {
        let values = names
            .iter()
            .copied()
            .zip(x.iter().map(Vec::as_slice))
            .collect();
        plain(config, &batch, &rows.rows, &values)
    });
}

#[test]
fn encoder_with_plain_attention() {
    check_encoder(&config(3, 1));
}

#[test]
fn encoder_with_mixtures_in_attention() {
    check_encoder(&config(2, 3));
}

#[test]
fn a_plain_transformer_is_the_encoder_with_one_expert() {
    check_encoder(&EncoderConfig {
        ffns: 1,
        ..config(1, 1)
    });
}
