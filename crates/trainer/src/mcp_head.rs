//! The head of one predicted channel: classes by full or sampled softmax, or a number.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use supermoe_channels::FIRST_CODE;
use supermoe_nn::layers::Linear;
use supermoe_nn::ops::Candidates;
use supermoe_nn::{Device, Error, Group, Matrix, NoneTape, Scalar, Table, TableRows, Tape};
use supermoe_nn::{matrix, ops, read, vector};

use crate::class_sampler::{ClassSampler, Drawn, Proposal};
use crate::error::TrainError;
use crate::mask_targets::Targets;
use crate::mcp_tally::{Tally, Told};
use crate::network::{Network, NetworkBuilder};
use crate::predicted_channel::{Place, PredictedChannel, Value};
use crate::pretrain_params::SampledSoftmax;

/// Classes whose logits are computed at a time where all are and there are many.
const CLASS_BLOCK: usize = 8192;

/// See the module.
pub struct Head {
    kind: Kind,
}

enum Kind {
    /// A logit for each class.
    Softmax(Linear),
    /// Weights and a bias for each class in a host table, of which a step uses a few.
    Sampled {
        /// Among the tables of heads.
        table: usize,
        sampler: ClassSampler,
        samples: usize,
    },
    /// One number.
    Number(Linear),
}

/// What a head must tell of a batch.
pub struct HeadBatch {
    /// Rows of the hidden states. [P]
    pub rows: Arc<[u32]>,
    pub wanted: Wanted,
    /// What copying the neighbouring step would tell. [P]
    pub copies: Vec<Option<Value>>,
    /// Of a head with sampled softmax.
    sample: Option<Sample>,
}

/// The true values. [P]
pub enum Wanted {
    Classes(Vec<u32>),
    Numbers(Vec<f32>),
}

struct Sample {
    /// The own classes of the rows, then the drawn ones: what is looked up.
    codes: Vec<u32>,
    target_log_counts: Arc<[f32]>,
    sample_log_counts: Arc<[f32]>,
}

impl Head {
    /// Makes its parameters, `heads.<channel>.*`.
    pub fn new<D: Device>(
        channel: &PredictedChannel,
        sampled: &SampledSoftmax,
        d_model: usize,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Head, TrainError> {
        let name = format!("heads.{}", channel.name);
        let outputs = match &channel.place {
            Place::Codes {
                classes, hashed, ..
            } if *classes > sampled.above
                && *classes > 2 * sampled.samples + FIRST_CODE as usize =>
            {
                // As a linear layer begins: uniform in +-1 / sqrt(d).
                let deviation = 1.0 / (3.0 * d_model as f32).sqrt();
                let name = format!("{name}.classes");
                let table = builder.add_head_table(&name, *classes, d_model + 1, deviation)?;
                let sampler = ClassSampler {
                    first: FIRST_CODE,
                    classes: *classes as u32 - FIRST_CODE,
                    proposal: if *hashed {
                        Proposal::Uniform
                    } else {
                        Proposal::LogUniform
                    },
                };
                let kind = Kind::Sampled {
                    table,
                    sampler,
                    samples: sampled.samples,
                };
                return Ok(Head { kind });
            }
            Place::Codes { classes, .. } => *classes,
            Place::Bucket { bounds, .. } => bounds.len() + 1,
            Place::Number { .. } => 1,
        };
        let linear = Linear::new(builder.parameters, &name, Group::Towers, d_model, outputs)?;
        Ok(Head {
            kind: match channel.place {
                Place::Number { .. } => Kind::Number(linear),
                _ => Kind::Softmax(linear),
            },
        })
    }

    /// What it must tell; `random` draws the classes of a sampled softmax.
    pub fn batch(&self, targets: Targets, random: &mut ChaCha8Rng) -> HeadBatch {
        let (mut classes, mut numbers) = (Vec::new(), Vec::new());
        for value in targets.values {
            match value {
                Value::Class(class) => classes.push(class),
                Value::Number(number) => numbers.push(number),
            }
        }
        let sample = match &self.kind {
            Kind::Sampled {
                sampler, samples, ..
            } if !classes.is_empty() => Some(Sample::new(
                &classes,
                sampler,
                sampler.draw(*samples, random),
            )),
            _ => None,
        };
        HeadBatch {
            rows: targets.rows.into(),
            wanted: match self.kind {
                Kind::Number(_) => Wanted::Numbers(numbers),
                Kind::Softmax(_) | Kind::Sampled { .. } => Wanted::Classes(classes),
            },
            copies: targets.copies,
            sample,
        }
    }

    /// The classes that a batch looks up in the head's table, where it has one.
    pub fn codes<'b>(&self, batch: &'b HeadBatch) -> Option<&'b [u32]> {
        matches!(self.kind, Kind::Sampled { .. }).then(|| {
            batch
                .sample
                .as_ref()
                .map_or(&[][..], |sample| &sample.codes)
        })
    }

    /// Mean loss over the rows of the batch, of which there is at least one. `tables` are the rows that
    /// heads use.
    pub fn loss<D: Device, T: Tape<f32, D>>(
        &self,
        network: &Network<D>,
        hidden: &Matrix<D>,
        tables: &[TableRows<D>],
        batch: &HeadBatch,
        tape: &mut T,
    ) -> Result<Scalar<D>, Error> {
        let picked = ops::gather_rows(hidden, &batch.rows, tape)?;
        match (&self.kind, &batch.wanted, &batch.sample) {
            (Kind::Sampled { table, .. }, _, Some(sample)) => {
                let rows = &tables[*table];
                let candidates = sample.candidates(rows, batch.rows.len());
                ops::sampled_softmax(&picked, &rows.leaf, &candidates, tape)
            }
            (Kind::Softmax(linear), Wanted::Classes(classes), _) => {
                let logits = linear.forward(network.parameters(), &picked, tape)?;
                ops::cross_entropy(&logits, classes, tape)
            }
            (Kind::Number(linear), Wanted::Numbers(numbers), _) => {
                let told = linear.forward(network.parameters(), &picked, tape)?;
                let losses = ops::mse(&told, numbers, tape)?;
                ops::weighted_sum(&losses, &[1.0], tape)
            }
            // `batch` of this head made no other pair, and a sample wherever there is a row.
            _ => ops::sum(network.device(), &[], tape),
        }
    }

    /// Adds what it tells of a batch to `tally`; classes are told among all, not among a sample.
    pub fn measure<D: Device>(
        &self,
        network: &Network<D>,
        hidden: &Matrix<D>,
        batch: &HeadBatch,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let picked = ops::gather_rows(hidden, &batch.rows, &mut NoneTape)?;
        let told = match (&self.kind, &batch.wanted) {
            (Kind::Softmax(linear), Wanted::Classes(classes)) => {
                let logits = linear.forward(network.parameters(), &picked, &mut NoneTape)?;
                let mut told = Told::new(classes);
                told.add(0, &read(&logits));
                told
            }
            (Kind::Sampled { table, .. }, Wanted::Classes(classes)) => told_of_table(
                network.head_table(*table),
                network.device(),
                &picked,
                classes,
            )?,
            (Kind::Number(linear), Wanted::Numbers(numbers)) => {
                let told = linear.forward(network.parameters(), &picked, &mut NoneTape)?;
                tally.add_numbers(&read(&told), numbers, &batch.copies);
                return Ok(());
            }
            _ => return Ok(()),
        };
        tally.add_classes(&told, &batch.copies);
        Ok(())
    }
}

impl Sample {
    fn new(classes: &[u32], sampler: &ClassSampler, drawn: Drawn) -> Sample {
        let log_counts = |classes: &[u32]| {
            let counts = classes.iter();
            counts
                .map(|&class| sampler.log_count(class, drawn.draws))
                .collect()
        };
        Sample {
            target_log_counts: log_counts(classes),
            sample_log_counts: log_counts(&drawn.classes),
            codes: [classes, &drawn.classes].concat(),
        }
    }

    fn candidates<D: Device>(&self, rows: &TableRows<D>, targets: usize) -> Candidates {
        let (of_targets, of_samples) = rows.index.split_at(targets);
        Candidates {
            targets: of_targets.into(),
            samples: of_samples.into(),
            target_log_counts: Arc::clone(&self.target_log_counts),
            sample_log_counts: Arc::clone(&self.sample_log_counts),
        }
    }
}

/// The likelihoods of all classes of a table [classes, d + 1], some classes at a time.
fn told_of_table<'c, D: Device>(
    table: &Table,
    device: &D,
    picked: &Matrix<D>,
    classes: &'c [u32],
) -> Result<Told<'c>, Error> {
    let width = table.dim() - 1;
    let mut told = Told::new(classes);
    let mut block = Vec::new();
    for first in (0..table.rows()).step_by(CLASS_BLOCK) {
        let count = CLASS_BLOCK.min(table.rows() - first);
        block.resize(count * (width + 1), 0.0);
        table.read_rows(first..first + count, &mut block)?;
        let (mut weight, mut bias) = (vec![0.0; width * count], Vec::with_capacity(count));
        for (class, row) in block.chunks_exact(width + 1).enumerate() {
            for (i, &value) in row[..width].iter().enumerate() {
                weight[i * count + class] = value;
            }
            bias.push(row[width]);
        }
        let weight = matrix(device, weight, width, count)?;
        let bias = vector(device, bias)?;
        let logits = ops::linear(picked, &weight, Some(&bias), &mut NoneTape)?;
        told.add(first as u32, &read(&logits));
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
