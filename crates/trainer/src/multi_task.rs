//! Multi-task fine-tuning's objective: the weighted sum of the tasks' losses, each the mean over the
//! samples that carry the task's label (eq. 3).

use supermoe_channels::{Dataset, SampleId, Split, Task, TaskKind};
use supermoe_nn::layers::Mode;
use supermoe_nn::ops::NO_TARGET;
use supermoe_nn::{Device, Error, Matrix, OwnedTape, Scalar, Tape, ops, read_scalar};

use crate::error::TrainError;
use crate::finetune_params::{Freeze, RegressionLoss};
use crate::labels::Labels;
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::{Network, UsedRows};
use crate::objective::{Evaluation, Objective, StepLoss};
use crate::task_scores::{mean_quality, measure};
use crate::task_towers::TaskTowers;

/// Where Huber's loss turns from squared to linear, in standard deviations of the labels.
const HUBER_DELTA: f32 = 1.0;

/// The objective of fine-tuning.
pub struct MultiTask<'a> {
    dataset: &'a Dataset,
    layout: InputLayout,
    towers: TaskTowers,
    options: MultiTaskOptions<'a>,
    valid: Vec<SampleId>,
}

/// What fine-tuning is told besides the data.
pub struct MultiTaskOptions<'a> {
    /// Factors of the tasks' losses, in the order of the towers.
    pub weights: Vec<f32>,
    /// Of the same tasks.
    pub labels: Labels<'a>,
    pub freeze: Freeze,
    pub regression: RegressionLoss,
}

/// A labelled batch, ready for the model.
pub struct LabelledBatch {
    input: ModelInput,
    /// By task, in the order of sequences; NaN where there is none.
    labels: Vec<Vec<f32>>,
}

impl<'a> MultiTask<'a> {
    pub fn new(
        dataset: &'a Dataset,
        layout: InputLayout,
        towers: TaskTowers,
        options: MultiTaskOptions<'a>,
    ) -> MultiTask<'a> {
        MultiTask {
            valid: dataset.split(Split::Valid),
            dataset,
            layout,
            towers,
            options,
        }
    }

    pub fn tasks(&self) -> &[Task] {
        self.towers.tasks()
    }

    /// See [`Labels::of`].
    pub fn labels(&self, samples: &[SampleId]) -> Vec<Vec<f32>> {
        self.options.labels.of(samples)
    }

    /// See [`TaskTowers::scores`].
    pub fn scores<D: Device>(
        &self,
        network: &Network<D>,
        samples: &[SampleId],
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<Vec<f64>>, TrainError> {
        let (dataset, layout) = (self.dataset, &self.layout);
        self.towers
            .scores(network, dataset, layout, samples, monitor)
    }

    /// The mean over the labelled rows of what a tower gives, [B, outputs].
    fn task_loss<D: Device, T: Tape<f32, D>>(
        &self,
        task: &Task,
        given: &Matrix<D>,
        labels: &[f32],
        tape: &mut T,
    ) -> Result<Scalar<D>, Error> {
        let losses = match (task.kind, self.options.regression) {
            (TaskKind::Multiclass, _) => {
                let target = |y: &f32| if y.is_nan() { NO_TARGET } else { *y as u32 };
                let targets: Vec<u32> = labels.iter().map(target).collect();
                return ops::cross_entropy(given, &targets, tape);
            }
            (TaskKind::Binary, _) => ops::bce_with_logits(given, labels, tape)?,
            (TaskKind::Regression, RegressionLoss::Huber) => {
                ops::huber(given, &standardised(task, labels), HUBER_DELTA, tape)?
            }
            (TaskKind::Regression, RegressionLoss::Squared) => {
                ops::mse(given, &standardised(task, labels), tape)?
            }
        };
        ops::weighted_sum(&losses, &[1.0], tape)
    }
}

/// NaN stays NaN.
fn standardised(task: &Task, labels: &[f32]) -> Vec<f32> {
    let label = |&y: &f32| ((f64::from(y) - task.mean) / task.deviation) as f32;
    labels.iter().map(label).collect()
}

impl<D: Device> Objective<D> for MultiTask<'_> {
    type Batch = LabelledBatch;

    fn collate(
        &self,
        samples: &[SampleId],
        _epoch: u64,
        _step: u64,
    ) -> Result<LabelledBatch, TrainError> {
        Ok(LabelledBatch {
            input: self.layout.input(&self.dataset.pack(samples), &[])?,
            labels: self.labels(samples),
        })
    }

    fn input<'b>(&self, batch: &'b LabelledBatch) -> &'b ModelInput {
        &batch.input
    }

    fn loss(
        &self,
        network: &Network<D>,
        rows: &UsedRows<D>,
        batch: &LabelledBatch,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<StepLoss<D>>, TrainError> {
        let labelled = |labels: &Vec<f32>| labels.iter().any(|y| !y.is_nan());
        if !batch.labels.iter().any(labelled) {
            return Ok(None);
        }
        let encoded = network.train(&batch.input, rows, mode, tape)?;
        let given = self
            .towers
            .forward(network, &batch.input, &encoded, mode, tape)?;
        let (mut terms, mut parts) = (Vec::new(), Vec::new());
        let tasks = self.tasks().iter().zip(&given).zip(&batch.labels);
        for (((task, given), labels), &weight) in tasks.zip(&self.options.weights) {
            if !labelled(labels) {
                continue;
            }
            let loss = self.task_loss(task, given, labels, tape)?;
            parts.push((task.name.clone(), read_scalar(&loss)));
            terms.push((loss, weight));
        }
        terms.extend(encoded.auxiliary.map(|loss| (loss, 1.0)));
        let terms: Vec<_> = terms.iter().map(|(loss, weight)| (loss, *weight)).collect();
        Ok(Some(StepLoss {
            total: ops::sum(network.device(), &terms, tape)?,
            parts,
            expert_rows: encoded.expert_rows,
        }))
    }

    fn evaluate(
        &self,
        network: &Network<D>,
        monitor: &mut dyn Monitor,
    ) -> Result<Evaluation, TrainError> {
        let scores = self.scores(network, &self.valid, monitor)?;
        let labels = self.labels(&self.valid);
        let tasks = self.tasks().iter().zip(&scores).zip(&labels);
        let measured: Vec<_> = tasks
            .map(|((task, scores), labels)| measure(task, scores, labels))
            .collect();
        let mut metrics = Vec::new();
        for (task, measured) in self.tasks().iter().zip(&measured) {
            let named =
                |(what, value): &(String, f64)| (format!("valid/{}/{what}", task.name), *value);
            metrics.extend(measured.metrics.iter().map(named));
        }
        let score = mean_quality(&measured);
        metrics.extend(score.map(|score| ("valid/mean_auc".to_owned(), score)));
        Ok(Evaluation { metrics, score })
    }

    fn encoder_learns(&self, epoch: u64) -> bool {
        !self.options.freeze.frozen(epoch)
    }
}
