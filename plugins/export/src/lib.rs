//! The `export` plugin: embeddings by an encoder or model of any list of models.

use supermoe_plugin::sdk::BuiltIn;
use supermoe_trainer::ModelFactory;

/// The plugin, for artifacts of these models.
pub fn plugin(models: Vec<ModelFactory>) -> BuiltIn {
    supermoe_trainer::plugins::export(models)
}
