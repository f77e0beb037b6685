//! `supermoe run`: what it does, prints and leaves behind.

use serde_json::json;

use crate::harness::Project;

/// Two stages: the second reads what the first wrote.
pub const CHAIN: &str = r#"name: chain
params: { word: hello, times: 2 }
stages:
  first:
    uses: shell
    with:
      command: printf '%s\n' "${{ params.word }}" > "${{ outputs.text }}"
      outputs: { text: file }
  second:
    uses: shell
    inputs: { text: first.text }
    with:
      command: |
        for i in $(seq ${{ params.times }}); do cat "${{ inputs.text }}"; done > "${{ outputs.all }}"
      outputs: { all: file }
"#;

#[test]
fn a_chain_of_stages_runs_and_its_outputs_can_be_fetched() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "second.all", "--to", "out"]);
    assert_eq!(project.read("out/all"), "hello\nhello\n");
}

#[test]
fn json_tells_each_event_and_ends_with_the_outcome() {
    let project = Project::with(CHAIN);
    let events = project.ok(&["run", "workflow.yaml", "--json"]).events();
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .filter(|name| *name != "stage_progress")
        .collect();
    assert_eq!(
        names,
        [
            "run_started",
            "stage_started",
            "stage_finished",
            "stage_started",
            "stage_finished",
            "run_finished"
        ]
    );
    let last = events.last().expect("an event");
    assert_eq!(last["outcome"], "succeeded");
    assert_eq!(last["run"], project.latest()["run"]);
    assert_eq!(last["run"].as_str().map(str::len), Some(26));
    let first_done = &events[2];
    assert_eq!(first_done["stage"], "first");
    assert_eq!(first_done["matrix"], json!({}));
    assert_eq!(first_done["state"], "ran");
    assert_eq!(first_done["reason"]["kind"], "first_run");
}

#[test]
fn the_second_run_is_all_cached() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    let again = project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["first: cached", "second: cached"]);
    insta::assert_snapshot!(again.steady_stderr() + &again.steady_stdout());
}

#[test]
fn a_first_run_reads_like_this() {
    let project = Project::with(CHAIN);
    let outcome = project.ok(&["run", "workflow.yaml"]);
    insta::assert_snapshot!(outcome.steady_stderr() + &outcome.steady_stdout());
}

#[test]
fn set_and_params_files_change_what_runs() {
    let project = Project::with(CHAIN).file("more.yaml", "times: 3\n");
    project.ok(&[
        "run",
        "workflow.yaml",
        "--set",
        "word=hi",
        "--params",
        "more.yaml",
    ]);
    project.ok(&["get", "latest", "second.all", "--to", "out"]);
    assert_eq!(project.read("out/all"), "hi\nhi\nhi\n");
}

#[test]
fn publish_lays_an_output_out_in_the_project() {
    let project = Project::with(
        r#"name: published
stages:
  table:
    uses: shell
    with:
      command: mkdir -p "${{ outputs.results }}"; echo 1 > "${{ outputs.results }}/a.csv"
      outputs: { results: folder }
    publish: { results: results/table }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.read("results/table/a.csv"), "1\n");
    // A cached stage publishes too.
    std::fs::remove_dir_all(project.path("results")).expect("results can be removed");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.read("results/table/a.csv"), "1\n");
    // What supermoe laid out is replaced; what was changed since is not.
    project.change("workflow.yaml", "echo 1", "echo 2");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.read("results/table/a.csv"), "2\n");
    std::fs::write(project.path("results/table/a.csv"), "mine\n").expect("a file");
    project.change("workflow.yaml", "echo 2", "echo 3");
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome
            .stdout
            .contains("was changed since supermoe published it; move it away"),
        "{outcome}"
    );
    assert_eq!(project.read("results/table/a.csv"), "mine\n");
}

#[test]
fn a_stage_whose_when_is_false_is_skipped() {
    let project = Project::with(
        r#"name: conditional
params: { report: false }
stages:
  report:
    uses: shell
    when: ${{ params.report }}
    with: { command: "exit 1" }
  work:
    uses: shell
    with: { command: "true" }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["report: skipped", "work: ran"]);
}

#[test]
fn a_stage_sees_only_the_environment_that_it_declares() {
    let project = Project::with(
        r#"name: environment
stages:
  look:
    uses: shell
    env: { DECLARED: "yes" }
    with:
      command: env > "${{ outputs.env }}"
      outputs: { env: file }
"#,
    )
    .variable("UNDECLARED", "from the user's shell");
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "look.env", "--to", "out"]);
    let environment = project.read("out/env");
    assert!(environment.contains("DECLARED=yes"), "{environment}");
    assert!(!environment.contains("UNDECLARED"), "{environment}");
}

#[test]
fn selections_run_a_part() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml", "--until", "first"]);
    assert_eq!(project.states()[0], "first: ran");
    project.ok(&["run", "workflow.yaml", "--only", "second"]);
    assert!(project.states().contains(&"second: ran".to_owned()));
    project.ok(&["run", "workflow.yaml", "--force", "second"]);
    assert_eq!(project.states(), ["first: cached", "second: ran"]);
    project.ok(&["run", "workflow.yaml", "--force"]);
    assert_eq!(project.states(), ["first: ran", "second: ran"]);
    let wrong = project.supermoe(&["run", "workflow.yaml", "--only", "secnd"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("second"), "{wrong}");
}

#[test]
fn nothing_is_left_in_the_work_folder() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    let left = project.files_below(".supermoe/work");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_workflow_that_is_not_there_is_the_users_mistake() {
    let project = Project::new();
    let outcome = project.supermoe(&["run", "none.yaml"]);
    assert_eq!(outcome.code, Some(2));
    insta::assert_snapshot!(outcome.steady_stderr());
}

#[test]
fn a_workflow_without_a_project_keeps_its_state_beside_itself() {
    let project = Project::new().file("deep/workflow.yaml", CHAIN);
    std::fs::remove_file(project.path("supermoe.toml")).expect("the mark can be removed");
    project.ok(&["run", "deep/workflow.yaml"]);
    assert!(project.exists("deep/.supermoe/store"));
    assert!(!project.exists(".supermoe"));
    let shown = project.ok(&["show", "latest", "--project", "deep", "--json"]);
    assert_eq!(shown.json()["workflow"], "chain");
}

#[test]
fn a_store_of_the_workflow_is_found_again() {
    let project = Project::with(&CHAIN.replace("name: chain", "name: chain\nstore: ./kept"));
    project.ok(&["run", "workflow.yaml"]);
    assert!(project.exists("kept"));
    assert_eq!(project.latest()["workflow"], "chain");
}
