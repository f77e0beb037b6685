//! The `predict` plugin: scores by a fine-tuned model of any list of models.

use supermoe_plugin::sdk::BuiltIn;
use supermoe_trainer::ModelFactory;

/// The plugin, for artifacts of these models.
pub fn plugin(models: Vec<ModelFactory>) -> BuiltIn {
    supermoe_trainer::plugins::predict(models)
}
