//! Params of the model: the section `models.bert`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Sizes of BERT; its width is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BertParams {
    /// Number of blocks.
    #[schemars(range(min = 1, max = 256))]
    pub layers: usize,
    /// Attention heads; a divisor of `d_model`.
    #[schemars(range(min = 1, max = 256))]
    pub heads: usize,
    /// Inner width of the feed-forward network.
    #[schemars(range(min = 1, max = 65536))]
    pub d_ff: usize,
    /// Width of the embeddings of id channels.
    #[schemars(range(min = 1, max = 4096))]
    pub id_width: usize,
    /// Width of the embeddings of category channels.
    #[schemars(range(min = 1, max = 4096))]
    pub category_width: usize,
}

impl Default for BertParams {
    fn default() -> BertParams {
        BertParams {
            layers: 2,
            heads: 4,
            d_ff: 128,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl BertParams {
    /// What does not fit, in words.
    pub fn check(&self, d_model: usize) -> Result<(), String> {
        size_checks::positive(&[
            ("layers", self.layers),
            ("d_ff", self.d_ff),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])?;
        size_checks::heads_divide(self.heads, d_model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let params = BertParams::default();
        assert_eq!(params.check(64), Ok(()));
        assert_eq!(
            params.check(30).unwrap_err(),
            "`heads` must divide `d_model`, and 4 does not divide 30"
        );
        let params = BertParams {
            layers: 0,
            ..BertParams::default()
        };
        assert_eq!(params.check(64).unwrap_err(), "`layers` must be at least 1");
    }
}
