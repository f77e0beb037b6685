//! Params of pre-training by masked channel prediction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TrainError;
use crate::optimizer_params::{OptimizerParams, at_least_one, in_range};

/// What is masked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaskMode {
    /// Steps are picked, and all chosen channels of a picked step are masked.
    #[default]
    PerStep,
    /// Every chosen channel picks its own steps.
    PerChannel,
    /// Visits are picked (rows of one time), and all chosen channels of all their steps are
    /// masked, with every running total of those steps.
    Visit,
}

/// `with` of `pretrain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainParams {
    /// The model to train.
    pub model: String,
    /// The params of each model, by its name; only those of the chosen model count.
    #[serde(default)]
    pub models: Map<String, Value>,
    /// Names of the channels that are masked and predicted (MCP). A dense channel is predicted as
    /// one of its quantile buckets.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub predict: Vec<String>,
    /// What is masked together: `per_step`, `per_channel` or `visit`.
    #[serde(default)]
    pub mask: MaskMode,
    /// The share of steps (or visits) that are picked. Of the picked, 80 % are replaced by the mask,
    /// 10 % by a random value, 10 % left as they are.
    #[serde(default = "default_mask_rate")]
    #[schemars(range(min = 0.001, max = 0.9))]
    pub mask_rate: f64,
    /// Width of the hidden states.
    #[serde(default = "default_d_model")]
    #[schemars(range(min = 1, max = 8192))]
    pub d_model: usize,
    /// Share of activations that are dropped in training.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// Seed of initial weights, order, masks and dropout. Without it one is drawn from the stage key.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Passes over the training split.
    #[serde(default = "default_epochs")]
    #[schemars(range(min = 1))]
    pub epochs: u64,
    /// Stop after this many steps, wherever in an epoch that is; null: after the last epoch.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_steps: Option<u64>,
    /// Sequences in a batch.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// How parameters are updated.
    #[serde(default)]
    pub optimizer: OptimizerParams,
    /// The most validation sequences that the heads are measured on after an epoch.
    #[serde(default = "default_valid_samples")]
    pub valid_samples: usize,
    /// Stop when the validation loss has not fallen for this many epochs; null: never.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub patience: Option<u64>,
    /// Steps between checkpoints.
    #[serde(default = "default_checkpoint_every")]
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
}

pub(crate) fn default_mask_rate() -> f64 {
    0.15
}
pub(crate) fn default_d_model() -> usize {
    64
}
pub(crate) fn default_dropout() -> f64 {
    0.1
}
pub(crate) fn default_epochs() -> u64 {
    3
}
pub(crate) fn default_batch_size() -> usize {
    64
}
pub(crate) fn default_valid_samples() -> usize {
    2000
}
pub(crate) fn default_checkpoint_every() -> u64 {
    200
}

impl PretrainParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.predict.is_empty() {
            return Err(TrainError::param(
                "predict",
                "expected at least one channel, found none".to_owned(),
            ));
        }
        for (index, name) in self.predict.iter().enumerate() {
            if self.predict[..index].contains(name) {
                return Err(TrainError::param(
                    "predict",
                    format!("channel `{name}` stands twice"),
                ));
            }
        }
        in_range("mask_rate", self.mask_rate, 0.001, 0.9)?;
        in_range("dropout", self.dropout, 0.0, 0.9)?;
        at_least_one("d_model", self.d_model as u64)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("max_steps", self.max_steps.unwrap_or(1))?;
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        at_least_one("checkpoint_every", self.checkpoint_every)?;
        self.optimizer.check()
    }
}
