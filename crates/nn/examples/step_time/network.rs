//! The encoder with heads of masked channel prediction, its optimizer and its tables.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supermoe_nn::layers::{
    Encoder, EncoderConfig, EncoderInput, EncoderOutput, Linear, MfpConfig, MfpInput, Mode,
    TableSize,
};
use supermoe_nn::ops::{self, DenseInput, MoeOptions};
use supermoe_nn::optim::{AdamW, AdamWConfig, LearningRates};
use supermoe_nn::tables::{RowOptimizer, RowUpdates, TablePlace, TableSettings, UpdateWorker};
use supermoe_nn::{
    Cpu, Error, Group, NoneTape, OwnedTape, Parameters, Table, TableRows, Tape, read, read_scalar,
};

use crate::batch::Batch;
use crate::options::Options;

const LEARNING_RATE: f32 = 1e-3;
const BALANCE_WEIGHT: f32 = 0.01;

pub struct Network {
    parameters: Parameters<Cpu>,
    encoder: Encoder,
    heads: Vec<Linear>,
    tables: Vec<Table>,
    optimizer: AdamW,
}

/// What a step gave, and took.
pub struct StepCost {
    /// None where nothing is learned.
    pub loss: Option<f32>,
    /// Forward, backward, update.
    pub times: [Duration; 3],
}

impl Network {
    pub fn new(options: &Options) -> Result<Self, Error> {
        let mut parameters = Parameters::new(Cpu::default(), options.seed);
        let encoder = Encoder::new(&mut parameters, &encoder_config(options))?;
        let heads = (0..options.mcp)
            .map(|i| {
                let name = format!("head.{i}");
                let (width, classes) = (options.d_model, options.cat.rows);
                Linear::new(&mut parameters, &name, Group::Towers, width, classes)
            })
            .collect::<Result<_, _>>()?;
        let host = options.host_tables();
        let settings = table_settings(options)?;
        let tables = (0..host.count).map(|i| {
            let (name, settings) = (format!("id{i}"), settings.clone());
            Table::new(name, host.rows, options.emb, 1.0, settings, options.seed)
        });
        Ok(Self {
            encoder,
            heads,
            tables: tables.collect::<Result<_, _>>()?,
            // As the peer's Adam: no decay, no clipping.
            optimizer: AdamW::new(AdamWConfig {
                weight_decay: 0.0,
                clip_norm: None,
                ..AdamWConfig::default()
            }),
            parameters,
        })
    }

    /// Number of learned values.
    pub fn values(&self) -> usize {
        let tables = self.tables.iter().map(|table| table.rows() * table.dim());
        self.parameters.count() + tables.sum::<usize>()
    }

    /// The dense part of a batch, nothing hidden.
    pub fn dense_input(&self, values: Arc<[f32]>) -> DenseInput {
        self.encoder.mfp().dense_input(values, Arc::default())
    }

    /// One step: forward, backward, update.
    pub fn train(&mut self, batch: &Batch, key: u64) -> Result<StepCost, Error> {
        let started = Instant::now();
        let rows = self.gather(batch)?;
        self.tables.iter_mut().try_for_each(Table::release)?;
        let mut tape = OwnedTape::default();
        let encoded = self.encode(batch, &rows, Mode::Train { key }, &mut tape)?;
        let hidden = ops::gather_rows(&encoded.hidden, &batch.masked, &mut tape)?;
        let mut losses = Vec::new();
        for (head, targets) in self.heads.iter().zip(&batch.targets) {
            let logits = head.forward(&self.parameters, &hidden, &mut tape)?;
            losses.push(ops::cross_entropy(&logits, targets, &mut tape)?);
        }
        let mut terms: Vec<_> = losses.iter().map(|loss| (loss, 1.0)).collect();
        terms.push((&encoded.balance, BALANCE_WEIGHT));
        let total = ops::sum(self.parameters.device(), &terms, &mut tape)?;
        let loss = Some(read_scalar(&total));
        let forward = started.elapsed();
        let mut gradients = ops::backward(total, tape)?;
        let backward = started.elapsed();
        let mut tables: Vec<_> = self.tables.iter_mut().zip(&rows).collect();
        self.optimizer.step(
            &mut self.parameters,
            &mut gradients,
            &mut tables,
            &LearningRates::all(LEARNING_RATE),
        )?;
        let times = [forward, backward - forward, started.elapsed() - backward];
        Ok(StepCost { loss, times })
    }

    /// The representation of each sequence: the maximum over its steps, in host memory.
    pub fn represent(&self, batch: &Batch) -> Result<StepCost, Error> {
        let started = Instant::now();
        let rows = self.gather(batch)?;
        let encoded = self.encode(batch, &rows, Mode::Evaluate, &mut NoneTape)?;
        let representation = ops::segment_max(&encoded.hidden, &batch.offsets, &mut NoneTape)?;
        std::hint::black_box(read(&representation));
        let times = [started.elapsed(), Duration::ZERO, Duration::ZERO];
        Ok(StepCost { loss: None, times })
    }

    fn gather(&self, batch: &Batch) -> Result<Vec<TableRows<Cpu>>, Error> {
        let device = self.parameters.device();
        let tables = self.tables.iter().zip(&batch.ids);
        tables
            .map(|(table, codes)| table.gather(device, codes))
            .collect()
    }

    fn encode<T: Tape<f32, Cpu>>(
        &self,
        batch: &Batch,
        rows: &[TableRows<Cpu>],
        mode: Mode,
        tape: &mut T,
    ) -> Result<EncoderOutput<Cpu>, Error> {
        let ids: Vec<_> = rows.iter().collect();
        let input = EncoderInput {
            channels: MfpInput {
                categories: &batch.categories,
                ids: &ids,
                dense: &batch.dense,
            },
            positions: &batch.positions,
            offsets: &batch.offsets,
        };
        self.encoder.forward(&self.parameters, &input, mode, tape)
    }
}

fn table_settings(options: &Options) -> Result<TableSettings, Error> {
    let updates = match NonZeroUsize::new(options.staleness) {
        None => RowUpdates::Synchronous,
        Some(delay) => RowUpdates::Delayed {
            delay,
            worker: UpdateWorker::new()?,
        },
    };
    let place = match &options.table_folder {
        None => TablePlace::Memory,
        Some(folder) => TablePlace::File(folder.clone()),
    };
    Ok(TableSettings {
        shards: options.shards,
        place,
        updates,
        optimizer: RowOptimizer::LazyAdam,
    })
}

fn encoder_config(options: &Options) -> EncoderConfig {
    let table = |(i, rows)| TableSize {
        name: format!("channel{i}"),
        rows,
        dim: options.emb,
    };
    let categories = options.parameter_tables().into_iter().enumerate();
    EncoderConfig {
        mfp: MfpConfig {
            categories: categories.map(table).collect(),
            ids: vec![options.emb; options.host_tables().count],
            dense: options.dense,
            maskable: vec![],
            deviation: 1.0,
            width: options.d_model,
        },
        width: options.d_model,
        heads: options.heads,
        layers: options.layers,
        inner: options.d_ff,
        experts: options.experts,
        attention_experts: options.attention_experts,
        ffns: 2,
        jitter: 0.0,
        moe: MoeOptions::default(),
        dropout: options.dropout,
        positions: options.seq,
    }
}
