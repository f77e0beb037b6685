//! Options of training that ask what pre-training adds, and how exactly products are computed.

use serde_json::Value;

use crate::harness::Project;
use crate::learning;

/// `tiny.yaml` with one more line in the params of a stage.
fn project(stage: &str, line: &str) -> Project {
    let project = learning::project("tiny.yaml");
    let text = project.read("workflows/tiny.yaml");
    let (before, rest) = text
        .split_once(&format!("\n  {stage}:\n    uses: {stage}\n"))
        .expect("the stage");
    let rest = rest.replacen("    with:\n", &format!("    with:\n      {line}\n"), 1);
    let stage = format!("\n  {stage}:\n    uses: {stage}\n");
    project.write("workflows/tiny.yaml", &format!("{before}{stage}{rest}"));
    project
}

fn metric(project: &Project, stage: &str, metric: &str) -> Option<f64> {
    let stages = project.latest()["stages"].clone();
    let stages: &Vec<Value> = stages.as_array().expect("stages");
    let stage = stages.iter().find(|of| of["name"] == stage);
    stage.expect("the stage")["metrics"][metric].as_f64()
}

#[test]
fn what_comes_next_is_learned_beside_the_masked_channels() {
    let project = project("pretrain", "future: { snapshots: [1, 2], steps: 8 }");
    project.ok(&["run", "workflows/tiny.yaml", "--until", "pretrain"]);
    project.ok(&["get", "latest", "pretrain.history", "--to", "history"]);
    let history = project.read("history/history");
    for head in ["active_1", "active_2", "visits_1", "product", "country"] {
        let losses: Vec<f64> = history
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|record| record["name"] == format!("train/future.{head}/loss"))
            .filter_map(|record| record["value"].as_f64())
            .collect();
        assert!(!losses.is_empty(), "{head}: {history}");
        assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0));
    }
}

#[test]
fn a_future_further_ahead_than_the_training_snapshots_is_refused() {
    let project = project("pretrain", "future: { snapshots: [14] }");
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml", "--until", "pretrain"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let said = outcome
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        said.contains(
            "14 snapshots ahead needs at least 15 snapshots in the training split, and it has 14"
        ),
        "{said}"
    );
}

/// One sample has no other to be told from.
#[test]
fn a_training_without_anything_to_learn_from_is_refused() {
    let project = learning::project("tiny.yaml");
    // The first of each is that of `pretrain`.
    project.change("workflows/tiny.yaml", "model: supermoe", "model: mtssl");
    project.change("workflows/tiny.yaml", "batch_size: 32", "batch_size: 1");
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml", "--until", "pretrain"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let said: Vec<&str> = outcome.stderr.split_whitespace().collect();
    let said = said.join(" ");
    assert!(said.contains("steps had anything to learn from"), "{said}");
}

#[test]
fn a_share_of_the_labels_is_fewer_steps_of_the_same_test_set() {
    let project = project("finetune", "labelled: 0.25");
    project.ok(&["run", "workflows/tiny.yaml"]);
    let few = metric(&project, "evaluate", "test/buy30/auc").expect("an AUC");
    project.change("workflows/tiny.yaml", "labelled: 0.25", "labelled: 1.0");
    project.ok(&["run", "workflows/tiny.yaml"]);
    let all = metric(&project, "evaluate", "test/buy30/auc").expect("an AUC");
    assert!(few.to_bits() != all.to_bits() && few > 0.4);
}

#[test]
fn products_of_bfloat16_give_nearly_the_same_scores_or_are_refused() {
    let project = project("finetune", "precision: bf16");
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml"]);
    #[cfg(target_arch = "x86_64")]
    let has_it = is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has_it = false;
    if !has_it {
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stderr.contains("AVX512-BF16"), "{}", outcome.stderr);
        return;
    }
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let rounded = metric(&project, "evaluate", "test/spend60/auc").expect("an AUC");
    project.change("workflows/tiny.yaml", "precision: bf16", "precision: f32");
    project.ok(&["run", "workflows/tiny.yaml"]);
    let exact = metric(&project, "evaluate", "test/spend60/auc").expect("an AUC");
    assert!(rounded.to_bits() != exact.to_bits());
    assert!((rounded - exact).abs() < 0.05, "{rounded} and {exact}");
}
