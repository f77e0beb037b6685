//! Masked channel prediction's learning side: a head for every predicted channel (eq. 1 to 3).

use std::sync::Arc;

use supermoe_channels::{Dataset, SampleId};
use supermoe_nn::layers::{Linear, Mode};
use supermoe_nn::{
    Cpu, Device, Error, Group, Matrix, NoneTape, OwnedTape, TableRows, Tape, ops, read, read_scalar,
};

use crate::batch_order::evaluation_order;
use crate::error::TrainError;

use crate::mask_targets::Targets;
use crate::masking::Masking;
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::{Network, NetworkBuilder};
use crate::objective::{Evaluation, Objective, StepLoss};
use crate::random::{Purpose, stream};

/// The most classes of a head: above, full softmax costs more than the rest of the model, and
/// sampled softmax is not built yet.
const MAX_CLASSES: usize = 16_384;
/// Sequences of a batch in evaluation.
const EVALUATION_BATCH: usize = 128;

/// The objective of pre-training.
pub struct MaskedChannelPrediction<'a> {
    dataset: &'a Dataset,
    masking: Masking,
    layout: InputLayout,
    heads: Vec<Linear>,
    seed: u64,
    /// What is measured after an epoch.
    valid: Vec<SampleId>,
}

/// A masked batch, ready for the model.
pub struct McpBatch {
    input: ModelInput,
    targets: Vec<HeadTargets>,
}

/// What one head must tell, and what copying the neighbouring step would have.
struct HeadTargets {
    rows: Arc<[u32]>,
    classes: Vec<u32>,
    copied_right: u64,
}

impl From<Targets> for HeadTargets {
    fn from(targets: Targets) -> HeadTargets {
        HeadTargets {
            rows: targets.rows.into(),
            classes: targets.classes,
            copied_right: targets.copied_right,
        }
    }
}

impl<'a> MaskedChannelPrediction<'a> {
    /// Makes the heads.
    ///
    /// # Errors
    /// A vocabulary too large for full softmax.
    pub fn new(
        dataset: &'a Dataset,
        masking: Masking,
        layout: InputLayout,
        d_model: usize,
        seed: u64,
        valid: Vec<SampleId>,
        builder: &mut NetworkBuilder<'_, Cpu>,
    ) -> Result<MaskedChannelPrediction<'a>, TrainError> {
        let heads = masking
            .channels
            .iter()
            .map(|channel| {
                if channel.classes > MAX_CLASSES {
                    return Err(TrainError::Unsupported(format!(
                        "`predict`: channel `{}` has {} codes; a head of more than {MAX_CLASSES} needs sampled softmax, \
                         which is not built yet: raise the channel's `min_count` in `prepare`, or leave it out",
                        channel.name, channel.classes
                    )));
                }
                let name = format!("heads.{}", channel.name);
                Ok(Linear::new(builder.parameters, &name, Group::Towers, d_model, channel.classes)?)
            })
            .collect::<Result<_, TrainError>>()?;
        Ok(MaskedChannelPrediction {
            dataset,
            masking,
            layout,
            heads,
            seed,
            valid,
        })
    }

    fn masked(
        &self,
        samples: &[SampleId],
        purpose: Purpose,
        epoch: u64,
        step: u64,
    ) -> Result<McpBatch, TrainError> {
        let mut random = stream(self.seed, purpose, epoch, step);
        let masked = self.masking.apply(self.dataset.pack(samples), &mut random);
        Ok(McpBatch {
            input: self.layout.input(&masked.batch, &masked.hidden)?,
            targets: masked.targets.into_iter().map(HeadTargets::from).collect(),
        })
    }

    /// The logits of one head at its rows. [P, classes]
    fn logits<D: Device, T: Tape<f32, D>>(
        &self,
        head: usize,
        network: &Network<D>,
        hidden: &Matrix<D>,
        rows: &Arc<[u32]>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let picked = ops::gather_rows(hidden, rows, tape)?;
        self.heads[head].forward(network.parameters(), &picked, tape)
    }
}

impl Objective<Cpu> for MaskedChannelPrediction<'_> {
    type Batch = McpBatch;

    fn collate(&self, samples: &[SampleId], epoch: u64, step: u64) -> Result<McpBatch, TrainError> {
        self.masked(samples, Purpose::Mask, epoch, step)
    }

    fn input<'b>(&self, batch: &'b McpBatch) -> &'b ModelInput {
        &batch.input
    }

    fn loss(
        &self,
        network: &Network<Cpu>,
        rows: &[TableRows<Cpu>],
        batch: &McpBatch,
        mode: Mode,
        tape: &mut OwnedTape<f32, Cpu>,
    ) -> Result<Option<StepLoss<Cpu>>, TrainError> {
        if batch
            .targets
            .iter()
            .all(|targets| targets.classes.is_empty())
        {
            return Ok(None);
        }
        let encoded = network.train(&batch.input, rows, mode, tape)?;
        let mut losses = Vec::new();
        let mut parts = Vec::new();
        for (head, targets) in batch
            .targets
            .iter()
            .enumerate()
            .filter(|(_, targets)| !targets.classes.is_empty())
        {
            let logits = self.logits(head, network, &encoded.hidden, &targets.rows, tape)?;
            let loss = ops::cross_entropy(&logits, &targets.classes, tape)?;
            parts.push((
                format!("mcp/{}", self.masking.channels[head].name),
                read_scalar(&loss),
            ));
            losses.push(loss);
        }
        losses.extend(encoded.auxiliary);
        let terms: Vec<_> = losses.iter().map(|loss| (loss, 1.0)).collect();
        let total = ops::sum(network.device(), &terms, tape)?;
        Ok(Some(StepLoss {
            total,
            parts,
            expert_rows: encoded.expert_rows,
        }))
    }

    fn evaluate(
        &self,
        network: &Network<Cpu>,
        monitor: &mut dyn Monitor,
    ) -> Result<Evaluation, TrainError> {
        let lengths: Vec<u32> = self
            .valid
            .iter()
            .map(|&sample| self.dataset.tokens(sample) as u32)
            .collect();
        let mut tallies = vec![Tally::default(); self.heads.len()];
        for (number, batch) in evaluation_order(&lengths, EVALUATION_BATCH)
            .into_iter()
            .enumerate()
        {
            if monitor.stop_requested() {
                return Err(TrainError::Stopped { step: 0 });
            }
            let samples: Vec<SampleId> =
                batch.into_iter().map(|sample| self.valid[sample]).collect();
            // The same masks in every epoch, so that epochs can be compared.
            let batch = self.masked(&samples, Purpose::ValidationMask, 0, number as u64)?;
            let encoded = network.infer(&batch.input)?;
            for (head, targets) in batch
                .targets
                .iter()
                .enumerate()
                .filter(|(_, targets)| !targets.classes.is_empty())
            {
                let logits =
                    self.logits(head, network, &encoded.hidden, &targets.rows, &mut NoneTape)?;
                let loss = read_scalar(&ops::cross_entropy(
                    &logits,
                    &targets.classes,
                    &mut NoneTape,
                )?);
                tallies[head].add(&read(&logits), loss, targets);
            }
        }
        Ok(self.evaluation(&tallies))
    }

    fn encoder_rate_factor(&self, _epoch: u64) -> Option<f64> {
        Some(1.0)
    }
}

impl MaskedChannelPrediction<'_> {
    fn evaluation(&self, tallies: &[Tally]) -> Evaluation {
        let mut evaluation = Evaluation::default();
        let mut total_loss = 0.0;
        for (channel, tally) in self
            .masking
            .channels
            .iter()
            .zip(tallies)
            .filter(|(_, tally)| tally.rows > 0)
        {
            let rows = tally.rows as f64;
            let mut tell = |what: &str, value: f64| {
                evaluation
                    .metrics
                    .push((format!("valid/mcp/{}/{what}", channel.name), value));
            };
            tell("loss", tally.loss / rows);
            tell("accuracy", tally.right as f64 / rows);
            tell("copy_accuracy", tally.copied_right as f64 / rows);
            total_loss += tally.loss / rows;
        }
        if !evaluation.metrics.is_empty() {
            evaluation
                .metrics
                .push(("valid/mcp/loss".to_owned(), total_loss));
            evaluation.score = Some(-total_loss);
        }
        evaluation
    }
}

/// Sums over the masked rows of one head.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    rows: u64,
    loss: f64,
    right: u64,
    copied_right: u64,
}

impl Tally {
    /// `logits` are row-major [rows, classes]; `loss` is the mean over the rows.
    fn add(&mut self, logits: &[f32], loss: f32, targets: &HeadTargets) {
        let rows = targets.classes.len();
        self.rows += rows as u64;
        self.loss += f64::from(loss) * rows as f64;
        self.copied_right += targets.copied_right;
        let classes = logits.len() / rows;
        for (row, &class) in logits.chunks_exact(classes).zip(&targets.classes) {
            self.right += u64::from(likeliest(row) == class as usize);
        }
    }
}

/// The first of the largest values.
fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = class;
        }
    }
    best
}
