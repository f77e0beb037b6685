//! Every model through the learning chain: one line of a workflow swaps them.

use crate::harness::Project;
use crate::learning;

const MODELS: [&str; 6] = ["supermoe", "bert", "aetn", "mtssl", "mmoe", "ple"];

/// `prepare` of `tiny.yaml`, then all models, those with a pre-training pre-trained.
fn project() -> Project {
    let project = learning::project("tiny.yaml");
    let text = project.read("workflows/tiny.yaml");
    let (prepare, _) = text.split_once("\n  pretrain:").expect("a stage");
    let sizes = "models: { supermoe: { layers: 1, heads: 2, d_ff: 32 }, bert: { layers: 1, heads: 2, d_ff: 32 }, \
                 aetn: { layers: 1, heads: 2, d_ff: 32 }, mtssl: { layers: 1, d_ff: 32 }, mmoe: { experts: 2, d_ff: 32 }, \
                 ple: { levels: 1, d_ff: 32 } }";
    let stages = format!(
        r#"
  pretrain:
    uses: pretrain
    matrix: {{ model: [supermoe, bert, aetn, mtssl] }}
    inputs: {{ dataset: prepare.dataset }}
    with:
      model: "${{{{ matrix.model }}}}"
      {sizes}
      d_model: 16
      seed: 7
      predict: [product, country]
      max_steps: 10
      batch_size: 32
      valid_samples: 50
      optimizer: {{ warmup_steps: 2 }}

  finetune:
    uses: finetune
    matrix: {{ model: [{}] }}
    inputs: {{ dataset: prepare.dataset, encoder: pretrain.encoder }}
    with:
      model: "${{{{ matrix.model }}}}"
      {sizes}
      d_model: 16
      seed: 7
      epochs: 2
      batch_size: 32
      optimizer: {{ learning_rate: 0.003, warmup_steps: 10 }}

  evaluate:
    uses: evaluate
    inputs: {{ predictions: "finetune.*.predictions" }}
"#,
        MODELS.join(", ")
    );
    project.write("workflows/tiny.yaml", &format!("{prepare}{stages}"));
    project
}

#[test]
fn one_line_swaps_the_models_and_two_stores_hold_the_same() {
    let project = project();
    project.ok(&["run", "workflows/tiny.yaml"]);
    let stages = project.latest()["stages"].clone();
    let stages = stages.as_array().expect("stages");
    let metric = |name: &str, model: &str, metric: &str| {
        let stage = stages
            .iter()
            .find(|stage| stage["name"] == name && stage["matrix"]["model"] == model);
        let stage = stage.unwrap_or_else(|| panic!("no {name} of {model} in {stages:?}"));
        stage["metrics"][metric].as_f64()
    };
    for model in MODELS {
        let auc = metric("finetune", model, "valid/mean_auc").expect("an AUC");
        assert!((0.4..1.0).contains(&auc), "{model}: {auc}");
    }
    assert!(metric("pretrain", "mtssl", "valid/contrast/loss").is_some());
    assert!(metric("pretrain", "aetn", "valid/product/loss").is_some());
    project.ok(&["run", "workflows/tiny.yaml"]);
    let states = project.states();
    assert!(
        states.iter().all(|state| state.ends_with("cached")),
        "{states:?}"
    );

    let again = self::project();
    again.ok(&["run", "workflows/tiny.yaml"]);
    let digests = learning::digests(&project.latest());
    for model in MODELS {
        let output = format!("finetune[model={model}].predictions");
        assert!(digests.contains_key(&output), "{output}: {digests:?}");
    }
    assert_eq!(learning::digests(&again.latest()), digests);
}

#[test]
fn a_model_without_pre_training_is_refused_before_anything_runs() {
    let project = project();
    project.change(
        "workflows/tiny.yaml",
        "matrix: { model: [supermoe, bert, aetn, mtssl] }",
        "matrix: { model: [supermoe, ple] }",
    );
    let outcome = project.supermoe(&["check", "workflows/tiny.yaml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    let message = outcome.steady_stderr();
    for said in [
        "`pretrain` cannot use the model `ple`",
        "`ple` has no pre-training: use it in `finetune`, without an `encoder`",
        "aetn, bert, mtssl, supermoe",
    ] {
        assert!(message.contains(said), "{said}: {message}");
    }
}
