//! A third party's model, as docs/add-a-model.md has it: built, laid out in a project, run beside the built-in
//! ones.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::Project;
use crate::learning;

/// The program of examples/model-gru, built as this test was.
fn program() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--offline",
            "--quiet",
            "--package",
            "supermoe-model-gru",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "examples/model-gru does not build");
    let test = std::env::current_exe().expect("this test");
    let folder = test.ancestors().nth(2).expect("target/<profile>/deps");
    folder.join("supermoe-model-gru")
}

fn project() -> Project {
    let project = learning::project("tiny.yaml");
    let text = project.read("workflows/tiny.yaml");
    let (prepare, _) = text.split_once("\n  pretrain:").expect("a stage");
    let stages = r#"
  pretrain:
    uses: pretrain
    matrix: { model: [bert, gru] }
    inputs: { dataset: prepare.dataset }
    with:
      model: "${{ matrix.model }}"
      models: &models { gru: { layers: 1, id_width: 8, category_width: 4 }, bert: { layers: 1, heads: 2, d_ff: 32 } }
      d_model: 16
      seed: 7
      predict: [product, country]
      max_steps: 5
      batch_size: 32
      valid_samples: 50
      optimizer: { warmup_steps: 2 }
  finetune:
    uses: finetune
    matrix: { model: [bert, gru, ple] }
    inputs: { dataset: prepare.dataset, encoder: pretrain.encoder }
    with:
      model: "${{ matrix.model }}"
      models: *models
      d_model: 16
      seed: 7
      epochs: 1
      max_steps: 10
      batch_size: 32
      optimizer: { learning_rate: 0.003, warmup_steps: 2 }
  evaluate:
    uses: evaluate
    inputs: { predictions: "finetune.*.predictions" }
  embed:
    uses: export-gru
    matrix: { model: [gru] }
    inputs: { dataset: prepare.dataset, model: finetune.model }
"#;
    project.write("workflows/tiny.yaml", &format!("{prepare}{stages}"));
    project
}

#[test]
fn a_model_of_its_own_crate_runs_beside_the_built_in_ones() {
    let project = project();
    let unknown = project.supermoe(&["check", "workflows/tiny.yaml"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    let installed = Command::new(program())
        .args(["install", "plugins"])
        .current_dir(project.path(""))
        .status();
    assert!(installed.expect("it runs").success());
    project.ok(&["run", "workflows/tiny.yaml"]);
    let latest = project.latest();
    let stages = latest["stages"].as_array().expect("stages");
    let evaluated = stages.iter().find(|stage| stage["name"] == "evaluate");
    let metrics = &evaluated.expect("it ran")["metrics"];
    for model in ["bert", "gru", "ple"] {
        let auc = &metrics[format!("test/mean_auc[model={model}]")];
        assert!(
            (0.3..1.0).contains(&auc.as_f64().expect("an AUC")),
            "{model}: {auc}"
        );
    }
    project.ok(&["run", "workflows/tiny.yaml"]);
    let states = project.states();
    assert!(
        states.iter().all(|state| state.ends_with("cached")),
        "{states:?}"
    );
}

#[test]
fn its_params_are_checked_as_those_of_the_built_in_ones() {
    let project = project();
    let installed = Command::new(program())
        .args(["install", "plugins"])
        .current_dir(project.path(""))
        .status();
    assert!(installed.expect("it runs").success());
    project.change("workflows/tiny.yaml", "gru: { layers: 1", "gru: { layer: 1");
    let outcome = project.supermoe(&["check", "workflows/tiny.yaml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.steady_stderr().contains("layers"), "{outcome}");
}
