//! Params of the model: the section `models.aetn`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_trainer::size_checks;

/// Sizes of AETN; its width, and that of the autoencoder's code, is `d_model` of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AetnParams {
    /// Number of blocks.
    #[schemars(range(min = 1, max = 256))]
    pub layers: usize,
    /// Attention heads; a divisor of `d_model`.
    #[schemars(range(min = 1, max = 256))]
    pub heads: usize,
    /// Inner width of the feed-forward networks and of the autoencoder.
    #[schemars(range(min = 1, max = 65536))]
    pub d_ff: usize,
    /// Share of the aggregate that is set to 0 before the autoencoder sees it, in training.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub noise: f64,
    /// Weight of the autoencoder's loss.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub autoencoder_weight: f64,
    /// Weight of the loss of telling the aggregate from what the transformer makes of the user.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub reconstruction_weight: f64,
    /// The most codes of a channel that the aggregate tells apart; of a channel with more, codes share
    /// their place with others.
    #[schemars(range(min = 1, max = 65536))]
    pub bag_width: usize,
    /// Width of the embeddings of id channels.
    #[schemars(range(min = 1, max = 4096))]
    pub id_width: usize,
    /// Width of the embeddings of category channels.
    #[schemars(range(min = 1, max = 4096))]
    pub category_width: usize,
}

impl Default for AetnParams {
    fn default() -> AetnParams {
        AetnParams {
            layers: 2,
            heads: 4,
            d_ff: 128,
            noise: 0.2,
            autoencoder_weight: 0.5,
            reconstruction_weight: 0.5,
            bag_width: 256,
            id_width: 16,
            category_width: 8,
        }
    }
}

impl AetnParams {
    /// What does not fit, in words.
    pub fn check(&self, d_model: usize) -> Result<(), String> {
        size_checks::positive(&[
            ("layers", self.layers),
            ("d_ff", self.d_ff),
            ("bag_width", self.bag_width),
            ("id_width", self.id_width),
            ("category_width", self.category_width),
        ])?;
        size_checks::heads_divide(self.heads, d_model)?;
        if !(0.0..=0.9).contains(&self.noise) {
            return Err(format!(
                "`noise` must be from 0 to 0.9, found {}",
                self.noise
            ));
        }
        size_checks::weights(&[
            ("autoencoder_weight", self.autoencoder_weight),
            ("reconstruction_weight", self.reconstruction_weight),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let told = |change: fn(&mut AetnParams)| {
            let mut params = AetnParams::default();
            change(&mut params);
            params.check(64).unwrap_err()
        };
        assert_eq!(AetnParams::default().check(64), Ok(()));
        assert_eq!(
            told(|params| params.heads = 6),
            "`heads` must divide `d_model`, and 6 does not divide 64"
        );
        assert_eq!(
            told(|params| params.bag_width = 0),
            "`bag_width` must be at least 1"
        );
        assert_eq!(
            told(|params| params.noise = 1.0),
            "`noise` must be from 0 to 0.9, found 1"
        );
        assert_eq!(
            told(|params| params.autoencoder_weight = f64::NAN),
            "`autoencoder_weight` must be at least 0, found NaN"
        );
    }
}
