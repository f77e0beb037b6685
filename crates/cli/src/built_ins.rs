//! The one list of built-in plugins.

use supermoe_plugin::catalog::{Catalog, PluginEntry};
use supermoe_plugin::sdk::BuiltIn;
use supermoe_trainer::ModelFactory;

/// Derives a plugin's manifest from Rust types.
type Make = fn() -> BuiltIn;

/// The plugins whose workers this program serves, by name.
const SERVED: [(&str, Make); 8] = [
    ("abtest", supermoe_abtest::plugin),
    ("evaluate", supermoe_evaluate::plugin),
    ("export", || supermoe_export::plugin(models())),
    ("finetune", || supermoe_finetune::plugin(models())),
    ("predict", || supermoe_predict::plugin(models())),
    ("prepare", supermoe_prepare::plugin),
    ("pretrain", || supermoe_pretrain::plugin(models())),
    ("select", supermoe_select::plugin),
];

/// The models that the stages which train or use one know.
fn models() -> Vec<ModelFactory> {
    vec![
        supermoe_model_supermoe::factory(),
        supermoe_model_bert::factory(),
        supermoe_model_aetn::factory(),
        supermoe_model_mtssl::factory(),
        supermoe_model_mmoe::factory(),
        supermoe_model_ple::factory(),
    ]
}

/// All of them. `shell` is a manifest only: its worker is the shell itself.
pub fn catalog() -> Catalog {
    let served = SERVED
        .iter()
        .map(|(name, make)| PluginEntry::built_in(name, || make().manifest));
    let shell = PluginEntry::built_in("shell", supermoe_shell::manifest);
    Catalog::of(served.chain([shell]))
}

/// The served plugin of that name.
pub fn named(name: &str) -> Option<BuiltIn> {
    SERVED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, make)| make())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plugin_is_listed_by_its_own_name() {
        for entry in catalog().entries() {
            assert_eq!(entry.manifest.name, entry.name());
        }
    }

    #[test]
    fn all_manifests_are_right() {
        assert_eq!(catalog().problems_of_built_ins(), []);
    }
}
