//! Params of the model: the section `models.mmoe`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Sizes of MMoE; the width of an expert's result is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MmoeParams {
    /// Experts, shared by all tasks.
    #[schemars(range(min = 1, max = 1024))]
    pub experts: usize,
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

impl Default for MmoeParams {
    fn default() -> MmoeParams {
        MmoeParams {
            experts: 8,
            d_ff: 128,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl MmoeParams {
    /// What does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        size_checks::positive(&[
            ("experts", self.experts),
            ("d_ff", self.d_ff),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])
    }
}
