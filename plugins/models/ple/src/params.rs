//! Params of the model: the section `models.ple`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Sizes of PLE; the width of an expert's result is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PleParams {
    /// Levels of experts and gates.
    #[schemars(range(min = 1, max = 64))]
    pub levels: usize,
    /// Experts of a level that all tasks share.
    #[schemars(range(min = 1, max = 1024))]
    pub shared_experts: usize,
    /// Experts of a level that each task has for itself.
    #[schemars(range(min = 1, max = 1024))]
    pub task_experts: usize,
    /// Inner width of an expert.
    #[schemars(range(min = 1, max = 65536))]
    pub d_ff: usize,
    /// Width of the embeddings of id channels.
    #[schemars(range(min = 1, max = 4096))]
    pub id_width: usize,
    /// Width of the embeddings of category channels.
    #[schemars(range(min = 1, max = 4096))]
    pub category_width: usize,
}

impl Default for PleParams {
    fn default() -> PleParams {
        PleParams {
            levels: 2,
            shared_experts: 2,
            task_experts: 2,
            d_ff: 128,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl PleParams {
    /// What does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        size_checks::positive(&[
            ("levels", self.levels),
            ("shared_experts", self.shared_experts),
            ("task_experts", self.task_experts),
            ("d_ff", self.d_ff),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])
    }
}
