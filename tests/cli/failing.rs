//! Stages that fail: what is shown, what else runs, what is tried again.

use crate::harness::Project;

const FAILS: &str = r#"name: fails
stages:
  good:
    uses: shell
    with:
      command: echo fine > "${{ outputs.text }}"
      outputs: { text: file }
  bad:
    uses: shell
    matrix: { model: [ple] }
    inputs: { text: good.text }
    with:
      command: |
        echo "reading the data"
        echo "no such column: revenue" >&2
        exit 3
      outputs: { text: file }
  after:
    uses: shell
    inputs: { text: "bad.*.text" }
    with: { command: "true" }
"#;

#[test]
fn a_failure_shows_its_cell_the_end_of_its_log_and_how_to_see_the_rest() {
    let project = Project::with(FAILS);
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    insta::assert_snapshot!(outcome.steady_stderr() + &outcome.steady_stdout());
    assert_eq!(
        project.states(),
        ["good: ran", "bad[model=ple]: failed", "after: skipped"]
    );
    let log = project.ok(&["logs", "latest", "bad[model=ple]"]);
    assert!(log.stdout.contains("reading the data"), "{log}");
    assert!(log.stdout.contains("no such column: revenue"), "{log}");
}

#[test]
fn json_ends_with_run_finished_also_after_a_failure() {
    let project = Project::with(FAILS);
    let outcome = project.supermoe(&["run", "workflow.yaml", "--json"]);
    assert_eq!(outcome.code, Some(1));
    let events = outcome.events();
    let last = events.last().expect("an event");
    assert_eq!(last["event"], "run_finished");
    assert_eq!(last["outcome"], "failed");
}

#[test]
fn the_next_run_takes_up_where_the_failure_was() {
    let project = Project::with(FAILS);
    project.supermoe(&["run", "workflow.yaml"]);
    project.change(
        "workflow.yaml",
        "exit 3",
        "echo ok > \"${{ outputs.text }}\"",
    );
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(
        project.states(),
        ["good: cached", "bad[model=ple]: ran", "after: ran"]
    );
}

const TWO_BRANCHES: &str = r#"name: branches
stages:
  bad:
    uses: shell
    with: { command: "exit 1", outputs: { o: file } }
  below:
    uses: shell
    inputs: { o: bad.o }
    with: { command: "true" }
  gate:
    uses: shell
    with: { command: "sleep 0.2; echo 1 > \"${{ outputs.o }}\"", outputs: { o: file } }
  other:
    uses: shell
    inputs: { o: gate.o }
    with: { command: "true" }
"#;

#[test]
fn keep_going_runs_what_does_not_depend_on_the_failure() {
    let project = Project::with(TWO_BRANCHES);
    let outcome = project.supermoe(&["run", "workflow.yaml", "--keep-going", "--jobs", "2"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert_eq!(
        project.states(),
        ["bad: failed", "below: skipped", "gate: ran", "other: ran"]
    );
}

#[test]
fn a_stage_that_runs_too_long_is_ended() {
    let project = Project::with(
        r#"name: slow
stages:
  slow:
    uses: shell
    timeout: 200ms
    with: { command: "sleep 600" }
"#,
    );
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("timed out after 0.2 s"),
        "{outcome}"
    );
}

#[test]
fn an_output_that_was_not_written_is_named() {
    let project = Project::with(
        r#"name: forgets
stages:
  forgets:
    uses: shell
    with: { command: "true", outputs: { table: file } }
"#,
    );
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("table"), "{outcome}");
}

#[test]
fn a_command_that_a_signal_ends_says_which() {
    let project = Project::with(
        r#"name: dies
stages:
  dies:
    uses: shell
    with: { command: "kill -SEGV $$" }
"#,
    );
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("SIGSEGV") || outcome.stderr.contains("signal 11"),
        "{outcome}"
    );
}
