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
    /// The mean of weights on the way, see `average`.
    Average,
}

/// Which weights the mean of `keep: average` is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AverageParams {
    /// Share of all steps after which the first weights are taken.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub from: f64,
    /// Steps from one to the next.
    #[schemars(range(min = 1))]
    pub every: u64,
}

impl Default for AverageParams {
    fn default() -> AverageParams {
        AverageParams {
            from: 0.5,
            every: 20,
        }
    }
}

impl AverageParams {
    /// Whether the weights after this step, counted from 1, take part. The last ones always do.
    pub fn takes(&self, step: u64, total_steps: u64) -> bool {
        let behind = total_steps.saturating_sub(step);
        behind.is_multiple_of(self.every) && step as f64 > self.from * total_steps as f64
            || behind == 0
    }
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
    #[schemars(range(min = 1, max = 1_000_000))]
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
    /// The weights that are kept: `best` (of the epoch that was best on validation), `last`, or `average`. A channel
    /// that validation shifts, such as the month, can make the first epoch of pre-training its best.
    #[serde(default)]
    pub keep: Keep,
    /// With `keep: average`: which weights on the way their mean is of (stochastic weight averaging, Izmailov et
    /// al. 2018). Each costs a pass over all weights, tables too.
    #[serde(default)]
    pub average: AverageParams,
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
        check_batch_size(self.batch_size)?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
        in_range("average.from", self.average.from, 0.0, 1.0)?;
        at_least_one("average.every", self.average.every)?;
        at_least_one("checkpoint_every", self.checkpoint_every)?;
        self.tables.check()?;
        self.optimizer.check()
    }

    /// # Errors
    /// `patience` where there are no validation samples that it could look at.
    pub fn check_patience(&self, validation_samples: usize) -> Result<(), TrainError> {
        if self.patience.is_none() || validation_samples > 0 {
            return Ok(());
        }
        let reason = "it looks at validation samples, and there are none: give `prepare` a validation split \
                      (`splits.valid`), or leave `patience` out";
        Err(TrainError::param("patience", reason.to_owned()))
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

/// An error unless a batch of so many sequences can be.
pub fn check_batch_size(size: usize) -> Result<(), TrainError> {
    at_least_one("batch_size", size as u64)?;
    in_range("batch_size", size as f64, 1.0, 1e6)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_a_size() {
        for wrong in [1_000_001, 1 << 62] {
            let refusal = check_batch_size(wrong).unwrap_err().to_string();
            assert!(
                refusal.starts_with("`batch_size`: expected a number from 1 to 1000000"),
                "{refusal}"
            );
        }
        assert!(check_batch_size(0).is_err() && check_batch_size(1_000_000).is_ok());
    }

    #[test]
    fn the_mean_is_of_the_last_weights_and_of_those_before_at_even_distance() {
        let taken = |from, every, total| -> Vec<u64> {
            let average = AverageParams { from, every };
            (1..=total)
                .filter(|&step| average.takes(step, total))
                .collect()
        };
        assert_eq!(taken(0.5, 3, 20), [11, 14, 17, 20]);
        assert_eq!(taken(0.0, 1, 4), [1, 2, 3, 4]);
        assert_eq!(taken(1.0, 1, 4), [4]);
        assert_eq!(taken(0.5, 1000, 7), [7]);
    }
}
