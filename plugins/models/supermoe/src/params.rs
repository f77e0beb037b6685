//! Params of the model: the section `models.supermoe`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Sizes of SuperMoE; its width is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuperMoeParams {
    /// Number of blocks.
    #[schemars(range(min = 1, max = 256))]
    pub layers: usize,
    /// Attention heads; a divisor of `d_model`.
    #[schemars(range(min = 1, max = 256))]
    pub heads: usize,
    /// Feed-forward mixtures of a block, one after the other.
    #[schemars(range(min = 1, max = 16))]
    pub feed_forwards: usize,
    /// Inner width of an expert.
    #[schemars(range(min = 1, max = 65536))]
    pub d_ff: usize,
    /// Experts of each feed-forward mixture; 1 is a plain network.
    #[schemars(range(min = 1, max = 1024))]
    pub experts: usize,
    /// Experts that run for each step; at most `experts`.
    #[schemars(range(min = 1, max = 1024))]
    pub top_k: usize,
    /// Experts of the projections of query, key and value; 1 is plain attention.
    #[schemars(range(min = 1, max = 1024))]
    pub attention_experts: usize,
    /// An expert takes at most this many times its fair share of steps, and the others pass it by;
    /// null: no step is dropped.
    #[schemars(range(min = 0.01, max = 1024.0))]
    pub capacity_factor: Option<f64>,
    /// In training, what gates see is multiplied by random factors in [1 - jitter, 1 + jitter) (Switch Transformer,
    /// section 2.2, takes 0.01); 0: it is not.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub jitter: f64,
    /// Weight of the load balance loss (Switch Transformer, eq. 4), summed over all mixtures.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub balance_weight: f64,
    /// Weight of the router's z-loss (ST-MoE).
    #[schemars(range(min = 0.0, max = 10.0))]
    pub z_weight: f64,
    /// Width of the embeddings of id channels.
    #[schemars(range(min = 1, max = 4096))]
    pub id_width: usize,
    /// Width of the embeddings of category channels.
    #[schemars(range(min = 1, max = 4096))]
    pub category_width: usize,
}

impl Default for SuperMoeParams {
    fn default() -> SuperMoeParams {
        SuperMoeParams {
            layers: 2,
            heads: 4,
            feed_forwards: 2,
            d_ff: 128,
            experts: 4,
            top_k: 1,
            attention_experts: 1,
            capacity_factor: None,
            jitter: 0.0,
            balance_weight: 0.01,
            z_weight: 0.0,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl SuperMoeParams {
    /// What does not fit, in words.
    pub fn check(&self, d_model: usize) -> Result<(), String> {
        size_checks::positive(&[
            ("layers", self.layers),
            ("heads", self.heads),
            ("feed_forwards", self.feed_forwards),
            ("d_ff", self.d_ff),
            ("experts", self.experts),
            ("attention_experts", self.attention_experts),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])?;
        size_checks::heads_divide(self.heads, d_model)?;
        if self.top_k == 0 || self.top_k > self.experts {
            return Err(format!(
                "`top_k` must be from 1 to `experts`, which is {}; found {}",
                self.experts, self.top_k
            ));
        }
        if let Some(factor) = self
            .capacity_factor
            .filter(|factor| !factor.is_finite() || *factor <= 0.0)
        {
            return Err(format!(
                "`capacity_factor` must be above 0 or null, found {factor}"
            ));
        }
        if !(0.0..=0.9).contains(&self.jitter) {
            return Err(format!(
                "`jitter` must be from 0 to 0.9, found {}",
                self.jitter
            ));
        }
        size_checks::weights(&[
            ("balance_weight", self.balance_weight),
            ("z_weight", self.z_weight),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_the_default_width() {
        assert_eq!(SuperMoeParams::default().check(64), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let told = |change: fn(&mut SuperMoeParams)| {
            let mut params = SuperMoeParams::default();
            change(&mut params);
            params.check(64).unwrap_err()
        };
        assert_eq!(
            told(|params| params.heads = 5),
            "`heads` must divide `d_model`, and 5 does not divide 64"
        );
        assert_eq!(
            told(|params| params.top_k = 5),
            "`top_k` must be from 1 to `experts`, which is 4; found 5"
        );
        assert_eq!(
            told(|params| params.layers = 0),
            "`layers` must be at least 1"
        );
        assert!(told(|params| params.capacity_factor = Some(0.0)).contains("capacity_factor"));
        assert!(told(|params| params.balance_weight = -1.0).contains("balance_weight"));
        assert_eq!(
            told(|params| params.jitter = f64::NAN),
            "`jitter` must be from 0 to 0.9, found NaN"
        );
    }

    #[test]
    fn an_unknown_param_is_refused() {
        let error = serde_json::from_str::<SuperMoeParams>(r#"{"expert": 4}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field `expert`"), "{error}");
    }
}
