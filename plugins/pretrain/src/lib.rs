//! The `pretrain` plugin: masked channel prediction over any list of models.

use supermoe_plugin::sdk::BuiltIn;
use supermoe_trainer::ModelFactory;

/// The plugin, with these models as the values of its param `model`.
pub fn plugin(models: Vec<ModelFactory>) -> BuiltIn {
    supermoe_trainer::plugins::pretrain(models)
}
