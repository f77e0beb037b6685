//! Values reach a shell command as values: nothing in one is ever parsed as shell.

use crate::harness::Project;

const ECHOES: &str = r#"name: echoes
params: { text: x }
stages:
  echoes:
    uses: shell
    with:
      command: printf '%s' "${{ params.text }}" > "${{ outputs.text }}"
      outputs: { text: file }
"#;

/// What comes out when the param has this value.
fn echoed(value: &str) -> String {
    let project = Project::with(ECHOES).file(
        "params.yaml",
        &format!("text: {}\n", serde_json::Value::from(value)),
    );
    project.write("victim", "still here");
    project.ok(&["run", "workflow.yaml", "--params", "params.yaml"]);
    assert_eq!(project.read("victim"), "still here");
    project.ok(&["get", "latest", "echoes.text", "--to", "out"]);
    project.read("out/text")
}

#[test]
fn a_second_command_is_text() {
    let value = "; rm -rf ../../* ../../../victim; echo gone";
    assert_eq!(echoed(value), value);
}

#[test]
fn substitutions_are_text() {
    let value = "$(touch /tmp/x) `id` ${HOME} $HOME $((1+1)) \\$x \\\\";
    assert_eq!(echoed(value), value);
}

#[test]
fn quotes_end_nothing() {
    let value = "\"; exit 1; \" ' '; exit 1; ' \"'\"'";
    assert_eq!(echoed(value), value);
}

#[test]
fn line_breaks_and_tabs_arrive_as_they_are() {
    let value = "one\n  two\n\n\tthree\r\nfour";
    assert_eq!(echoed(value), value);
}

#[test]
fn an_expression_in_a_params_file_is_refused() {
    let project = Project::with(ECHOES).file("params.yaml", "text: ${{ params.text }} x\n");
    let outcome = project.supermoe(&["run", "workflow.yaml", "--params", "params.yaml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
}

#[test]
fn an_expression_on_the_command_line_is_text() {
    let project = Project::with(ECHOES);
    let text = "${{ params.text }} ${{ env.HOME }}";
    let set = format!("text={text}");
    project.ok(&["run", "workflow.yaml", "--set", &set]);
    project.ok(&["get", "latest", "echoes.text", "--to", "out"]);
    assert_eq!(project.read("out/text"), text);
}

#[test]
fn other_alphabets_and_patterns_arrive_as_they_are() {
    let value = "ünï 漢字 🦀 * ? [a-z] ~ & | < > !";
    assert_eq!(echoed(value), value);
}

#[test]
fn a_value_given_on_the_command_line_is_no_shell_either() {
    let project = Project::with(ECHOES);
    project.ok(&[
        "run",
        "workflow.yaml",
        "--set",
        "text=$(touch hacked); touch hacked",
    ]);
    project.ok(&["get", "latest", "echoes.text", "--to", "out"]);
    assert_eq!(project.read("out/text"), "$(touch hacked); touch hacked");
}

#[test]
fn matrix_values_are_values_too() {
    let project = Project::with(
        r#"name: cells
stages:
  cells:
    uses: shell
    matrix: { text: ["$(id)", "a;b", "it's", "a/../b", "x,y=z]"] }
    with:
      command: printf '%s\n' "${{ matrix.text }}" > "${{ outputs.text }}"
      outputs: { text: file }
  join:
    uses: shell
    inputs: { all: "cells.*.text" }
    with:
      command: printf '%s\n' "${{ inputs.all }}" | while read -r f; do cat "$f"; done > "${{ outputs.all }}"
      outputs: { all: file }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "join.all", "--to", "out"]);
    assert_eq!(
        project.read("out/all"),
        "$(id)\na;b\nit's\na/../b\nx,y=z]\n"
    );
}

#[test]
fn file_names_of_inputs_are_values_too() {
    let project = Project::with(
        r#"name: named
stages:
  named:
    uses: shell
    inputs: { data: "./a $(touch x); 'b'.csv" }
    with:
      command: cat "${{ inputs.data }}" > "${{ outputs.text }}"
      outputs: { text: file }
"#,
    )
    .file("a $(touch x); 'b'.csv", "data");
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "named.text", "--to", "out"]);
    assert_eq!(project.read("out/text"), "data");
}
