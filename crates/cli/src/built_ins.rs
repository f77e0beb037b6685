//! The one list of built-in plugins.

use supermoe_plugin::manifest::Manifest;
use supermoe_plugin::sdk::BuiltIn;
use supermoe_trainer::ModelFactory;

/// Derives a plugin's manifest from Rust types.
type Make = fn() -> BuiltIn;

/// The plugins whose workers this program serves, by name.
const SERVED: [(&str, Make); 6] = [
    ("evaluate", supermoe_evaluate::plugin),
    ("export", || supermoe_export::plugin(models())),
    ("finetune", || supermoe_finetune::plugin(models())),
    ("predict", || supermoe_predict::plugin(models())),
    ("prepare", supermoe_prepare::plugin),
    ("pretrain", || supermoe_pretrain::plugin(models())),
];

/// The models that the stages which train or use one know.
fn models() -> Vec<ModelFactory> {
    vec![supermoe_model_supermoe::factory()]
}

/// The manifests of all of them. `shell` is a manifest only: its worker is the shell itself.
pub fn manifests() -> Vec<Manifest> {
    SERVED
        .iter()
        .map(|(_, make)| make().manifest)
        .chain([supermoe_shell::manifest()])
        .collect()
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
    use supermoe_plugin::catalog::Catalog;

    #[test]
    fn each_plugin_is_listed_by_its_own_name() {
        for (name, make) in SERVED {
            assert_eq!(make().manifest.name, name);
        }
    }

    #[test]
    fn all_manifests_are_right() {
        assert_eq!(Catalog::built_ins(manifests()).problems_of_built_ins(), []);
    }
}
