//! Params that pre-training and fine-tuning share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use supermoe_nn::precision;

use crate::error::TrainError;
use crate::optimizer_params::OptimizerParams;
use crate::table_params::TableParams;

/// Which weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Of the epoch that was best on validation.
    #[default]
    Best,
    /// Of the last epoch.
    Last,
}

/// What matrix products multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Numbers of 32 bits.
    #[default]
    F32,
    /// Numbers rounded to bfloat16.
    Bf16,
}

impl Precision {
    /// Chooses it for this process.
    pub fn choose(self) -> Result<(), TrainError> {
        let precision = match self {
            Precision::F32 => precision::Precision::F32,
            Precision::Bf16 => precision::Precision::Bf16,
        };
        precision::set_precision(precision).map_err(|_| {
            TrainError::param(
                "precision",
                "this processor has no instructions for `bf16` (AVX512-BF16); leave it out, or use `f32`"
                    .to_owned(),
            )
        })
    }
}

/// Which model is trained, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingParams {
    /// The model to train.
    pub model: String,
    /// The params of each model, by its name; only those of the chosen model count.
    #[serde(default)]
    pub models: Map<String, Value>,
    /// Width of the hidden states.
    #[serde(default = "default_d_model")]
    #[schemars(range(min = 1, max = 8192))]
    pub d_model: usize,
    /// Share of activations that are dropped in training.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// Seed of all that is drawn: initial weights, order, masks, dropout. Without it one is drawn from
    /// the stage key.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Passes over the training samples.
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
    /// What matrix products multiply: `f32`, or `bf16` (rounded to bfloat16, summed in f32: faster, of other bits, and
    /// only on processors with AVX512-BF16).
    #[serde(default)]
    pub precision: Precision,
    /// How id tables are kept and updated.
    #[serde(default)]
    pub tables: TableParams,
    /// Stop when validation has not become better for this many epochs; null: never. What counts is the
    /// loss in pre-training, `valid/mean_auc` in fine-tuning: the mean over the tasks of their AUC, of a
    /// multiclass task the mean of its classes against the rest, of a regression task the concordance.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub patience: Option<u64>,
    /// The weights that are kept: `best` (of the epoch that was best on validation) or `last`. A channel
    /// that validation shifts, such as the month, can make the first epoch of pre-training its best.
    #[serde(default)]
    pub keep: Keep,
    /// Steps between checkpoints.
    #[serde(default = "default_checkpoint_every")]
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
    /// A checkpoint is also saved when the last one is older than this many seconds.
    #[serde(default = "default_checkpoint_seconds")]
    pub checkpoint_seconds: u64,
}

fn default_d_model() -> usize {
    64
}
fn default_dropout() -> f64 {
    0.1
}
fn default_epochs() -> u64 {
    3
}
fn default_batch_size() -> usize {
    64
}
fn default_checkpoint_every() -> u64 {
    200
}
fn default_checkpoint_seconds() -> u64 {
    60
}

impl TrainingParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        in_range("dropout", self.dropout, 0.0, 0.9)?;
        at_least_one("d_model", self.d_model as u64)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("max_steps", self.max_steps.unwrap_or(1))?;
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        at_least_one("checkpoint_every", self.checkpoint_every)?;
        self.tables.check()?;
        self.optimizer.check()
    }
}

/// An error unless `low <= value <= high`.
pub fn in_range(name: &str, value: f64, low: f64, high: f64) -> Result<(), TrainError> {
    if value.is_finite() && value >= low && value <= high {
        return Ok(());
    }
    Err(TrainError::param(
        name,
        format!("expected a number from {low} to {high}, found {value}"),
    ))
}

/// An error where a count is zero.
pub fn at_least_one(name: &str, value: u64) -> Result<(), TrainError> {
    if value > 0 {
        return Ok(());
    }
    Err(TrainError::param(
        name,
        "expected at least 1, found 0".to_owned(),
    ))
}
