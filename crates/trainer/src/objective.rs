//! What training descends, behind one trait: masked channel prediction, or towers of tasks.

use supermoe_channels::SampleId;
use supermoe_nn::layers::Mode;
use supermoe_nn::{Device, OwnedTape, Scalar};

use crate::error::TrainError;
use crate::model_input::ModelInput;
use crate::monitor::Monitor;
use crate::network::{Network, UsedRows};

/// What is learned: how a batch becomes a loss, and how good the network is.
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

    /// The loss of a batch; `None` where the batch has nothing to learn from.
    fn loss(
        &self,
        network: &Network<D>,
        rows: &UsedRows<D>,
        batch: &Self::Batch,
        mode: Mode,
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
}

/// The loss of one batch.
pub struct StepLoss<D: Device> {
    /// What is descended.
    pub total: Scalar<D>,
    /// By task or head: its loss, for people and for the message where it is no number.
    pub parts: Vec<(String, f32)>,
    /// By layer with experts: its name, and the rows that each expert was chosen for.
    pub expert_rows: Vec<(String, Vec<u32>)>,
}

/// How good a network is on validation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// For example `valid/buy30/auc`.
    pub metrics: Vec<(String, f64)>,
    /// Higher is better; `None` where nothing could be measured.
    pub score: Option<f64>,
}
