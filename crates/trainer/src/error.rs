//! What can end a training run.

use std::path::{Path, PathBuf};

/// An error of training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A param is outside of what it may be.
    #[error("`{name}`: {reason}")]
    Param { name: String, reason: String },
    /// `model` names none of the models of this program.
    #[error("`model`: there is no model `{name}`; there are {known}")]
    UnknownModel { name: String, known: String },
    /// The params of a model are no params of that model.
    #[error("`models.{model}`: {reason}")]
    ModelParams { model: String, reason: String },
    /// The dataset cannot be trained on.
    #[error("dataset: {0}")]
    Dataset(String),
    /// A file of the dataset cannot be read.
    #[error(transparent)]
    Channels(#[from] supermoe_channels::DatasetError),
    /// An operation, layer, optimizer or parameters file.
    #[error(transparent)]
    Nn(#[from] supermoe_nn::Error),
    /// The loss is not a number, or infinite.
    #[error(
        "the loss of {task} is {value} at step {step} (epoch {epoch}): training cannot go on. \
         Lower `optimizer.learning_rate`, keep `optimizer.clip_norm`, and look for NaN or huge values in the dense channels"
    )]
    LossNotFinite {
        task: String,
        value: f32,
        step: u64,
        epoch: u64,
    },
    /// What the network says of the validation or test samples is no finite number.
    #[error(
        "{what} is no finite number, though the losses of training were: lower `optimizer.learning_rate`, \
         and look for NaN or huge values in the dense channels and aggregates of these samples"
    )]
    ScoreNotFinite { what: String },
    /// The update failed: a gradient is not a number, or infinite, though the loss is finite.
    #[error("step {step} (epoch {epoch}): {source}; lower `optimizer.learning_rate`")]
    Step {
        step: u64,
        epoch: u64,
        source: supermoe_nn::Error,
    },
    /// More than the machine has.
    #[error(
        "training this model takes at least {needed} of memory ({weights} weights with gradients and moments, and {tables} of \
         id tables), and this machine has {machine}: give `d_model` and the sizes in `models.{model}` smaller values, id \
         channels fewer values, or the tables a limit of memory (`tables.memory`), beyond which they lie in files"
    )]
    Memory {
        model: String,
        needed: String,
        weights: u64,
        tables: String,
        machine: String,
    },
    /// No step changed a weight.
    #[error(
        "no batch of {steps} steps had anything to learn from, so the weights would be those that training began with: \
         look at what is predicted, at `mask_rate`, at the labels, and at `batch_size` (a contrast takes two samples of one \
         batch at least)"
    )]
    NothingLearned { steps: u64 },
    /// The `encoder` input does not fit this stage.
    #[error("encoder: {0}")]
    Encoder(String),
    /// The `choice` input cannot be read, or does not fit this stage.
    #[error("choice: {0}")]
    Choice(String),
    /// The input of this port is no trained network that this stage can use.
    #[error("{port}: {reason}")]
    Artifact { port: &'static str, reason: String },
    /// Embeddings cannot be read or written.
    #[error("{path}: {reason}")]
    Embeddings { path: PathBuf, reason: String },
    /// Something that this version does not do.
    #[error("{0}")]
    Unsupported(String),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Predictions cannot be written.
    #[error("{path}: {reason}")]
    Predictions { path: PathBuf, reason: String },
    /// A stop was asked for; a checkpoint was saved where there is a folder for it.
    #[error("stopped after step {step}, as asked")]
    Stopped { step: u64 },
}

impl TrainError {
    pub fn param(name: &str, reason: String) -> TrainError {
        TrainError::Param {
            name: name.to_owned(),
            reason,
        }
    }

    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
        move |source| TrainError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
