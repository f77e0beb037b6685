//! Multi-task fine-tuning's objective: the weighted sum of the tasks' losses, each the mean over the
//! samples that carry the task's label (eq. 3).

use rand_chacha::ChaCha8Rng;
use supermoe_channels::{Dataset, SampleId, Task, TaskKind};
use supermoe_nn::layers::Mode;
use supermoe_nn::ops::NO_TARGET;
use supermoe_nn::{Device, Error, Matrix, OwnedTape, Scalar, Tape, ops};

use crate::error::TrainError;
use crate::finetune_params::{Freeze, LossMean, RegressionLoss};
use crate::labels::Labels;
use crate::model::AuxiliaryLoss;
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::{Network, UsedRows};
use crate::objective::{Evaluation, Objective, Pass, StepLoss};
use crate::random::shuffle;
use crate::task_scores::{mean_quality, measure};
use crate::task_towers::TaskTowers;
use crate::weighting::{Likelihood, ValidationHalves, WeightedTask, ranking_loss};

/// Where Huber's loss turns from squared to linear, in standard deviations of the labels.
const HUBER_DELTA: f32 = 1.0;

/// The objective of fine-tuning.
pub struct MultiTask<'a> {
    dataset: &'a Dataset,
    layout: InputLayout,
    towers: TaskTowers,
    options: MultiTaskOptions<'a>,
    names: Vec<String>,
}

/// What fine-tuning is told besides the data.
pub struct MultiTaskOptions<'a> {
    /// Of the tasks of the towers.
    pub labels: Labels<'a>,
    pub freeze: Freeze,
    pub regression: RegressionLoss,
    pub loss_mean: LossMean,
    /// Samples that weights learn on, and those that are measured after an epoch.
    pub validation: ValidationHalves,
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
            names: towers
                .tasks()
                .iter()
                .map(|task| task.name.clone())
                .collect(),
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

/// The tasks, as a weighting sees them.
pub fn weighted_tasks(tasks: &[Task], regression: RegressionLoss) -> Vec<WeightedTask> {
    let task = |task: &Task| WeightedTask {
        name: task.name.clone(),
        likelihood: match (task.kind, regression) {
            (TaskKind::Regression, RegressionLoss::Squared) => Likelihood::Numbers,
            _ => Likelihood::Classes,
        },
    };
    tasks.iter().map(task).collect()
}

/// The share of samples that carry a label.
fn labelled_share(labels: &[f32]) -> f32 {
    let labelled = labels.iter().filter(|label| !label.is_nan()).count();
    labelled as f32 / labels.len() as f32
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

    fn task_names(&self) -> &[String] {
        &self.names
    }

    fn present(&self, batch: &LabelledBatch) -> Vec<usize> {
        let labelled = |labels: &Vec<f32>| labels.iter().any(|y| !y.is_nan());
        let tasks = batch.labels.iter().enumerate();
        let present = tasks.filter(|(_, labels)| labelled(labels));
        present.map(|(task, _)| task).collect()
    }

    fn loss(
        &self,
        pass: &Pass<'_, D, LabelledBatch>,
        tasks: &[usize],
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<StepLoss<D>>, TrainError> {
        if tasks.is_empty() {
            return Ok(None);
        }
        let Pass {
            network,
            rows,
            batch,
            mode,
        } = *pass;
        let encoded = network.train(&batch.input, rows, mode, tape)?;
        let given = self
            .towers
            .forward(network, &batch.input, &encoded, mode, tape)?;
        let mut losses = Vec::with_capacity(tasks.len());
        for &task in tasks {
            let (given, labels) = (&given[task], &batch.labels[task]);
            let mut loss = self.task_loss(&self.tasks()[task], given, labels, tape)?;
            if self.options.loss_mean == LossMean::Batch {
                let share = labelled_share(labels);
                loss = ops::sum(network.device(), &[(&loss, share)], tape)?;
            }
            losses.push((task, loss));
        }
        let others = encoded.auxiliary.into_iter().map(AuxiliaryLoss::other);
        Ok(Some(StepLoss {
            tasks: losses,
            others: others.collect(),
            expert_rows: encoded.expert_rows,
        }))
    }

    fn evaluate(
        &self,
        network: &Network<D>,
        monitor: &mut dyn Monitor,
    ) -> Result<Evaluation, TrainError> {
        let valid = &self.options.validation.choice;
        let scores = self.scores(network, valid, monitor)?;
        let labels = self.labels(valid);
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

    fn ranking_batch(
        &self,
        size: usize,
        random: &mut ChaCha8Rng,
    ) -> Result<LabelledBatch, TrainError> {
        let mut samples = self.options.validation.learning.clone();
        shuffle(&mut samples, random);
        samples.truncate(size);
        Objective::<D>::collate(self, &samples, 0, 0)
    }

    fn ranking_loss(
        &self,
        network: &Network<D>,
        rows: &UsedRows<D>,
        batch: &LabelledBatch,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<Scalar<D>>, TrainError> {
        let (input, mode) = (&batch.input, Mode::Evaluate);
        let encoded = network.train(input, rows, mode, tape)?;
        let given = self.towers.forward(network, input, &encoded, mode, tape)?;
        let device = network.device();
        Ok(ranking_loss(
            device,
            self.tasks(),
            &given,
            &batch.labels,
            tape,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_over_the_batch_is_that_over_the_labelled_times_their_share() {
        assert_eq!(labelled_share(&[1.0, f32::NAN, 0.0, f32::NAN]), 0.5);
        assert_eq!(labelled_share(&[1.0, 0.0]), 1.0);
    }
}
