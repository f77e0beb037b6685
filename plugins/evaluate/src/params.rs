//! `with` of an `evaluate` stage.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use supermoe_plugin::sdk::PluginError;

use crate::uncertainty::Settings;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Penalty of the probe that is fitted on embeddings: minimised is the sum of losses + probe_l2 / 2 *
    /// |weights|², on embeddings scaled to mean 0 and deviation 1 (scikit-learn's 1 / C).
    #[serde(default = "one")]
    #[schemars(range(min = 0.000001, max = 1000000000.0))]
    pub probe_l2: f64,
    /// The tasks that are measured; null: all. Inputs that have none of them are left out, so that models
    /// of single tasks can stand in one table with models of all.
    #[serde(default)]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub tasks: Option<Vec<String>>,
    /// Of the confidence intervals.
    #[serde(default = "default_confidence")]
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// The bootstrap over entities, which makes every interval and test but those of an AUC whose entities
    /// stand once in the test set: these are DeLong's.
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// The row that all others are compared with, by its matrix values, such as `{ model: ple }`; null: the
    /// first.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub reference: Option<IndexMap<String, Value>>,
    /// Parts of the test set that are measured by themselves, by name: an SQL expression over the columns
    /// of its samples, whose values part it. Columns are `in_train` (whether the entity has a training
    /// sample), `sample_steps`, `history_steps`, `entity`, `snapshot`, the aggregates of the input `dataset`,
    /// and its channels as they are at the sample's newest step.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "type": "string", "minLength": 1 }, "examples" = [{
        "users": "CASE WHEN in_train THEN 'known' ELSE 'new' END",
        "length": "CASE WHEN sample_steps < 10 THEN 'below 10' ELSE '10 and more' END",
    }]))]
    pub segments: IndexMap<String, String>,
}

impl Params {
    /// What a schema says too, for who runs the worker without one.
    pub fn check(&self) -> Result<(), PluginError> {
        let Params {
            probe_l2,
            confidence,
            ..
        } = self;
        if !(1e-6..=1e9).contains(probe_l2) {
            return Err(PluginError::new(format!(
                "`probe_l2`: expected a number from 0.000001 to 1000000000, found {probe_l2}"
            )));
        }
        if !(0.5..=0.9999).contains(confidence) {
            return Err(PluginError::new(format!(
                "`confidence`: expected a number from 0.5 to 0.9999, found {confidence}"
            )));
        }
        if self.segments.keys().any(|name| name.trim().is_empty()) {
            return Err(PluginError::new(
                "`segments`: an expression has an empty name; give it one, by which the report calls its parts",
            ));
        }
        Ok(())
    }

    pub fn settings(&self) -> Settings {
        Settings {
            confidence: self.confidence,
            resamples: self.bootstrap.resamples,
            seed: self.bootstrap.seed,
            reference: self.reference.clone(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// How often entities are drawn again; 0: no bootstrap.
    #[schemars(range(max = 100000))]
    pub resamples: u32,
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Bootstrap {
        Bootstrap {
            resamples: 1000,
            seed: 0,
        }
    }
}

fn one() -> f64 {
    1.0
}

fn default_confidence() -> f64 {
    0.95
}
