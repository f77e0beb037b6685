//! Params of the optimizer, shared by pre-training and fine-tuning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_nn::optim::{AdamWConfig, LearningRates};
use supermoe_nn::tables::RowOptimizer;

use crate::error::TrainError;
use crate::schedule::Decay;
use crate::training_params::in_range;

/// How parameters are updated: AdamW (Loshchilov and Hutter 2019), rows of id tables by `id_rows`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerParams {
    /// The largest learning rate, reached at the end of the warm-up.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Parts of the learning rate by group of parameters.
    pub rates: GroupRates,
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
    /// How rows of id tables are updated; only those that a step uses change: `lazy_adam`, or
    /// `row_adagrad`, whose state is a third of the size.
    pub id_rows: IdRows,
}

/// Factors of the learning rate; 0: the group stands still.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupRates {
    /// Of the encoder without its tables.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub encoder: f64,
    /// Of towers, and of the heads of pre-training.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub towers: f64,
    /// Of the embedding tables of categories and ids.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub tables: f64,
}

impl Default for GroupRates {
    fn default() -> GroupRates {
        GroupRates {
            encoder: 1.0,
            towers: 1.0,
            tables: 1.0,
        }
    }
}

/// How rows of id tables are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdRows {
    /// Adam whose moments decay only where a row is used.
    #[default]
    LazyAdam,
    /// Adagrad with one sum of squares for each row.
    RowAdagrad,
}

impl Default for OptimizerParams {
    fn default() -> OptimizerParams {
        OptimizerParams {
            learning_rate: 1e-3,
            rates: GroupRates::default(),
            weight_decay: 0.01,
            warmup_steps: 100,
            decay: Decay::Cosine,
            clip_norm: Some(1.0),
            id_rows: IdRows::default(),
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

    /// How rows of id tables are updated, in the words of `supermoe_nn`.
    pub fn row_optimizer(&self) -> RowOptimizer {
        match self.id_rows {
            IdRows::LazyAdam => RowOptimizer::LazyAdam,
            IdRows::RowAdagrad => RowOptimizer::RowAdagrad,
        }
    }

    /// Each group's rate where the full one is `rate`; an encoder that is frozen stands still with its
    /// tables.
    pub fn learning_rates(&self, rate: f64, encoder_learns: bool) -> LearningRates {
        let of = |factor: f64, learns: bool| {
            let rate = (rate * factor) as f32;
            (learns && factor > 0.0).then_some(rate)
        };
        LearningRates {
            encoder: of(self.rates.encoder, encoder_learns),
            towers: of(self.rates.towers, true),
            tables: of(self.rates.tables, encoder_learns),
        }
    }

    pub fn check(&self) -> Result<(), TrainError> {
        in_range("optimizer.learning_rate", self.learning_rate, 0.0, 10.0)?;
        in_range("optimizer.weight_decay", self.weight_decay, 0.0, 1.0)?;
        in_range("optimizer.rates.encoder", self.rates.encoder, 0.0, 10.0)?;
        in_range("optimizer.rates.towers", self.rates.towers, 0.0, 10.0)?;
        in_range("optimizer.rates.tables", self.rates.tables, 0.0, 10.0)?;
        match self.clip_norm {
            Some(norm) if norm.is_nan() || norm <= 0.0 => Err(TrainError::param(
                "optimizer.clip_norm",
                format!("expected a number above 0 or null, found {norm}"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_rates_of_their_own() {
        let params: OptimizerParams =
            serde_json::from_str(r#"{ "rates": { "encoder": 0.5, "tables": 0 } }"#).unwrap();
        let rates = params.learning_rates(0.1, true);
        assert_eq!(
            (rates.encoder, rates.towers, rates.tables),
            (Some(0.05), Some(0.1), None)
        );
        let frozen = OptimizerParams::default().learning_rates(0.1, false);
        assert_eq!(
            (frozen.encoder, frozen.towers, frozen.tables),
            (None, Some(0.1), None)
        );
    }

    #[test]
    fn what_is_out_of_range_is_told() {
        let told = |text: &str| {
            let params: OptimizerParams = serde_json::from_str(text).unwrap();
            params.check().unwrap_err().to_string()
        };
        assert_eq!(
            told(r#"{ "rates": { "towers": -1 } }"#),
            "`optimizer.rates.towers`: expected a number from 0 to 10, found -1"
        );
        assert!(told(r#"{ "clip_norm": 0 }"#).starts_with("`optimizer.clip_norm`"));
        assert!(told(r#"{ "learning_rate": 11 }"#).starts_with("`optimizer.learning_rate`"));
    }
}
