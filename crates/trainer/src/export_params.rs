//! Params of `export` and `predict`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_channels::Split;

use crate::error::TrainError;
use crate::pooling::Pooling;
use crate::training_params::check_batch_size;

/// `with` of `export`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportParams {
    /// Whose embeddings are wanted: `train`, `valid`, `test`, `predict`; null: all samples.
    #[serde(default)]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub splits: Option<Vec<Split>>,
    /// How the steps of a sequence become one embedding.
    #[serde(default)]
    pub pooling: Pooling,
    /// Sequences in a batch; it bounds the memory that is taken.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch_size: usize,
}

/// `with` of `predict`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictParams {
    /// Whose scores are wanted: of `predict`, `train`, `valid`, `test`.
    #[serde(default = "default_predict_splits")]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub splits: Vec<Split>,
}

fn default_batch_size() -> usize {
    128
}

fn default_predict_splits() -> Vec<Split> {
    vec![Split::Predict]
}

impl ExportParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        check_batch_size(self.batch_size)?;
        self.splits.as_deref().map_or(Ok(()), check_splits)
    }
}

impl PredictParams {
    /// As [`ExportParams::check`].
    pub fn check(&self) -> Result<(), TrainError> {
        check_splits(&self.splits)
    }
}

fn check_splits(splits: &[Split]) -> Result<(), TrainError> {
    if splits.is_empty() {
        return Err(TrainError::param(
            "splits",
            "expected at least one split, found none".to_owned(),
        ));
    }
    Ok(())
}
