//! What training descends, behind one trait: masked channel prediction, or towers of tasks.

use rand_chacha::ChaCha8Rng;
use supermoe_channels::SampleId;
use supermoe_nn::layers::Mode;
use supermoe_nn::{Device, OwnedTape, Scalar, read_scalar};

use crate::error::TrainError;
use crate::model::ExpertRows;
use crate::model_input::ModelInput;
use crate::monitor::Monitor;
use crate::network::{Network, UsedRows};

/// What is learned: how a batch becomes a loss for each task, and how good the network is. A task is
/// what a weighting weighs: a task of fine-tuning, a predicted channel of pre-training.
pub trait Objective<D: Device>: Sync {
    type Batch: Send;

    /// Makes a batch; called on another thread, ahead of the step.
    fn collate(
        &self,
        samples: &[SampleId],
        epoch: u64,
        step: u64,
    ) -> Result<Self::Batch, TrainError>;

    /// What the model sees of a batch.
    fn input<'b>(&self, batch: &'b Self::Batch) -> &'b ModelInput;

    /// The classes that a batch looks up in the tables of heads, in the order in which those were added.
    fn head_codes<'b>(&self, _batch: &'b Self::Batch) -> Vec<&'b [u32]> {
        Vec::new()
    }

    /// The tasks, whose places here stand for them elsewhere; none where the objective weighs its
    /// losses itself.
    fn task_names(&self) -> &[String] {
        &[]
    }

    /// The tasks that have samples in a batch, ascending.
    fn present(&self, _batch: &Self::Batch) -> Vec<usize> {
        Vec::new()
    }

    /// The losses of some of the tasks that have samples in the batch; the same pass with the same
    /// tasks gives the same bits. `None` where the batch has nothing to learn from.
    fn loss(
        &self,
        pass: &Pass<'_, D, Self::Batch>,
        tasks: &[usize],
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<StepLoss<D>>, TrainError>;

    /// Measures the network on validation.
    fn evaluate(
        &self,
        network: &Network<D>,
        monitor: &mut dyn Monitor,
    ) -> Result<Evaluation, TrainError>;

    /// Whether the encoder learns in an epoch, counted from 0.
    fn encoder_learns(&self, _epoch: u64) -> bool {
        true
    }

    /// At most so many of the validation samples on which the weights of tasks learn, as a batch.
    ///
    /// # Errors
    /// The objective has no labels.
    fn ranking_batch(
        &self,
        _size: usize,
        _random: &mut ChaCha8Rng,
    ) -> Result<Self::Batch, TrainError> {
        Err(no_labels())
    }

    /// How badly the network ranks such a batch, differentiable: the mean over the tasks of a
    /// surrogate of 1 - AUC. `None` where no task has two samples to rank.
    ///
    /// # Errors
    /// The objective has no labels.
    fn ranking_loss(
        &self,
        _network: &Network<D>,
        _rows: &UsedRows<D>,
        _batch: &Self::Batch,
        _tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<Scalar<D>>, TrainError> {
        Err(no_labels())
    }
}

fn no_labels() -> TrainError {
    TrainError::Unsupported(
        "`weighting: bilevel_auc` ranks labelled samples, and there are no labels here".to_owned(),
    )
}

/// One way of a batch through the network.
pub struct Pass<'a, D: Device, B> {
    pub network: &'a Network<D>,
    /// Of the batch, as [`Network::gather`] gives them.
    pub rows: &'a UsedRows<D>,
    pub batch: &'a B,
    pub mode: Mode,
}

/// The losses of one batch.
pub struct StepLoss<D: Device> {
    /// By task: the mean over its samples.
    pub tasks: Vec<(usize, Scalar<D>)>,
    /// What no weighting touches.
    pub others: Vec<OtherLoss<D>>,
    /// Of each layer with experts.
    pub expert_rows: Vec<ExpertRows>,
}

impl<D: Device> StepLoss<D> {
    /// The losses of tasks as numbers.
    pub fn task_values(&self) -> Vec<(usize, f32)> {
        let tasks = self.tasks.iter();
        tasks
            .map(|(task, loss)| (*task, read_scalar(loss)))
            .collect()
    }

    /// The other losses as numbers, by name.
    pub fn other_values(&self) -> Vec<(String, f32)> {
        let others = self.others.iter();
        others
            .map(|other| (other.name.clone(), read_scalar(&other.loss)))
            .collect()
    }
}

/// A term of the loss that is of no task.
pub struct OtherLoss<D: Device> {
    /// As in the metric `train/<name>/loss`.
    pub name: String,
    /// Before it is weighted.
    pub loss: Scalar<D>,
    pub weight: f32,
}

/// How good a network is on validation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// For example `valid/buy30/auc`.
    pub metrics: Vec<(String, f64)>,
    /// Higher is better; `None` where nothing could be measured.
    pub score: Option<f64>,
}
