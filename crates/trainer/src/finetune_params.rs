//! Params of multi-task fine-tuning.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TrainError;
use crate::optimizer_params::{OptimizerParams, at_least_one, in_range};
use crate::pretrain_params::{
    default_batch_size, default_checkpoint_every, default_d_model, default_dropout, default_epochs,
};

/// Whether the encoder learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Freeze {
    /// Everything learns from the first step.
    #[default]
    None,
    /// Only the towers learn.
    Encoder,
    /// The towers learn alone for this many epochs, then everything.
    UntilEpoch(#[schemars(range(min = 1))] u64),
}

impl Freeze {
    /// Whether the encoder stands still in this epoch, counted from 0.
    pub fn frozen(self, epoch: u64) -> bool {
        match self {
            Freeze::None => false,
            Freeze::Encoder => true,
            Freeze::UntilEpoch(until) => epoch < until,
        }
    }
}

/// How the losses of the tasks are weighted in their sum.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Every task counts 1 / number of tasks.
    #[default]
    Equal,
    /// The weight of each task by its name.
    Fixed(IndexMap<String, f64>),
}

/// `with` of `finetune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneParams {
    /// The model to train.
    pub model: String,
    /// The params of each model, by its name; only those of the chosen model count.
    #[serde(default)]
    pub models: Map<String, Value>,
    /// The tasks to train; null: all of the dataset.
    #[serde(default)]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub tasks: Option<Vec<String>>,
    /// How the tasks' losses are weighted: `weighting: equal`, or `weighting: { fixed: { buy: 1.0,
    /// churn: 0.5 } }` with a weight of at least 0 for each task.
    #[serde(default)]
    pub weighting: Weighting,
    /// Whether the encoder learns: `freeze: none` (it does), `freeze: encoder` (it does not), or
    /// `freeze: { until_epoch: 2 }` (not in the first two epochs).
    #[serde(default)]
    pub freeze: Freeze,
    /// The encoder's learning rate as a part of the towers'.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub encoder_rate_factor: f64,
    /// Width of the hidden states.
    #[serde(default = "default_d_model")]
    #[schemars(range(min = 1, max = 8192))]
    pub d_model: usize,
    /// Share of activations that are dropped in training.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// Seed of initial weights, order and dropout. Without it one is drawn from the stage key.
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
    /// Stop when the mean validation AUC has not risen for this many epochs; null: never. The
    /// weights of the best epoch are kept in any case.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub patience: Option<u64>,
    /// A sanity check, never for real use: the labels of samples are exchanged at random within
    /// each split, in the predictions too. No label then depends on its inputs, so the test AUC
    /// must be 0.5 but for chance; if it is not, the test labels were seen in training. (Against
    /// labels that were not exchanged a model of noise is right as often as wrong, yet by any
    /// amount in a single run: AUC does not see how small a slope is.)
    #[serde(default)]
    pub shuffle_labels: bool,
    /// Steps between checkpoints.
    #[serde(default = "default_checkpoint_every")]
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
}

fn one() -> f64 {
    1.0
}

impl FinetuneParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.tasks.as_ref().is_some_and(Vec::is_empty) {
            return Err(TrainError::param(
                "tasks",
                "expected at least one task, found none".to_owned(),
            ));
        }
        if let Freeze::UntilEpoch(until) = self.freeze {
            at_least_one("freeze.until_epoch", until)?;
        }
        in_range("encoder_rate_factor", self.encoder_rate_factor, 0.0, 10.0)?;
        in_range("dropout", self.dropout, 0.0, 0.9)?;
        at_least_one("d_model", self.d_model as u64)?;
        at_least_one("epochs", self.epochs)?;
        at_least_one("max_steps", self.max_steps.unwrap_or(1))?;
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        at_least_one("checkpoint_every", self.checkpoint_every)?;
        self.optimizer.check()
    }

    /// The weight of each of these tasks, in their order.
    pub fn task_weights(&self, tasks: &[String]) -> Result<Vec<f32>, TrainError> {
        let Weighting::Fixed(weights) = &self.weighting else {
            return Ok(vec![1.0 / tasks.len() as f32; tasks.len()]);
        };
        if let Some(unknown) = weights.keys().find(|name| !tasks.contains(name)) {
            return Err(TrainError::param(
                "weighting.fixed",
                format!(
                    "`{unknown}` is no task that is trained here; those are {}",
                    tasks.join(", ")
                ),
            ));
        }
        tasks
            .iter()
            .map(|task| match weights.get(task) {
                Some(&weight) if weight.is_finite() && weight >= 0.0 => Ok(weight as f32),
                Some(weight) => Err(TrainError::param(
                    "weighting.fixed",
                    format!("task `{task}`: expected a weight of at least 0, found {weight}"),
                )),
                None => Err(TrainError::param(
                    "weighting.fixed",
                    format!("task `{task}` has no weight"),
                )),
            })
            .collect()
    }
}
