//! What a model is to the trainer. The trainer knows none by name.
//!
//! A model turns a packed batch into representations ([`Encoder::encode`]), of one of three forms
//! ([`Representation`]), and may add terms of its own to every loss. What pre-trains it stands in
//! [`ModelKind::PRETRAINING`](crate::ModelKind::PRETRAINING): the trainer's masked channel prediction,
//! which needs a representation of each step; a pre-training of the model's own, for which it also
//! gives [`Encoder::augmentation`] and [`Encoder::pretraining_losses`]; or nothing.

use rand_chacha::ChaCha8Rng;
use supermoe_nn::layers::Mode;
use supermoe_nn::{Device, Error, Matrix, NoneTape, OwnedTape, Scalar, Tape};

use crate::error::TrainError;
use crate::model_input::ModelInput;
use crate::network::NetworkValues;
use crate::objective::OtherLoss;

/// What an encoder gives for a batch of B samples with N steps.
pub struct Encoded<D: Device> {
    /// What towers, heads and embeddings are made of.
    pub representation: Representation<D>,
    /// Added to the loss, in pre-training by masked channels and in fine-tuning alike.
    pub auxiliary: Vec<AuxiliaryLoss<D>>,
    /// Of each layer with experts.
    pub expert_rows: Vec<ExpertRows>,
}

/// What a layer with experts did with the rows of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpertRows {
    /// `block.0.ffn.1`, `block.0.attention.q`.
    pub layer: String,
    /// By expert: the rows that it was chosen for.
    pub counts: Vec<u32>,
    /// How many of `counts` were over an expert's capacity; none where experts have no capacity.
    pub dropped: Option<u32>,
}

/// What a model knows of the samples of a batch.
pub enum Representation<D: Device> {
    /// One for each step, row by row of the input, [N, d_model]. Towers take the maximum over the steps
    /// of a sample.
    Steps(Matrix<D>),
    /// One for each sample, which all towers share, [B, d_model].
    Samples(Matrix<D>),
    /// One for each task and sample, in the order of [`InputShape::tasks`](crate::InputShape::tasks),
    /// [B, d_model] each: every tower has its own.
    Tasks(Vec<Matrix<D>>),
}

/// A term of the loss that a model brings: a load balance loss, a reconstruction.
pub struct AuxiliaryLoss<D: Device> {
    /// As in the metric `train/auxiliary/<name>/loss`; of a model's own pre-training
    /// `train/<name>/loss`.
    pub name: &'static str,
    /// Before it is weighted.
    pub loss: Scalar<D>,
    pub weight: f32,
}

impl<D: Device> AuxiliaryLoss<D> {
    /// Among the losses of a step.
    pub(crate) fn other(self) -> OtherLoss<D> {
        OtherLoss {
            name: format!("auxiliary/{}", self.name),
            loss: self.loss,
            weight: self.weight,
        }
    }
}

impl<D: Device> Encoded<D> {
    /// The representations of steps. [N, d_model]
    ///
    /// # Errors
    /// There are none.
    pub fn steps(&self) -> Result<&Matrix<D>, TrainError> {
        match &self.representation {
            Representation::Steps(steps) => Ok(steps),
            Representation::Samples(_) | Representation::Tasks(_) => Err(TrainError::Unsupported(
                "masked channel prediction needs a representation of each step, and this model gives none"
                    .to_owned(),
            )),
        }
    }
}

/// A model as its author writes it: once for training and inference, which differ in the tape.
pub trait Encoder<D: Device>: Send + Sync + 'static {
    /// The representations of a batch. The same input and `mode` give the same bits.
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error>;

    /// Of a model with a pre-training of its own: how a batch is changed before the model sees it.
    /// `training` are some samples of the training split, from which the augmentation may learn what
    /// it needs (correlations, frequencies); it is made anew from the same samples when training goes
    /// on from a checkpoint.
    ///
    /// # Errors
    /// A dataset on which there is nothing to learn; the model has no pre-training of its own.
    fn augmentation(&self, _training: &ModelInput) -> Result<Box<dyn Augmentation>, TrainError> {
        Err(no_own_pretraining())
    }

    /// Of a model with a pre-training of its own: the losses of a batch that its augmentation made,
    /// whose weighted sum is descended. None where the batch has nothing to learn from.
    ///
    /// # Errors
    /// What the device says; the model has no pre-training of its own.
    fn pretraining_losses<T: Tape<f32, D>>(
        &self,
        _values: &NetworkValues<'_, D>,
        _input: &ModelInput,
        _mode: Mode,
        _tape: &mut T,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError> {
        Err(no_own_pretraining())
    }
}

fn no_own_pretraining() -> TrainError {
    TrainError::Unsupported(
        "this model is said to have a pre-training of its own, and has none".to_owned(),
    )
}

/// Changes the batches of a model's own pre-training; it works on another thread, ahead of the step.
pub trait Augmentation: Send + Sync {
    /// For example two views of each sample: a batch of 2 B sequences, the first views, then the
    /// second ones. The same state of `random` gives the same batch.
    fn augment(
        &self,
        batch: &ModelInput,
        random: &mut ChaCha8Rng,
    ) -> Result<ModelInput, TrainError>;
}

/// An [`Encoder`] as the trainer holds it.
pub trait Model<D: Device>: Send + Sync {
    /// The tape learns what is computed.
    fn train(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Encoded<D>, Error>;

    /// Without a tape, without dropout.
    fn infer(&self, values: &NetworkValues<'_, D>, input: &ModelInput)
    -> Result<Encoded<D>, Error>;

    /// See [`Encoder::augmentation`].
    fn augmentation(&self, training: &ModelInput) -> Result<Box<dyn Augmentation>, TrainError>;

    /// The losses of the model's own pre-training; the tape learns what is computed.
    fn train_own(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError>;

    /// The same without a tape, without dropout.
    fn measure_own(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError>;
}

impl<D: Device, E: Encoder<D>> Model<D> for E {
    fn train(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Encoded<D>, Error> {
        self.encode(values, input, mode, tape)
    }

    fn infer(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
    ) -> Result<Encoded<D>, Error> {
        self.encode(values, input, Mode::Evaluate, &mut NoneTape)
    }

    fn augmentation(&self, training: &ModelInput) -> Result<Box<dyn Augmentation>, TrainError> {
        Encoder::augmentation(self, training)
    }

    fn train_own(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError> {
        self.pretraining_losses(values, input, mode, tape)
    }

    fn measure_own(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError> {
        self.pretraining_losses(values, input, Mode::Evaluate, &mut NoneTape)
    }
}
