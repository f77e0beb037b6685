//! A small model with every kind of channel, and its training step, for the tests of this folder.

use std::sync::Arc;

use supermoe_nn::layers::{
    Encoder, EncoderConfig, EncoderInput, Linear, MfpConfig, MfpInput, Mode, TableSize,
};
use supermoe_nn::ops::MoeOptions;
use supermoe_nn::optim::{AdamW, AdamWConfig, LearningRates, Step};
use supermoe_nn::tables::{RowOptimizer, TableSettings};
use supermoe_nn::{
    Cpu, Error, Group, NoneTape, Offsets, OwnedTape, Parameters, Table, ops, read, read_scalar,
};

pub struct Model {
    pub parameters: Parameters<Cpu>,
    pub table: Table,
    pub optimizer: AdamW,
    encoder: Encoder,
    tower: Linear,
}

pub struct Batch {
    offsets: Offsets,
    category: Vec<Arc<[u32]>>,
    items: Vec<u32>,
    dense: Arc<[f32]>,
    positions: Vec<u32>,
    labels: Vec<f32>,
}

impl Batch {
    /// Sequences of lengths 1, 2, 130 and others; the label says whether item 3 is in the sequence.
    pub fn new(seed: u32) -> Self {
        let lengths: Vec<usize> = [1, 2, 130]
            .into_iter()
            .chain((0..21).map(|i| 3 + (i * 7) % 40))
            .collect();
        let offsets = Offsets::from_lengths(&lengths).unwrap();
        let rows = offsets.rows() as u32;
        let hash = |i: u32| {
            i.wrapping_mul(2_654_435_761)
                .wrapping_add(seed.wrapping_mul(40_503))
                .rotate_left(13)
                >> 8
        };
        let items: Vec<u32> = (0..rows)
            .map(|i| {
                if hash(i) % 16 == 0 {
                    3
                } else {
                    4 + hash(i) % 90
                }
            })
            .collect();
        let labels = offsets
            .ranges()
            .map(|rows| if items[rows].contains(&3) { 1.0 } else { 0.0 })
            .collect();
        Self {
            category: vec![(0..rows).map(|i| hash(i + 7) % 5).collect()],
            dense: (0..2 * rows)
                .map(|i| (hash(i) % 1000) as f32 / 500.0 - 1.0)
                .collect(),
            positions: offsets
                .ranges()
                .flat_map(|rows| (0..rows.len() as u32).rev())
                .collect(),
            items,
            labels,
            offsets,
        }
    }
}

impl Model {
    pub fn new(seed: u64) -> Self {
        Self::with_table(RowOptimizer::LazyAdam.into(), seed)
    }

    pub fn with_table(settings: TableSettings, seed: u64) -> Self {
        let config = EncoderConfig {
            mfp: MfpConfig {
                categories: vec![TableSize {
                    name: "weekday".into(),
                    rows: 5,
                    dim: 4,
                }],
                ids: vec![8],
                dense: 2,
                maskable: vec![0],
                deviation: 1.0,
                width: 32,
            },
            width: 32,
            heads: 4,
            layers: 2,
            inner: 48,
            experts: 4,
            attention_experts: 2,
            ffns: 2,
            jitter: 0.0,
            moe: MoeOptions::default(),
            dropout: 0.1,
            positions: 64,
        };
        let mut parameters = Parameters::new(Cpu::default(), seed);
        let encoder = Encoder::new(&mut parameters, &config).unwrap();
        let tower = Linear::new(&mut parameters, "tower", Group::Towers, 32, 1).unwrap();
        let table = Table::new("item", 100, 8, 1.0, settings, seed).unwrap();
        Self {
            parameters,
            table,
            optimizer: AdamW::new(AdamWConfig::default()),
            encoder,
            tower,
        }
    }

    /// One step; gives back the loss.
    pub fn step(
        &mut self,
        batch: &Batch,
        key: u64,
        rates: &LearningRates,
    ) -> Result<(f32, Step), Error> {
        let rows = self.table.gather(self.parameters.device(), &batch.items)?;
        self.table.release()?;
        let dense = self
            .encoder
            .mfp()
            .dense_input(batch.dense.clone(), Arc::default());
        let input = EncoderInput {
            channels: MfpInput {
                categories: &batch.category,
                ids: &[&rows],
                dense: &dense,
            },
            positions: &batch.positions,
            offsets: &batch.offsets,
        };
        let mut tape = OwnedTape::default();
        let encoded =
            self.encoder
                .forward(&self.parameters, &input, Mode::Train { key }, &mut tape)?;
        let pooled = ops::segment_max(&encoded.hidden, &batch.offsets, &mut tape)?;
        let scores = self.tower.forward(&self.parameters, &pooled, &mut tape)?;
        let losses = ops::bce_with_logits(&scores, &batch.labels, &mut tape)?;
        let task = ops::weighted_sum(&losses, &[1.0], &mut tape)?;
        let terms = [(&task, 1.0), (&encoded.balance, 0.01), (&encoded.z, 0.001)];
        let loss = ops::sum(self.parameters.device(), &terms, &mut tape)?;
        let value = read_scalar(&loss);
        let mut gradients = ops::backward(loss, tape)?;
        let mut tables = [(&mut self.table, &rows)];
        let step = self
            .optimizer
            .step(&mut self.parameters, &mut gradients, &mut tables, rates)?;
        Ok((value, step))
    }

    /// Scores without a tape.
    pub fn scores(&self, batch: &Batch) -> Vec<f32> {
        let rows = self
            .table
            .gather(self.parameters.device(), &batch.items)
            .unwrap();
        let dense = self
            .encoder
            .mfp()
            .dense_input(batch.dense.clone(), Arc::default());
        let input = EncoderInput {
            channels: MfpInput {
                categories: &batch.category,
                ids: &[&rows],
                dense: &dense,
            },
            positions: &batch.positions,
            offsets: &batch.offsets,
        };
        let encoded = self
            .encoder
            .forward(&self.parameters, &input, Mode::Evaluate, &mut NoneTape)
            .unwrap();
        let pooled = ops::segment_max(&encoded.hidden, &batch.offsets, &mut NoneTape).unwrap();
        read(
            &self
                .tower
                .forward(&self.parameters, &pooled, &mut NoneTape)
                .unwrap(),
        )
    }

    /// The bits of all parameters and of the table.
    pub fn bits(&self) -> Vec<u32> {
        let parameters = self.parameters.snapshot().into_iter().flatten();
        parameters
            .chain(self.table.values().unwrap())
            .map(f32::to_bits)
            .collect()
    }
}
