//! `with` of `select`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use supermoe_trainer::choice::Goal;

use crate::error::SelectError;

/// See the module.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectParams {
    /// What candidates are compared by: a metric of their histories. Of several epochs the best value counts.
    /// Metrics of the test split are refused: what they choose cannot be measured by them.
    #[serde(default = "default_metric")]
    pub metric: String,
    /// Which end of the metric is the better one: `highest` (an AUC) or `lowest` (a loss).
    #[serde(default)]
    pub goal: Goal,
    /// The params that are chosen, by their dotted name, and the axis of the candidates that holds their value:
    /// `{ optimizer.learning_rate: learning_rate }`; `axis.key` where the axis has maps. Candidates that agree
    /// in all of them are one, compared by its mean: seeds, for example.
    #[schemars(length(min = 1))]
    pub set: IndexMap<String, String>,
    /// Only candidates with these values on these axes are compared, `{ model: ple }`: so a `select` stage
    /// with a matrix over models chooses for each of them.
    #[serde(default, rename = "where")]
    pub only: IndexMap<String, Value>,
}

fn default_metric() -> String {
    "valid/mean_auc".to_owned()
}

impl SelectParams {
    /// The rules that the JSON Schema also says, and those that it cannot.
    ///
    /// # Errors
    /// Nothing to set; a metric of the test split.
    pub fn check(&self) -> Result<(), SelectError> {
        if self.set.is_empty() {
            return Err(SelectError::Param {
                name: "set",
                reason: "expected at least one param, found none".to_owned(),
            });
        }
        if self.metric.starts_with("test/") {
            return Err(SelectError::Param {
                name: "metric",
                reason: format!(
                    "`{}` is of the test split, and figures of what it chooses would be too good: choose by \
                     a metric of `valid/`",
                    self.metric
                ),
            });
        }
        Ok(())
    }
}
