//! Plugins with variants: one param chooses the program and the section.

use serde_json::json;

use crate::fixture::{Fixture, cell, codes, project, with_stages};

fn finetune(with: &str) -> String {
    with_stages(&format!(
        "  p: {{ uses: prepare, inputs: {{ transactions: ./t }} }}\n  f: {{ uses: finetune, inputs: {{ dataset: p.dataset }}, with: {{ {with} }} }}\n"
    ))
}

fn fixture() -> (tempfile::TempDir, Fixture) {
    project(&["t"])
}

#[test]
fn the_chosen_section_alone_is_checked_and_kept() {
    let (_folder, fixture) = fixture();
    let workflow = fixture.workflow(&finetune(
        "model: ple, lr: 0.001, models: { ple: { towers: 2 }, supermoe: { experts: -5 } }",
    ));
    let f = cell(&workflow, "f");
    assert_eq!(
        json!(f.params),
        json!({ "model": "ple", "seed": 0, "lr": 0.001, "d_model": 64, "models": { "ple": { "towers": 2 } } })
    );
    assert_eq!(
        json!(f.explicit_params),
        json!({ "model": "ple", "models": { "ple": { "towers": 2 } } })
    );
    let variant = f.variant.as_ref().expect("a variant");
    assert_eq!(
        (
            variant.value.as_str(),
            variant.revision.as_deref(),
            variant.section.as_deref()
        ),
        ("ple", Some("2"), Some("models"))
    );
    assert_eq!(
        fixture.codes(&finetune(
            "model: supermoe, models: { supermoe: { experts: -5 } }"
        )),
        ["plugin_param"]
    );
}

#[test]
fn a_variant_that_the_plugin_cannot_use_is_told_with_its_reason() {
    let (_folder, fixture) = fixture();
    let pretrain = |with: &str| {
        with_stages(&format!(
            "  p: {{ uses: prepare, inputs: {{ transactions: ./t }} }}\n  f: {{ uses: pretrain, inputs: {{ dataset: p.dataset }}, with: {{ {with} }} }}\n"
        ))
    };
    assert_eq!(
        fixture.codes(&pretrain("model: ple")),
        ["unavailable_variant"]
    );
    let errors = fixture.errors(&pretrain("model: ple"));
    for said in [
        "`pretrain` cannot use the model `ple`, which the stage `f` chooses",
        "`ple` has no pre-training",
        "The models that it can use: bert, slow, supermoe.",
    ] {
        assert!(errors.contains(said), "{said}: {errors}");
    }
    let beside = pretrain("model: bert, models: { ple: {}, bert: { layers: 3 } }");
    assert_eq!(fixture.codes(&beside), Vec::<&str>::new());
}

#[test]
fn what_a_variant_needs_is_asked_for_with_its_reason() {
    let (_folder, fixture) = fixture();
    let pretrain = |with: &str| {
        with_stages(&format!(
            "  p: {{ uses: prepare, inputs: {{ transactions: ./t }} }}\n  f: {{ uses: pretrain, inputs: {{ dataset: p.dataset }}, with: {{ {with} }} }}\n"
        ))
    };
    assert_eq!(
        fixture.codes(&pretrain("model: supermoe")),
        Vec::<&str>::new()
    );
    assert_eq!(
        fixture.codes(&pretrain("model: slow, steps: 5")),
        Vec::<&str>::new()
    );
    assert_eq!(
        fixture.codes(&pretrain("model: slow")),
        ["missing_plugin_param"]
    );
    let errors = fixture.errors(&pretrain("model: slow"));
    let said = "`with` of the stage `f`: `steps` is missing, which model `slow` needs: `slow` learns slowly";
    assert!(errors.contains(said), "{errors}");
}

#[test]
fn a_default_chooses_too() {
    let (_folder, fixture) = fixture();
    let workflow = fixture.workflow(&finetune("seed: 1"));
    let f = cell(&workflow, "f");
    assert_eq!(
        f.variant.as_ref().map(|variant| variant.value.as_str()),
        Some("supermoe")
    );
    assert_eq!(f.params["models"], json!({ "supermoe": { "experts": 4 } }));
    assert_eq!(json!(f.explicit_params), json!({ "seed": 1 }));
}

#[test]
fn an_external_plugin_stands_in_for_a_value() {
    let (_folder, fixture) = fixture();
    let workflow = fixture.workflow(&finetune(
        "model: gru, models: { gru: { hidden: 8 }, ple: {} }",
    ));
    let f = cell(&workflow, "f");
    assert_eq!(
        (f.plugin.name(), f.base_plugin.as_ref()),
        ("finetune-gru", "finetune")
    );
    assert_eq!(f.params["models"], json!({ "gru": { "hidden": 8 } }));
    assert_eq!(
        fixture.codes(&finetune("model: gru, lr: 1.0")),
        ["unknown_plugin_param"]
    );
}

#[test]
fn unknown_models_are_refused() {
    let (_folder, fixture) = fixture();
    assert_eq!(
        fixture.codes(&finetune("model: pel, lr: -1.0")),
        ["unknown_variant", "plugin_param"]
    );
    assert_eq!(
        fixture.codes(&finetune("model: ple, models: { pel: {} }")),
        ["unknown_plugin_param"]
    );
    assert_eq!(fixture.codes(&finetune("model: 5")), ["plugin_param"]);
    assert_eq!(
        codes(&with_stages("  a: { uses: pretrain }\n")),
        ["missing_plugin_param", "missing_input"]
    );
}
