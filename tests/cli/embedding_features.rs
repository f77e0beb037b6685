//! Embeddings of one model as features of another.

use crate::harness::Project;
use crate::learning;

/// `tiny.yaml` with a PLE on its own features, and one that sees the embeddings of the encoder too.
fn project() -> Project {
    let project = learning::project("tiny.yaml");
    let text = project.read("workflows/tiny.yaml");
    let (chain, _) = text.split_once("\n  finetune:").expect("a stage");
    let stages = r#"
  export:
    uses: export
    inputs: { dataset: prepare.dataset, encoder: pretrain.encoder }
  pretrained:
    uses: export
    matrix: { features: [with] }
    inputs: { dataset: prepare.dataset, encoder: pretrain.encoder }
  finetune:
    uses: finetune
    matrix: { features: [own, with] }
    inputs: { dataset: prepare.dataset, embeddings: pretrained.embeddings }
    with: { model: ple, models: { ple: { levels: 1, d_ff: 16 } }, d_model: 16, seed: 7, epochs: 1, batch_size: 32, optimizer: { warmup_steps: 2 } }
  predict:
    uses: predict
    inputs: { dataset: prepare.dataset, model: alone.model, embeddings: export.embeddings }
    with: { splits: [test] }
  alone:
    uses: finetune
    inputs: { dataset: prepare.dataset, embeddings: export.embeddings }
    with: { model: ple, models: { ple: { levels: 1, d_ff: 16 } }, d_model: 16, seed: 7, epochs: 1, batch_size: 32, optimizer: { warmup_steps: 2 } }
"#;
    project.write("workflows/tiny.yaml", &format!("{chain}{stages}"));
    project
}

#[test]
fn a_model_sees_the_embeddings_of_another_and_is_scored_with_them() {
    let project = project();
    project.ok(&["run", "workflows/tiny.yaml"]);
    let latest = project.latest();
    let stages = latest["stages"].as_array().expect("stages");
    let auc = |features: &str| {
        let stage = stages
            .iter()
            .find(|stage| stage["name"] == "finetune" && stage["matrix"]["features"] == features);
        stage.expect("a cell")["metrics"]["valid/mean_auc"]
            .as_f64()
            .expect("an AUC")
    };
    assert_ne!(auc("own"), auc("with"));
    let read = |output: &str, to: &str| {
        project.ok(&["get", "latest", output, "--to", to]);
        project.read(&format!("{to}/config.json"))
    };
    assert!(read("finetune[features=with].model", "with").contains("\"embedding_15\""));
    assert!(!read("finetune[features=own].model", "own").contains("embedding_0"));
}

#[test]
fn embeddings_that_are_missing_are_told_with_what_to_do() {
    let project = project();
    project.change(
        "workflows/tiny.yaml",
        "  pretrained:\n    uses: export\n",
        "  pretrained:\n    uses: export\n    with: { splits: [test] }\n",
    );
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml", "--until", "finetune"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let message = format!("{}{}", outcome.stdout, outcome.stderr).replace('\n', " ");
    for said in [
        "samples of the dataset have none, for example entity",
        "let `export` embed all",
    ] {
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn a_model_is_not_scored_without_the_embeddings_that_it_learned_with() {
    let project = project();
    project.change(
        "workflows/tiny.yaml",
        "model: alone.model, embeddings: export.embeddings",
        "model: alone.model",
    );
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml", "--until", "predict"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let message = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(
        message.contains("give both stages the same `embeddings`"),
        "{message}"
    );
}
