//! Params of the model: the section `models.gru`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Sizes of the GRU; its width is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GruParams {
    /// Recurrent layers, one on the states of the other.
    #[schemars(range(min = 1, max = 16))]
    pub layers: usize,
    /// Width of the embeddings of id channels.
    #[schemars(range(min = 1, max = 4096))]
    pub id_width: usize,
    /// Width of the embeddings of category channels.
    #[schemars(range(min = 1, max = 4096))]
    pub category_width: usize,
}

impl Default for GruParams {
    fn default() -> GruParams {
        GruParams {
            layers: 1,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl GruParams {
    /// What does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        size_checks::positive(&[
            ("layers", self.layers),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])
    }
}
