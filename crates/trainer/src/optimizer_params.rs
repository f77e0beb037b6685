//! Params of the optimizer, shared by pre-training and fine-tuning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_nn::optim::AdamWConfig;

use crate::error::TrainError;
use crate::schedule::Decay;

/// How parameters are updated: AdamW (Loshchilov and Hutter 2019), rows of id tables by lazy Adam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerParams {
    /// The largest learning rate, reached at the end of the warm-up.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Decoupled weight decay of all parameters but id tables; 0 makes it Adam.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Steps over which the learning rate rises from zero.
    pub warmup_steps: u64,
    /// How the learning rate falls after the warm-up: `cosine` or `none`.
    pub decay: Decay,
    /// Gradients are scaled down so that their norm over all parameters is at most this; null: never.
    #[schemars(range(min = 0.0))]
    pub clip_norm: Option<f64>,
}

impl Default for OptimizerParams {
    fn default() -> OptimizerParams {
        OptimizerParams {
            learning_rate: 1e-3,
            weight_decay: 0.01,
            warmup_steps: 100,
            decay: Decay::Cosine,
            clip_norm: Some(1.0),
        }
    }
}

impl OptimizerParams {
    /// The optimizer's constants.
    pub fn config(&self) -> AdamWConfig {
        AdamWConfig {
            weight_decay: self.weight_decay as f32,
            clip_norm: self.clip_norm.map(|norm| norm as f32),
            ..AdamWConfig::default()
        }
    }

    pub fn check(&self) -> Result<(), TrainError> {
        in_range("optimizer.learning_rate", self.learning_rate, 0.0, 10.0)?;
        in_range("optimizer.weight_decay", self.weight_decay, 0.0, 1.0)?;
        match self.clip_norm {
            Some(norm) if norm.is_nan() || norm <= 0.0 => Err(TrainError::param(
                "optimizer.clip_norm",
                format!("expected a number above 0 or null, found {norm}"),
            )),
            _ => Ok(()),
        }
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
