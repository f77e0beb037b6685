//! One batch forward and backward, for the losses of all its tasks or of some.

use supermoe_nn::layers::Mode;
use supermoe_nn::optim::{HostGradients, LearningRates};
use supermoe_nn::{Device, Gradients, Group, OwnedTape, Scalar, ops, read_scalar};

use crate::error::TrainError;
use crate::model::ExpertRows;
use crate::network::{Network, UsedRows};
use crate::objective::{Objective, Pass, StepLoss};
use crate::random::{Purpose, stream_seed};

/// What tasks share, and their gradients can disagree on: all but towers and heads.
pub const SHARED: [Group; 2] = [Group::Encoder, Group::Tables];

/// A training step under way.
pub struct TrainingStep<'a, D: Device, O: Objective<D>> {
    pub network: &'a mut Network<D>,
    pub objective: &'a O,
    pub batch: &'a O::Batch,
    pub rows: &'a UsedRows<D>,
    pub rates: LearningRates,
    pub at: StepPlace,
}

/// Which step it is; its random numbers come from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPlace {
    pub seed: u64,
    /// Counted from 0, as the step.
    pub epoch: u64,
    pub step: u64,
}

/// The gradients of a loss, and its parts.
pub struct Descent {
    pub gradients: HostGradients,
    /// What is descended.
    pub loss: f32,
    /// By task, of those that had samples.
    pub task_losses: Vec<(usize, f32)>,
    /// Losses that no weighting touches, by name.
    pub other_losses: Vec<(String, f32)>,
    /// Of each layer with experts.
    pub expert_rows: Vec<ExpertRows>,
}

/// A term that a weighting adds to the loss.
pub struct Term<D: Device> {
    /// On the tape; its value is of no meaning, its gradient is.
    pub carrier: Scalar<D>,
    pub value: f32,
}

/// How the losses of a batch become one.
pub struct Weighing<'w> {
    /// The factor of a task's loss.
    pub factor: &'w dyn Fn(usize) -> f32,
    /// The factor of all other losses.
    pub others: f32,
}

impl<D: Device, O: Objective<D>> TrainingStep<'_, D, O> {
    /// Whether anything that tasks share learns in this step.
    pub fn shared_learns(&self) -> bool {
        SHARED.iter().any(|group| self.rates.of(*group).is_some())
    }

    /// The same for any number of passes over the batch, so that they have the same dropout.
    pub fn pass(&self) -> Pass<'_, D, O::Batch> {
        let StepPlace { seed, epoch, step } = self.at;
        Pass {
            network: self.network,
            rows: self.rows,
            batch: self.batch,
            mode: Mode::Train {
                key: stream_seed(seed, Purpose::Dropout, epoch, step),
            },
        }
    }

    /// A pass forward and backward for the losses of `tasks`, which have samples in the batch. `None`
    /// where the batch has nothing to learn from.
    pub fn descend(
        &self,
        tasks: &[usize],
        weighing: &Weighing<'_>,
        term: impl FnOnce(
            &[(usize, f32)],
            &mut OwnedTape<f32, D>,
        ) -> Result<Option<Term<D>>, TrainError>,
    ) -> Result<Option<Descent>, TrainError> {
        let mut tape = OwnedTape::default();
        let Some(loss) = self.objective.loss(&self.pass(), tasks, &mut tape)? else {
            return Ok(None);
        };
        let (task_losses, other_losses) = (loss.task_values(), loss.other_values());
        let mut total = self.total(&loss, weighing, &mut tape)?;
        let mut value = read_scalar(&total);
        self.check_finite(value, &task_losses, &other_losses)?;
        if let Some(term) = term(&task_losses, &mut tape)? {
            let terms = [(&total, 1.0), (&term.carrier, 1.0)];
            total = ops::sum(self.network.device(), &terms, &mut tape)?;
            value += term.value;
        }
        let gradients = self.take(ops::backward(total, tape)?, &self.rates)?;
        Ok(Some(Descent {
            gradients,
            loss: value,
            task_losses,
            other_losses,
            expert_rows: loss.expert_rows,
        }))
    }

    /// For each of `tasks` its loss and the gradient of that loss alone to what tasks share: a pass each.
    pub fn task_gradients(
        &self,
        tasks: &[usize],
    ) -> Result<Vec<(usize, f32, HostGradients)>, TrainError> {
        let rates = LearningRates {
            towers: None,
            ..self.rates
        };
        let mut found = Vec::with_capacity(tasks.len());
        for &task in tasks {
            let mut tape = OwnedTape::default();
            let Some(loss) = self.objective.loss(&self.pass(), &[task], &mut tape)? else {
                continue;
            };
            let (values, others) = (loss.task_values(), loss.other_values());
            let weighing = Weighing {
                factor: &|_| 1.0,
                others: 0.0,
            };
            let total = self.total(&loss, &weighing, &mut tape)?;
            let value = read_scalar(&total);
            self.check_finite(value, &values, &others)?;
            let gradients = self.take(ops::backward(total, tape)?, &rates)?;
            found.push((task, value, gradients));
        }
        Ok(found)
    }

    fn total(
        &self,
        loss: &StepLoss<D>,
        weighing: &Weighing<'_>,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Scalar<D>, TrainError> {
        let tasks = loss.tasks.iter();
        let mut terms: Vec<_> = tasks
            .map(|(task, loss)| (loss, (weighing.factor)(*task)))
            .collect();
        let others = loss.others.iter().filter(|_| weighing.others != 0.0);
        terms.extend(others.map(|other| (&other.loss, other.weight * weighing.others)));
        Ok(ops::sum(self.network.device(), &terms, tape)?)
    }

    fn take(
        &self,
        mut gradients: Gradients<f32, D>,
        rates: &LearningRates,
    ) -> Result<HostGradients, TrainError> {
        let rows = self.rows.channels.iter().chain(&self.rows.heads);
        let tables: Vec<_> = self.network.tables().into_iter().zip(rows).collect();
        let parameters = self.network.parameters();
        Ok(HostGradients::take(
            parameters,
            &tables,
            &mut gradients,
            rates,
        )?)
    }

    /// An error that names the task whose loss is no finite number.
    fn check_finite(
        &self,
        total: f32,
        tasks: &[(usize, f32)],
        others: &[(String, f32)],
    ) -> Result<(), TrainError> {
        let names = self.objective.task_names();
        let tasks = tasks
            .iter()
            .map(|(task, value)| (names[*task].as_str(), *value));
        let others = others.iter().map(|(name, value)| (name.as_str(), *value));
        let named = tasks.chain(others).find(|(_, value)| !value.is_finite());
        let found = named.or((!total.is_finite()).then_some(("all tasks together", total)));
        match found {
            None => Ok(()),
            Some((task, value)) => Err(TrainError::LossNotFinite {
                task: task.to_owned(),
                value,
                step: self.at.step + 1,
                epoch: self.at.epoch + 1,
            }),
        }
    }
}
