//! `supermoe plan`: what would run, and why.

use serde_json::{Value, json};

use crate::harness::Project;
use crate::run::CHAIN;

fn planned(project: &Project) -> Vec<Value> {
    let document = project.ok(&["plan", "workflow.yaml", "--json"]).json();
    document["stages"].as_array().expect("stages").clone()
}

fn states(stages: &[Value]) -> Vec<&str> {
    stages
        .iter()
        .map(|stage| stage["state"].as_str().expect("a state"))
        .collect()
}

#[test]
fn nothing_is_run_and_nothing_is_written() {
    let project = Project::with(CHAIN);
    let stages = planned(&project);
    assert_eq!(stages[0]["name"], "first");
    assert_eq!(stages[0]["state"], "run");
    assert_eq!(stages[0]["reason"]["kind"], "first_run");
    assert_eq!(stages[0]["expected_seconds"], Value::Null);
    assert!(!project.exists(".supermoe/store"));
}

#[test]
fn after_a_run_everything_is_cached() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(states(&planned(&project)), ["cached", "cached"]);
}

#[test]
fn a_changed_param_is_told_with_both_values_and_its_line() {
    let project = Project::with(
        r#"name: typed
stages:
  train:
    uses: toy
    with:
      lr: 0.1
"#,
    )
    .file(
        "plugins/toy/plugin.json",
        &json!({
            "protocol": 1,
            "name": "toy",
            "launch": { "command": ["true"] },
            "params": { "type": "object", "additionalProperties": false,
                        "properties": { "lr": { "type": "number", "default": 0.5 } } }
        })
        .to_string(),
    );
    project.ok(&["run", "workflow.yaml"]);
    project.change("workflow.yaml", "lr: 0.1", "lr: 0.01");
    let stages = planned(&project);
    assert_eq!(states(&stages), ["run"]);
    assert_eq!(
        stages[0]["reason"],
        json!({ "kind": "param_changed", "field": "with.lr", "old": 0.1, "new": 0.01,
                "file": "workflow.yaml", "line": 6 })
    );
    assert!(stages[0]["expected_seconds"].is_f64());
    let text = project.ok(&["plan", "workflow.yaml"]).stdout;
    assert!(
        text.contains("with.lr: 0.1 -> 0.01 (workflow.yaml:6)"),
        "{text}"
    );
}

#[test]
fn what_depends_on_something_that_runs_is_unknown() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    project.change("workflow.yaml", "word: hello", "word: bye");
    let stages = planned(&project);
    assert_eq!(states(&stages), ["run", "unknown"]);
    assert_eq!(stages[1]["reason"]["kind"], "upstream_runs");
    let text = project.ok(&["plan", "workflow.yaml"]);
    insta::assert_snapshot!(text.steady_stdout());
}

#[test]
fn a_plan_reads_like_this() {
    let project = Project::with(CHAIN);
    insta::assert_snapshot!(project.ok(&["plan", "workflow.yaml"]).steady_stdout());
}

#[test]
fn the_plan_is_what_the_run_does() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    project.change("workflow.yaml", "times: 2", "times: 5");
    assert_eq!(states(&planned(&project)), ["cached", "run"]);
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["first: cached", "second: ran"]);
}

#[test]
fn selections_and_force_are_planned_too() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    let document = project
        .ok(&[
            "plan",
            "workflow.yaml",
            "--only",
            "second",
            "--force",
            "second",
            "--json",
        ])
        .json();
    assert_eq!(document["stages"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["stages"][0]["reason"]["kind"], "forced");
}
