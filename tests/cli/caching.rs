//! What makes a stage run again, and what does not.

use crate::harness::Project;
use crate::run::CHAIN;

fn after_a_run(workflow: &str) -> Project {
    let project = Project::with(workflow);
    project.ok(&["run", "workflow.yaml"]);
    project
}

/// Runs again and returns the states.
fn again(project: &Project) -> Vec<String> {
    project.ok(&["run", "workflow.yaml"]);
    project.states()
}

#[test]
fn a_changed_param_reruns_its_stage_alone_when_nothing_depends_on_it() {
    let project = after_a_run(CHAIN);
    project.change("workflow.yaml", "times: 2", "times: 3");
    assert_eq!(again(&project), ["first: cached", "second: ran"]);
    let reason = &project.latest()["stages"][1]["reason"];
    assert!(reason.to_string().contains("params.times"), "{reason}");
}

#[test]
fn a_changed_param_reruns_what_depends_on_its_output() {
    let project = after_a_run(CHAIN);
    project.change("workflow.yaml", "word: hello", "word: bye");
    assert_eq!(again(&project), ["first: ran", "second: ran"]);
}

#[test]
fn the_same_output_stops_the_rerun_there() {
    let project = after_a_run(CHAIN);
    project.change("workflow.yaml", "printf '%s\\n'", "printf '%s\\n' ");
    assert_eq!(again(&project), ["first: ran", "second: cached"]);
}

#[test]
fn renaming_a_stage_reruns_nothing() {
    let project = after_a_run(CHAIN);
    project.change("workflow.yaml", "  first:", "  renamed:");
    project.change("workflow.yaml", "first.text", "renamed.text");
    assert_eq!(again(&project), ["renamed: cached", "second: cached"]);
}

#[test]
fn resources_retries_and_timeouts_rerun_nothing() {
    let project = after_a_run(CHAIN);
    project.change(
        "workflow.yaml",
        "  second:\n    uses: shell\n",
        "  second:\n    uses: shell\n    resources: { cpus: 1, memory: 10MiB }\n    retry: { attempts: 4, backoff: 1s..2s }\n    timeout: 5m\n",
    );
    assert_eq!(again(&project), ["first: cached", "second: cached"]);
}

const READS_A_FILE: &str = r#"name: reads
stages:
  count:
    uses: shell
    inputs: { data: ./data.csv }
    with:
      command: wc -l < "${{ inputs.data }}" > "${{ outputs.lines }}"
      outputs: { lines: file }
"#;

#[test]
fn touching_a_file_reruns_nothing_and_changing_it_does() {
    let project = Project::with(READS_A_FILE).file("data.csv", "a\nb\n");
    project.ok(&["run", "workflow.yaml"]);
    project.write("data.csv", "a\nb\n");
    assert_eq!(again(&project), ["count: cached"]);
    project.write("data.csv", "a\nb\nc\n");
    assert_eq!(again(&project), ["count: ran"]);
    let reason = &project.latest()["stages"][0]["reason"];
    assert!(reason.to_string().contains("data.csv"), "{reason}");
}

#[test]
fn going_back_to_an_earlier_value_is_cached() {
    let project = after_a_run(CHAIN);
    project.change("workflow.yaml", "times: 2", "times: 3");
    again(&project);
    project.change("workflow.yaml", "times: 3", "times: 2");
    assert_eq!(again(&project), ["first: cached", "second: cached"]);
}

#[test]
fn a_stage_that_refuses_the_cache_always_runs() {
    let project = after_a_run(&CHAIN.replace(
        "  first:\n    uses: shell\n",
        "  first:\n    uses: shell\n    cache: false\n",
    ));
    assert_eq!(again(&project), ["first: ran", "second: cached"]);
}

#[test]
fn a_declared_environment_value_is_part_of_the_key() {
    let workflow = CHAIN.replace(
        "  first:\n    uses: shell\n",
        "  first:\n    uses: shell\n    env: { MODE: one }\n",
    );
    let project = after_a_run(&workflow);
    project.change("workflow.yaml", "MODE: one", "MODE: two");
    // The output is the same, so it stops there.
    assert_eq!(again(&project), ["first: ran", "second: cached"]);
}

#[test]
fn the_index_can_be_deleted() {
    let project = after_a_run(CHAIN);
    std::fs::remove_dir_all(project.path(".supermoe/local")).expect("the index can be removed");
    assert_eq!(again(&project), ["first: cached", "second: cached"]);
}
