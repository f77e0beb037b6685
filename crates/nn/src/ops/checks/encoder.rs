//! The layers, one by one and put together, against plain f64 code: results and gradients, on packed
//! batches with sequences of one step, of two, and of as many as there are positions and more.

use std::sync::Arc;

use super::plain_layers::{Plain, Values};
use super::{Output, compare};
use crate::layers::{
    Attention, Block, Encoder, EncoderConfig, EncoderInput, ExpertLoad, LayerNorm, Linear, Mfp,
    MfpConfig, MfpInput, Mode, MoeFfn, TableSize,
};
use crate::ops::products::MULTIPLIED;
use crate::ops::{Activation, MoeOptions};
use crate::parameters::Initial;
use crate::tables::RowOptimizer;
use crate::{
    Cpu, Group, Matrix, NoneTape, Offsets, OwnedTape, Parameters, Scalar, Table, TableRows, matrix,
    ops, read,
};

const WIDTH: usize = 8;
const POSITIONS: usize = 9;

fn config(experts: usize, attention_experts: usize) -> EncoderConfig {
    EncoderConfig {
        mfp: mfp(1, 1, 2),
        width: WIDTH,
        heads: 2,
        layers: 2,
        inner: 6,
        experts,
        attention_experts,
        ffns: 2,
        jitter: 0.0,
        moe: MoeOptions::default(),
        dropout: 0.0,
        positions: POSITIONS,
    }
}

/// So many channels of each kind; the dense ones but the first can be hidden.
fn mfp(categories: usize, ids: usize, dense: usize) -> MfpConfig {
    let category = |i: usize| TableSize {
        name: format!("category{i}"),
        rows: 5 + i,
        dim: 2 + i,
    };
    MfpConfig {
        categories: (0..categories).map(category).collect(),
        ids: (0..ids).map(|i| 3 + i).collect(),
        dense,
        maskable: (1..dense).collect(),
        deviation: 1.0,
        width: WIDTH,
    }
}

pub(super) struct Batch {
    pub(super) offsets: Offsets,
    pub(super) categories: Vec<Arc<[u32]>>,
    pub(super) ids: Vec<Vec<u32>>,
    pub(super) dense: Arc<[f32]>,
    pub(super) masked: Arc<[bool]>,
    pub(super) positions: Vec<u32>,
}

/// Lengths 1, 2, as many as positions, and more.
fn offsets() -> Offsets {
    Offsets::from_lengths(&[1, 2, POSITIONS, POSITIONS + 2]).unwrap()
}

fn batch(config: &MfpConfig) -> Batch {
    let offsets = offsets();
    let rows = offsets.rows();
    let code = |row: u32, channel: usize| (row * row + 3 * row + channel as u32) % 5;
    let codes = |channel: usize| (0..rows as u32).map(move |row| code(row, channel));
    Batch {
        categories: (0..config.categories.len())
            .map(|channel| codes(channel).collect())
            .collect(),
        ids: (0..config.ids.len())
            .map(|channel| codes(channel + 1).collect())
            .collect(),
        dense: (0..config.dense * rows)
            .map(|i| (i * 5 % 7) as f32 / 3.0 - 1.0)
            .collect(),
        masked: (0..config.maskable.len() * rows)
            .map(|i| i % 4 == 1)
            .collect(),
        positions: offsets
            .ranges()
            .flat_map(|rows| (0..rows.len() as u32).rev())
            .collect(),
        offsets,
    }
}

/// The rows of the id tables, whose leaves are called `id.0`, `id.1`.
fn id_rows(config: &MfpConfig, batch: &Batch) -> Vec<TableRows<Cpu>> {
    let tables = config.ids.iter().zip(&batch.ids).enumerate();
    tables
        .map(|(i, (&dim, codes))| {
            let name = format!("item{i}");
            let table = Table::new(name, 7, dim, 1.0, RowOptimizer::LazyAdam, 11).unwrap();
            table.gather(&Cpu::default(), codes).unwrap()
        })
        .collect()
}

/// Compares outputs and gradients with `plain`, by all parameters and by further leaves.
fn check(
    parameters: &Parameters<Cpu>,
    leaves: &[(String, &Matrix<Cpu>)],
    outputs: &[Output<Cpu>],
    mut tape: OwnedTape<f32, Cpu>,
    plain: impl Fn(&Values<'_>) -> Vec<Vec<f64>>,
) {
    let values: Vec<_> = outputs.iter().map(Output::read).collect();
    let terms: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(i, output)| output.contract(i, &mut tape).unwrap())
        .collect();
    let terms: Vec<_> = terms.iter().map(|term| (term, 1.0)).collect();
    let loss = ops::sum(parameters.device(), &terms, &mut tape).unwrap();
    let mut gradients = ops::backward(loss, tape).unwrap();
    let mut found: Vec<Vec<f32>> = parameters
        .iter()
        .map(|p| p.take_gradient(&mut gradients).unwrap().to_vec())
        .collect();
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    let mut inputs: Vec<Vec<f64>> = parameters.iter().map(|p| wide(p.read())).collect();
    for (_, leaf) in leaves {
        found.push(
            crate::HostAccess::take_gradient(&mut gradients, leaf)
                .unwrap()
                .to_vec(),
        );
        inputs.push(wide(read(leaf)));
    }
    let names = parameters.iter().map(|p| p.name());
    let names: Vec<&str> = names
        .chain(leaves.iter().map(|(name, _)| name.as_str()))
        .collect();
    compare(&values, &found, &inputs, &|x: &[Vec<f64>]| {
        let values = names.iter().copied();
        plain(&values.zip(x.iter().map(Vec::as_slice)).collect())
    });
}

fn check_encoder(config: &EncoderConfig) {
    let mut parameters = Parameters::new(Cpu::default(), 11);
    let encoder = Encoder::new(&mut parameters, config).unwrap();
    let batch = batch(&config.mfp);
    let rows = id_rows(&config.mfp, &batch);
    let dense = encoder
        .mfp()
        .dense_input(batch.dense.clone(), batch.masked.clone());
    let input = EncoderInput {
        channels: MfpInput {
            categories: &batch.categories,
            ids: &rows.iter().collect::<Vec<_>>(),
            dense: &dense,
        },
        positions: &batch.positions,
        offsets: &batch.offsets,
    };
    let mut tape = OwnedTape::default();
    let mode = Mode::Train { key: 1 };
    let out = encoder
        .forward(&parameters, &input, mode, &mut tape)
        .unwrap();
    let outputs = [
        Output::Matrix(out.hidden),
        Output::Scalar(out.balance),
        Output::Scalar(out.z),
    ];
    let used: Vec<Vec<u32>> = rows.iter().map(|rows| rows.rows.to_vec()).collect();
    check(&parameters, &leaves(&rows), &outputs, tape, |values| {
        Plain::new(config, values, batch.offsets.ranges().collect()).encoder(&batch, &used)
    });
}

fn leaves(rows: &[TableRows<Cpu>]) -> Vec<(String, &Matrix<Cpu>)> {
    let rows = rows.iter().enumerate();
    rows.map(|(i, rows)| (format!("id.{i}"), &rows.leaf))
        .collect()
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
fn encoder_with_two_experts_a_step() {
    let mut config = config(4, 1);
    config.moe.top_k = 2;
    check_encoder(&config);
}

#[test]
fn a_plain_transformer_is_the_encoder_with_one_expert() {
    check_encoder(&EncoderConfig {
        ffns: 1,
        ..config(1, 1)
    });
}

/// Any number of channels of each kind, none included.
#[test]
fn mfp_of_any_channels() {
    for (categories, ids, dense) in [
        (1, 1, 2),
        (3, 2, 4),
        (0, 1, 2),
        (1, 0, 1),
        (2, 1, 0),
        (1, 0, 0),
        (0, 2, 0),
        (0, 0, 3),
    ] {
        let config = EncoderConfig {
            mfp: mfp(categories, ids, dense),
            ..config(1, 1)
        };
        let mut parameters = Parameters::new(Cpu::default(), 3);
        let layer = Mfp::new(&mut parameters, "mfp", &config.mfp).unwrap();
        let batch = batch(&config.mfp);
        let rows = id_rows(&config.mfp, &batch);
        let dense = layer.dense_input(batch.dense.clone(), batch.masked.clone());
        let input = MfpInput {
            categories: &batch.categories,
            ids: &rows.iter().collect::<Vec<_>>(),
            dense: &dense,
        };
        let mut tape = OwnedTape::default();
        let out = layer.forward(&parameters, &input, &mut tape).unwrap();
        let used: Vec<Vec<u32>> = rows.iter().map(|rows| rows.rows.to_vec()).collect();
        let outputs = [Output::Matrix(out)];
        check(&parameters, &leaves(&rows), &outputs, tape, |values| {
            let ranges = batch.offsets.ranges().collect();
            vec![Plain::new(&config, values, ranges).mfp(&batch, &used)]
        });
    }
    let none = Mfp::new(
        &mut Parameters::new(Cpu::default(), 3),
        "mfp",
        &mfp(0, 0, 0),
    );
    assert_eq!(
        none.unwrap_err().to_string(),
        "mfp: number of channels must be at least 1, but is 0"
    );
}

/// Hidden states that go into a layer by itself.
fn hidden() -> Matrix<Cpu> {
    let rows = offsets().rows();
    let values = Initial::Normal(1.0).values(rows * WIDTH, 21);
    matrix(&Cpu::default(), values, rows, WIDTH).unwrap()
}

/// Runs a layer by itself; `run` gives its output, `plain` the same in f64 from x. The losses of its
/// mixtures are compared too, as sums.
fn check_layer(
    config: &EncoderConfig,
    run: impl Fn(
        &mut Parameters<Cpu>,
        &Matrix<Cpu>,
        &mut Vec<ExpertLoad<Cpu>>,
        &mut OwnedTape<f32, Cpu>,
    ) -> Matrix<Cpu>,
    plain: impl Fn(&mut Plain<'_>, &[f64]) -> Vec<f64>,
) {
    let mut parameters = Parameters::new(Cpu::default(), 5);
    let (x, mut loads, mut tape) = (hidden(), Vec::new(), OwnedTape::default());
    let out = run(&mut parameters, &x, &mut loads, &mut tape);
    let sum = |terms: Vec<(&Scalar<Cpu>, f32)>, tape: &mut OwnedTape<f32, Cpu>| {
        Output::Scalar(ops::sum(x.device(), &terms, tape).unwrap())
    };
    let balances = loads.iter().map(|load| (&load.balance, 1.0)).collect();
    let zs = loads.iter().map(|load| (&load.z, 1.0)).collect();
    let outputs = [
        Output::Matrix(out),
        sum(balances, &mut tape),
        sum(zs, &mut tape),
    ];
    let leaves = [("x".to_owned(), &x)];
    check(&parameters, &leaves, &outputs, tape, |values| {
        let mut layer = Plain::new(config, values, offsets().ranges().collect());
        let y = plain(&mut layer, values["x"]);
        vec![y, vec![layer.balance], vec![layer.z]]
    });
}

#[test]
fn attention_by_itself() {
    for experts in [1, 3] {
        let config = config(1, experts);
        check_layer(
            &config,
            |parameters, x, loads, tape| {
                let options = MoeOptions::default();
                let heads = config.heads;
                let layer =
                    Attention::new(parameters, "attention", WIDTH, heads, experts, &options)
                        .unwrap();
                layer
                    .forward(parameters, x, &offsets(), Mode::Evaluate, loads, tape)
                    .unwrap()
            },
            |plain, x| plain.attention(x, "attention"),
        );
    }
}

#[test]
fn a_mixture_of_experts_by_itself() {
    for (experts, top_k) in [(1, 1), (4, 1), (4, 3)] {
        let mut config = config(experts, 1);
        config.moe.top_k = top_k;
        check_layer(
            &config,
            |parameters, x, loads, tape| {
                let inner = config.inner;
                let layer =
                    MoeFfn::new(parameters, "ffn", WIDTH, inner, experts, &config.moe).unwrap();
                layer
                    .forward(parameters, x, Mode::Evaluate, loads, tape)
                    .unwrap()
            },
            |plain, x| plain.moe_ffn(x, "ffn"),
        );
    }
}

#[test]
fn a_block_by_itself() {
    for (experts, attention_experts) in [(1, 1), (3, 2)] {
        let config = config(experts, attention_experts);
        check_layer(
            &config,
            |parameters, x, loads, tape| {
                let layer = Block::new(parameters, "block", &config).unwrap();
                let mode = Mode::Train { key: 4 };
                layer
                    .forward(parameters, x.clone(), &offsets(), mode, loads, tape)
                    .unwrap()
            },
            |plain, x| plain.block(x.to_vec(), "block"),
        );
    }
}

#[test]
fn gates_are_jittered_in_training_alone() {
    let outputs = |jitter: f32, mode: Mode| {
        let config = EncoderConfig {
            jitter,
            ..config(3, 2)
        };
        let mut parameters = Parameters::new(Cpu::default(), 5);
        let layer = Block::new(&mut parameters, "block", &config).unwrap();
        let (x, mut loads) = (hidden(), Vec::new());
        let y = layer.forward(&parameters, x, &offsets(), mode, &mut loads, &mut NoneTape);
        (read(&y.unwrap()), loads.len())
    };
    let train = |key| Mode::Train { key };
    let plain = outputs(0.0, Mode::Evaluate);
    // Of q, k, v, and of two feed-forward mixtures.
    assert_eq!(plain.1, 5);
    assert_eq!(outputs(0.2, Mode::Evaluate), plain);
    assert_eq!(outputs(0.0, train(1)), plain);
    assert_ne!(outputs(0.2, train(1)), plain);
    assert_eq!(outputs(0.2, train(1)), outputs(0.2, train(1)));
    assert_ne!(outputs(0.2, train(1)), outputs(0.2, train(2)));
}

#[test]
fn linear_and_layer_norm_by_themselves() {
    let config = config(1, 1);
    check_layer(
        &config,
        |parameters, x, _, tape| {
            let layer = Linear::new(parameters, "linear", Group::Towers, WIDTH, 3).unwrap();
            layer.forward(parameters, x, tape).unwrap()
        },
        |plain, x| plain.linear(x, "linear", 3),
    );
    check_layer(
        &config,
        |parameters, x, _, tape| {
            let layer = LayerNorm::new(parameters, "norm", Group::Encoder, WIDTH).unwrap();
            let out = layer.forward(parameters, x, None, Activation::Relu, tape);
            out.unwrap().y
        },
        |plain, x| plain.norm(x, "norm", true),
    );
}

/// Multiplications of a forward and a backward pass of a mixture, without those of its gate.
fn work_of_experts(experts: usize, top_k: usize) -> usize {
    let on_one_thread = crate::threads::run(1, || {
        let mut config = config(experts, 1);
        config.moe.top_k = top_k;
        let mut parameters = Parameters::new(Cpu::default(), 5);
        let layer = MoeFfn::new(&mut parameters, "ffn", WIDTH, 6, experts, &config.moe).unwrap();
        let (x, before) = (hidden(), MULTIPLIED.get());
        let mut tape = OwnedTape::default();
        let y = layer
            .forward(&parameters, &x, Mode::Evaluate, &mut Vec::new(), &mut tape)
            .unwrap();
        let loss = Output::Matrix(y).contract(0, &mut tape).unwrap();
        ops::backward(loss, tape).unwrap();
        // The gradients of the gate's logits to x and to its weight; the logits are no product of this kind.
        let gate = 2 * offsets().rows() * WIDTH * experts;
        MULTIPLIED.get() - before - gate
    });
    on_one_thread.unwrap()
}

/// An expert has two products; each has one forward and two backward.
#[test]
fn the_rows_that_experts_multiply_do_not_grow_with_experts() {
    let one = work_of_experts(1, 1);
    assert_eq!(one, 3 * 2 * offsets().rows() * WIDTH * 6);
    for experts in [2, 4, 64] {
        assert_eq!(work_of_experts(experts, 1), one, "{experts} experts");
    }
    assert_eq!(work_of_experts(64, 2), 2 * one);
}
