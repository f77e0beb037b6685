//! Plugins that are not part of this program: found, run, scaffolded, tested.

use crate::harness::Project;

/// A plugin in shell: copies its param into its output and tells progress and a metric.
const PROGRAM: &str = r##"#!/bin/sh
set -eu
request=$(cat "$SUPERMOE_REQUEST")
out=$(printf '%s' "$request" | tr ',{}' '\n\n\n' | grep '"text":"/' | cut -d'"' -f4)
word=$(printf '%s' "$request" | tr ',{}' '\n\n\n' | grep '"word":' | cut -d'"' -f4)
printf '{"event":"progress","done":1,"total":1}\n' >> "$SUPERMOE_EVENTS"
printf '{"event":"metric","name":"length","value":%s}\n' "${#word}" >> "$SUPERMOE_EVENTS"
echo "noise on stdout that is no JSON {"
printf '%s' "$word" > "$out"
"##;

fn manifest(name: &str, more: &str) -> String {
    format!(
        r#"{{ "protocol": 1, "name": "{name}", "launch": {{ "command": ["sh", "./main.sh"] }},
             "outputs": {{ "text": {{ "type": "file" }} }},
             "params": {{ "type": "object", "additionalProperties": false,
                          "properties": {{ "word": {{ "type": "string", "default": "moe" }}, "model": {{ "type": "string" }} }} }}{more} }}"#
    )
}

const USES: &str = "name: external\nstages:\n  say:\n    uses: say\n    with: { word: hello }\n";

fn project() -> Project {
    Project::with(USES)
        .file("plugins/say/plugin.json", &manifest("say", ""))
        .file("plugins/say/main.sh", PROGRAM)
}

#[test]
fn a_plugin_of_the_project_runs_and_its_metrics_are_kept() {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    let stage = &project.latest()["stages"][0];
    assert_eq!(stage["metrics"]["length"], 5.0);
    project.ok(&["get", "latest", "say.text", "--to", "out"]);
    assert_eq!(project.read("out/text"), "hello");
}

#[test]
fn changed_code_reruns_it() {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["say: cached"]);
    project.change("plugins/say/main.sh", "set -eu", "set -eu # changed");
    let plan = project.ok(&["plan", "workflow.yaml", "--json"]).json();
    assert_eq!(
        plan["stages"][0]["reason"]["kind"], "plugin_changed",
        "{plan}"
    );
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["say: ran"]);
}

#[test]
fn a_param_at_its_default_is_not_part_of_the_key() {
    let project = project();
    project.change(
        "workflow.yaml",
        "with: { word: hello }",
        "with: { word: moe }",
    );
    project.ok(&["run", "workflow.yaml"]);
    project.change("workflow.yaml", "    with: { word: moe }\n", "");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["say: cached"]);
}

#[test]
fn one_params_value_chooses_the_executable() {
    let project = project().file(
        "plugins/loud/plugin.json",
        &manifest(
            "loud",
            r#", "variant": { "of": "say", "param": "model", "value": "loud" }"#,
        ),
    );
    project.write(
        "plugins/loud/main.sh",
        &PROGRAM.replace("printf '%s' \"$word\" >", "printf '%s!!!' \"$word\" >"),
    );
    project.change("workflow.yaml", "word: hello", "word: hello, model: loud");
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "say.text", "--to", "out"]);
    assert_eq!(project.read("out/text"), "hello!!!");
}

#[test]
fn the_plugin_path_is_searched_too() {
    let project = Project::with(USES)
        .file("elsewhere/say/plugin.json", &manifest("say", ""))
        .file("elsewhere/say/main.sh", PROGRAM);
    let missing = project.supermoe(&["check", "workflow.yaml"]);
    assert_eq!(missing.code, Some(2), "{missing}");
    let folder = project.path("elsewhere").display().to_string();
    let project = project.variable("SUPERMOE_PLUGIN_PATH", &folder);
    project.ok(&["run", "workflow.yaml"]);
}

#[test]
fn a_new_python_plugin_passes_its_tests() {
    if std::process::Command::new("python3")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: there is no python3");
        return;
    }
    let project = Project::new();
    project.ok(&["plugin", "new", "clean", "--lang", "python"]);
    let tested = project.ok(&["plugin", "test", "plugins/clean"]);
    assert!(tested.stdout.contains("passed"), "{tested}");
    assert!(project.ok(&["plugins"]).stdout.contains("clean"));
    let again = project.supermoe(&["plugin", "new", "clean", "--lang", "python"]);
    assert_eq!(again.code, Some(2), "{again}");
}

#[test]
fn a_new_rust_plugin_is_a_crate_with_a_manifest() {
    let project = Project::new();
    project.ok(&["plugin", "new", "clean", "--lang", "rust"]);
    assert!(project.exists("plugins/clean/Cargo.toml"));
    assert!(project.exists("plugins/clean/src/main.rs"));
    assert!(project.ok(&["plugins"]).stdout.contains("clean"));
}

#[test]
fn a_plugin_that_breaks_the_contract_fails_its_tests() {
    let project = project();
    project.write("plugins/say/main.sh", "exit 0\n");
    let outcome = project.supermoe(&["plugin", "test", "plugins/say"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains("failed"), "{outcome}");
}

#[test]
fn a_map_that_came_or_went_is_explained_leaf_by_leaf() {
    let nested = r##"{ "protocol": 1, "name": "say", "launch": { "command": ["sh", "./main.sh"] },
        "outputs": { "text": { "type": "file" } },
        "params": { "type": "object", "additionalProperties": false,
            "properties": {
                "word": { "type": "string", "default": "moe" },
                "optimizer": { "$ref": "#/$defs/Optimizer", "default": { "learning_rate": 0.001, "decay": 0.1 } } },
            "$defs": { "Optimizer": { "type": "object", "additionalProperties": false, "properties": {
                "learning_rate": { "type": "number", "default": 0.001 },
                "decay": { "type": "number", "default": 0.1 } } } } } }"##;
    let project = project();
    project.write("plugins/say/plugin.json", nested);
    project.ok(&["run", "workflow.yaml"]);
    let reasons = |project: &Project| project.ok(&["plan", "workflow.yaml"]).stdout;
    project.change(
        "workflow.yaml",
        "word: hello",
        "word: hello, optimizer: { learning_rate: 0.002 }",
    );
    let added = reasons(&project);
    assert!(
        added.contains("with.optimizer.learning_rate: 0.001 -> 0.002") && !added.contains("decay"),
        "{added}"
    );
    project.ok(&["run", "workflow.yaml"]);
    project.change(
        "workflow.yaml",
        "word: hello, optimizer: { learning_rate: 0.002 }",
        "word: other",
    );
    let gone = reasons(&project);
    assert!(
        gone.contains("with.optimizer.learning_rate: 0.002 -> 0.001") && !gone.contains("decay"),
        "{gone}"
    );
}

#[test]
fn a_plugin_whose_manifest_is_broken_is_not_called_unknown_alone() {
    let project = project();
    project.write("plugins/say/plugin.json", "{ \"name\": ");
    let run = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(run.code, Some(2), "{run}");
    let told = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("`plugins/say/plugin.json` is there and could not be used"),
        "{run}"
    );
}

#[test]
fn a_new_plugin_takes_no_name_that_is_taken() {
    let project = project();
    for name in ["shell", "say"] {
        let new = project.supermoe(&["plugin", "new", name, "--lang", "python", "--to", "there"]);
        assert_eq!(new.code, Some(2), "{new}");
        assert!(new.stderr.contains("is taken by"), "{new}");
        assert!(!project.exists("there"));
    }
}
