//! Times training steps: forward, backward and update on random batches of the benchmark's small shape.
//!
//!     cargo run --release -p supermoe-nn --example step_time -- [threads] [experts] [d_model] [d_ff] [layers] [seq]

use std::sync::Arc;
use std::time::Instant;

use supermoe_nn::layers::{
    Encoder, EncoderConfig, EncoderInput, Linear, MfpConfig, MfpInput, Mode, TableSize,
};
use supermoe_nn::ops::{self, MoeOptions};
use supermoe_nn::optim::{AdamW, AdamWConfig, LearningRates};
use supermoe_nn::{Cpu, Error, Group, Offsets, OwnedTape, Parameters, read_scalar};

const BATCH: usize = 64;
const DENSE: usize = 3;
const HEADS: usize = 3; // of masked channel prediction
const WARM_UP: usize = 5;
const STEPS: usize = 40;

struct Sizes {
    experts: usize,
    width: usize,
    inner: usize,
    layers: usize,
    steps: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<Vec<usize>, _>>()?;
    let number = |index: usize, default: usize| numbers.get(index).copied().unwrap_or(default);
    let sizes = Sizes {
        experts: number(1, 8),
        width: number(2, 64),
        inner: number(3, 256),
        layers: number(4, 2),
        steps: number(5, 64),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(number(0, 2))
        .build()?;
    pool.install(|| time_steps(&sizes))?;
    Ok(())
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn time_steps(sizes: &Sizes) -> Result<(), Error> {
    let vocabularies: Vec<usize> = [vec![100; 6], vec![5000; 2]].concat();
    let table = |(i, &rows): (usize, &usize)| TableSize {
        name: format!("channel{i}"),
        rows,
        dim: 16,
    };
    let config = EncoderConfig {
        mfp: MfpConfig {
            categories: vocabularies.iter().enumerate().map(table).collect(),
            ids: vec![],
            dense: DENSE,
            maskable: vec![],
            deviation: 1.0,
            width: sizes.width,
        },
        width: sizes.width,
        heads: 4,
        layers: sizes.layers,
        inner: sizes.inner,
        experts: sizes.experts,
        attention_experts: 1,
        ffns: 2,
        moe: MoeOptions::default(),
        dropout: 0.0,
        positions: sizes.steps,
    };
    let device = Cpu::default();
    let mut parameters = Parameters::new(device.clone(), 0);
    let encoder = Encoder::new(&mut parameters, &config)?;
    let heads = (0..HEADS)
        .map(|i| {
            Linear::new(
                &mut parameters,
                &format!("head.{i}"),
                Group::Towers,
                sizes.width,
                vocabularies[i],
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut optimizer = AdamW::new(AdamWConfig {
        weight_decay: 0.0,
        clip_norm: None,
        ..AdamWConfig::default()
    });
    let offsets = Offsets::from_lengths(&[sizes.steps; BATCH])?;
    let rows = offsets.rows();
    let positions: Vec<u32> = offsets
        .ranges()
        .flat_map(|rows| (0..rows.len() as u32).rev())
        .collect();
    let mut random = Random(1);
    let mut times = Vec::new();
    let mut last = 0.0;
    for step in 0..WARM_UP + STEPS {
        let mut codes = |&rows_of: &usize| {
            (0..rows)
                .map(|_| random.below(rows_of as u64) as u32)
                .collect()
        };
        let categories: Vec<Arc<[u32]>> = vocabularies.iter().map(&mut codes).collect();
        let values = (0..rows * DENSE)
            .map(|_| random.below(2000) as f32 / 1000.0 - 1.0)
            .collect();
        let masked: Arc<[u32]> = (0..rows as u32)
            .filter(|_| random.below(100) < 15)
            .collect();
        let dense = encoder.mfp().dense_input(values, Arc::default());

        let start = Instant::now();
        let input = EncoderInput {
            channels: MfpInput {
                categories: &categories,
                ids: &[],
                dense: &dense,
            },
            positions: &positions,
            offsets: &offsets,
        };
        let mut tape = OwnedTape::default();
        let encoded = encoder.forward(
            &parameters,
            &input,
            Mode::Train { key: step as u64 },
            &mut tape,
        )?;
        let hidden = ops::gather_rows(&encoded.hidden, &masked, &mut tape)?;
        let mut losses = Vec::new();
        for (head, codes) in heads.iter().zip(&categories) {
            let targets: Vec<u32> = masked.iter().map(|&row| codes[row as usize]).collect();
            let logits = head.forward(&parameters, &hidden, &mut tape)?;
            losses.push(ops::cross_entropy(&logits, &targets, &mut tape)?);
        }
        let mut terms: Vec<_> = losses.iter().map(|loss| (loss, 1.0)).collect();
        terms.push((&encoded.balance, 0.01));
        let loss = ops::sum(&device, &terms, &mut tape)?;
        last = read_scalar(&loss);
        let forward = start.elapsed();
        let mut gradients = ops::backward(loss, tape)?;
        let backward = start.elapsed();
        optimizer.step(
            &mut parameters,
            &mut gradients,
            &mut [],
            &LearningRates::all(1e-3),
        )?;
        if step >= WARM_UP {
            times.push((start.elapsed(), forward, backward - forward));
        }
    }
    times.sort();
    let (total, forward, backward) = times[times.len() / 2];
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    println!(
        "{} threads, {} parameters: median step {:.2} ms (forward {:.2}, backward {:.2}, update {:.2}), fastest {:.2}, last loss {last:.4}",
        rayon::current_num_threads(),
        parameters.count(),
        milliseconds(total),
        milliseconds(forward),
        milliseconds(backward),
        milliseconds(total - forward - backward),
        milliseconds(times[0].0),
    );
    Ok(())
}
