//! Multi-task fine-tuning's objective: the steps of a sequence pooled by their maximum, a linear
//! tower a task (eq. 8), and the weighted sum of the tasks' losses.

use supermoe_channels::{Dataset, SampleId, Split};
use supermoe_nn::layers::{Linear, Mode};
use supermoe_nn::{
    Cpu, Device, Error, Group, Matrix, NoneTape, OwnedTape, TableRows, Tape, ops, read,
};

use crate::batch_order::evaluation_order;
use crate::error::TrainError;
use crate::finetune_params::Freeze;

use crate::model::Encoded;
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::{Network, NetworkBuilder};
use crate::objective::{Evaluation, Objective, StepLoss};
use crate::random::{Purpose, mix_key, shuffle, stream};
use crate::task_scores::{mean_auc, task_scores};

/// Sequences of a batch in evaluation.
const EVALUATION_BATCH: usize = 128;
/// The place of the dropout before the towers among the places that draw in a step.
const TOWER_DROPOUT: u64 = u64::MAX;

/// Which task learns how.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPlan {
    /// Index in the schema.
    pub task: usize,
    pub name: String,
    /// Factor of its loss.
    pub weight: f32,
}

/// The objective of fine-tuning.
pub struct Towers<'a> {
    dataset: &'a Dataset,
    layout: InputLayout,
    towers: Linear,
    tasks: Vec<TaskPlan>,
    labels: Labels,
    freeze: Freeze,
    encoder_rate_factor: f64,
    dropout: f32,
    valid: Vec<SampleId>,
}

/// A labelled batch, ready for the model.
pub struct LabelledBatch {
    input: ModelInput,
    /// Row-major [B, tasks]; NaN where there is none.
    labels: Vec<f32>,
}

/// Whose labels a sample has: its own, or, as a sanity check, those of another of its split.
pub struct Labels(Option<Vec<SampleId>>);

impl Labels {
    /// Every sample has its own.
    pub fn own() -> Labels {
        Labels(None)
    }

    /// The labels of samples are exchanged within each split.
    pub fn shuffled(dataset: &Dataset, seed: u64) -> Labels {
        let mut source: Vec<SampleId> = (0..dataset.len() as u32).map(SampleId).collect();
        for (number, split) in Split::ALL.into_iter().enumerate() {
            let samples = dataset.split(split);
            let mut mixed = samples.clone();
            shuffle(
                &mut mixed,
                &mut stream(seed, Purpose::ShuffleLabels, number as u64, 0),
            );
            for (sample, from) in samples.into_iter().zip(mixed) {
                source[sample.index()] = from;
            }
        }
        Labels(Some(source))
    }

    fn of(&self, sample: SampleId) -> SampleId {
        self.0
            .as_ref()
            .map_or(sample, |source| source[sample.index()])
    }
}

/// What fine-tuning is told besides the data.
pub struct TowerOptions {
    pub tasks: Vec<TaskPlan>,
    pub labels: Labels,
    pub freeze: Freeze,
    pub encoder_rate_factor: f64,
    pub dropout: f32,
    pub d_model: usize,
}

impl<'a> Towers<'a> {
    /// Makes the towers.
    pub fn new(
        dataset: &'a Dataset,
        layout: InputLayout,
        options: TowerOptions,
        builder: &mut NetworkBuilder<'_, Cpu>,
    ) -> Result<Towers<'a>, TrainError> {
        let towers = Linear::new(
            builder.parameters,
            "towers",
            Group::Towers,
            options.d_model,
            options.tasks.len(),
        )?;
        Ok(Towers {
            valid: dataset.split(Split::Valid),
            dataset,
            layout,
            towers,
            tasks: options.tasks,
            labels: options.labels,
            freeze: options.freeze,
            encoder_rate_factor: options.encoder_rate_factor,
            dropout: options.dropout,
        })
    }

    /// Indices in the schema of the trained tasks.
    pub fn task_indices(&self) -> Vec<usize> {
        self.tasks.iter().map(|plan| plan.task).collect()
    }

    /// Row-major [samples, tasks].
    pub fn labels(&self, samples: &[SampleId]) -> Vec<f32> {
        let label = |sample: SampleId, plan: &TaskPlan| {
            self.dataset.label(self.labels.of(sample), plan.task)
        };
        samples
            .iter()
            .flat_map(|&sample| self.tasks.iter().map(move |plan| label(sample, plan)))
            .collect()
    }

    /// Probabilities, row-major [samples, tasks].
    ///
    /// # Errors
    /// A score that is no number, named by its task; a stop that was asked for.
    pub fn scores(
        &self,
        network: &Network<Cpu>,
        samples: &[SampleId],
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<f64>, TrainError> {
        let lengths: Vec<u32> = samples
            .iter()
            .map(|&sample| self.dataset.tokens(sample) as u32)
            .collect();
        let mut scores = vec![0.0; samples.len() * self.tasks.len()];
        for rows in evaluation_order(&lengths, EVALUATION_BATCH) {
            if monitor.stop_requested() {
                return Err(TrainError::Stopped { step: 0 });
            }
            let ids: Vec<SampleId> = rows.iter().map(|&row| samples[row]).collect();
            let input = self.layout.input(&self.dataset.pack(&ids), &[])?;
            let encoded = network.infer(&input)?;
            let logits =
                read(&self.logits(network, &input, &encoded, Mode::Evaluate, &mut NoneTape)?);
            for (&row, logits) in rows.iter().zip(logits.chunks_exact(self.tasks.len())) {
                for (column, &logit) in logits.iter().enumerate() {
                    if logit.is_nan() {
                        let name = &self.tasks[column].name;
                        return Err(TrainError::Unsupported(format!(
                            "the scores of task `{name}` are not numbers"
                        )));
                    }
                    scores[row * self.tasks.len() + column] =
                        1.0 / (1.0 + (-f64::from(logit)).exp());
                }
            }
        }
        Ok(scores)
    }

    /// [B, tasks].
    fn logits<D: Device, T: Tape<f32, D>>(
        &self,
        network: &Network<D>,
        input: &ModelInput,
        encoded: &Encoded<D>,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let pooled = ops::segment_max(&encoded.hidden, &input.offsets, tape)?;
        let pooled = match mode {
            Mode::Train { key } => {
                ops::dropout(&pooled, self.dropout, mix_key(key, TOWER_DROPOUT), tape)?
            }
            Mode::Evaluate => pooled,
        };
        self.towers.forward(network.parameters(), &pooled, tape)
    }
}

impl Objective<Cpu> for Towers<'_> {
    type Batch = LabelledBatch;

    fn collate(
        &self,
        samples: &[SampleId],
        _epoch: u64,
        _step: u64,
    ) -> Result<LabelledBatch, TrainError> {
        let input = self.layout.input(&self.dataset.pack(samples), &[])?;
        Ok(LabelledBatch {
            input,
            labels: self.labels(samples),
        })
    }

    fn input<'b>(&self, batch: &'b LabelledBatch) -> &'b ModelInput {
        &batch.input
    }

    fn loss(
        &self,
        network: &Network<Cpu>,
        rows: &[TableRows<Cpu>],
        batch: &LabelledBatch,
        mode: Mode,
        tape: &mut OwnedTape<f32, Cpu>,
    ) -> Result<Option<StepLoss<Cpu>>, TrainError> {
        let labelled = |column: usize| {
            batch
                .labels
                .iter()
                .skip(column)
                .step_by(self.tasks.len())
                .any(|y| !y.is_nan())
        };
        if !(0..self.tasks.len()).any(labelled) {
            return Ok(None);
        }
        let encoded = network.train(&batch.input, rows, mode, tape)?;
        let logits = self.logits(network, &batch.input, &encoded, mode, tape)?;
        let losses = ops::bce_with_logits(&logits, &batch.labels, tape)?;
        let weights: Vec<f32> = self.tasks.iter().map(|plan| plan.weight).collect();
        let parts = self.tasks.iter().zip(read(&losses)).enumerate();
        let parts = parts.filter(|(column, _)| labelled(*column));
        let parts = parts
            .map(|(_, (plan, loss))| (plan.name.clone(), loss))
            .collect();
        let mut terms = vec![ops::weighted_sum(&losses, &weights, tape)?];
        terms.extend(encoded.auxiliary);
        let terms: Vec<_> = terms.iter().map(|term| (term, 1.0)).collect();
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
        let scores = self.scores(network, &self.valid, monitor)?;
        let measured = task_scores(&scores, &self.labels(&self.valid), self.tasks.len());
        let mut evaluation = Evaluation {
            metrics: Vec::new(),
            score: mean_auc(&measured),
        };
        for (plan, measured) in self.tasks.iter().zip(&measured) {
            let mut tell = |what: &str, value: Option<f64>| {
                evaluation
                    .metrics
                    .extend(value.map(|value| (format!("valid/{}/{what}", plan.name), value)));
            };
            tell("auc", measured.auc);
            tell("logloss", measured.log_loss);
        }
        evaluation.metrics.extend(
            evaluation
                .score
                .map(|score| ("valid/mean_auc".to_owned(), score)),
        );
        Ok(evaluation)
    }

    fn encoder_rate_factor(&self, epoch: u64) -> Option<f64> {
        (!self.freeze.frozen(epoch)).then_some(self.encoder_rate_factor)
    }
}
