//! Params of the model: the section `models.mtssl`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Which features a view hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureMasking {
    /// One drawn at random and those that it has the most mutual information with.
    #[default]
    Correlated,
    /// Any, drawn at random.
    Random,
}

/// Sizes and pre-training of MTSSL; the width of a user's representation is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MtsslParams {
    /// Hidden layers of the network.
    #[schemars(range(min = 1, max = 64))]
    pub layers: usize,
    /// Width of a hidden layer.
    #[schemars(range(min = 1, max = 65536))]
    pub d_ff: usize,
    /// Which features the first view hides; the second hides the others. `correlated`: one drawn at
    /// random and those that it has the most mutual information with. `random`: any.
    pub masking: FeatureMasking,
    /// Share of a user's steps that a view leaves out.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub step_dropout: f64,
    /// What cosines are divided by in the contrastive loss.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
    /// Width of the embeddings of id channels.
    #[schemars(range(min = 1, max = 4096))]
    pub id_width: usize,
    /// Width of the embeddings of category channels.
    #[schemars(range(min = 1, max = 4096))]
    pub category_width: usize,
}

impl Default for MtsslParams {
    fn default() -> MtsslParams {
        MtsslParams {
            layers: 2,
            d_ff: 128,
            masking: FeatureMasking::Correlated,
            step_dropout: 0.2,
            temperature: 0.1,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl MtsslParams {
    /// What does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        size_checks::positive(&[
            ("layers", self.layers),
            ("d_ff", self.d_ff),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])?;
        if !(0.0..=0.9).contains(&self.step_dropout) {
            return Err(format!(
                "`step_dropout` must be from 0 to 0.9, found {}",
                self.step_dropout
            ));
        }
        if !(0.001..=10.0).contains(&self.temperature) {
            return Err(format!(
                "`temperature` must be from 0.001 to 10, found {}",
                self.temperature
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let told = |change: fn(&mut MtsslParams)| {
            let mut params = MtsslParams::default();
            change(&mut params);
            params.check().unwrap_err()
        };
        assert_eq!(MtsslParams::default().check(), Ok(()));
        assert_eq!(
            told(|params| params.layers = 0),
            "`layers` must be at least 1"
        );
        assert_eq!(
            told(|params| params.step_dropout = 1.0),
            "`step_dropout` must be from 0 to 0.9, found 1"
        );
        assert_eq!(
            told(|params| params.temperature = 0.0),
            "`temperature` must be from 0.001 to 10, found 0"
        );
    }
}
