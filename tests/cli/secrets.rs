//! A secret reaches the worker that declares it, and nothing else.

use crate::harness::Project;

const VALUE: &str = "s3cr3t-Value-0815";

const USES_IT: &str = r#"name: secretive
secrets: [TOKEN]
stages:
  uses_it:
    uses: shell
    secrets: [TOKEN]
    with:
      command: |
        echo "token is $TOKEN"
        echo "error with $TOKEN" >&2
        printf '%s' "${#TOKEN}" > "${{ outputs.length }}"
        echo "split $(printf '%s' "$TOKEN" | cut -c1-5)"
      outputs: { length: file }
  does_not:
    uses: shell
    with:
      command: echo "token is '${TOKEN-}'" > "${{ outputs.text }}"
      outputs: { text: file }
"#;

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn nothing_holds_it(project: &Project) {
    for file in project.files_below(".supermoe") {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!holds(&bytes, VALUE), "{} holds the secret", file.display());
    }
}

#[test]
fn a_secret_is_redacted_wherever_it_could_be_kept() {
    let project = Project::with(USES_IT).variable("TOKEN", VALUE);
    let run = project.ok(&["run", "workflow.yaml", "--log", "debug"]);
    assert!(
        !run.stderr.contains(VALUE) && !run.stdout.contains(VALUE),
        "{run}"
    );
    project.ok(&["get", "latest", "uses_it.length", "--to", "length"]);
    assert_eq!(project.read("length/length"), VALUE.len().to_string());
    project.ok(&["get", "latest", "does_not.text", "--to", "other"]);
    assert_eq!(project.read("other/text"), "token is ''\n");
    nothing_holds_it(&project);
    for arguments in [
        vec!["logs", "latest"],
        vec!["show", "latest", "--json"],
        vec!["plan", "workflow.yaml", "--json"],
    ] {
        let outcome = project.ok(&arguments);
        assert!(!outcome.stdout.contains(VALUE), "{outcome}");
    }
    let log = project.ok(&["logs", "latest", "uses_it"]);
    assert!(log.stdout.contains("token is "), "{log}");
}

#[test]
fn a_failure_does_not_show_it() {
    let project = Project::with(&USES_IT.replace("printf '%s' \"${#TOKEN}\"", "exit 1; printf"))
        .variable("TOKEN", VALUE);
    let run = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(!run.stderr.contains(VALUE), "{run}");
    nothing_holds_it(&project);
}

#[test]
fn another_value_of_a_secret_reruns_nothing() {
    let project = Project::with(USES_IT).variable("TOKEN", VALUE);
    project.ok(&["run", "workflow.yaml"]);
    let project = project.variable("TOKEN", "another-one-0815");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["uses_it: cached", "does_not: cached"]);
}

#[test]
fn a_secret_that_is_not_set_is_told_before_anything_runs() {
    let project = Project::with(USES_IT);
    let run = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("TOKEN"), "{run}");
    assert_eq!(project.ok(&["runs"]).stdout, "no runs yet\n");
    let plan = project.ok(&["plan", "workflow.yaml"]);
    assert!(plan.stderr.contains("TOKEN"), "{plan}");
    let other = project.ok(&["run", "workflow.yaml", "--only", "does_not"]);
    assert!(!other.stderr.contains("TOKEN"), "{other}");
    // What is cached needs none.
    let project = project.variable("TOKEN", VALUE);
    project.ok(&["run", "workflow.yaml"]);
    let project = project.without_variable("TOKEN");
    project.ok(&["run", "workflow.yaml"]);
    let forced = project.supermoe(&["run", "workflow.yaml", "--force", "uses_it"]);
    assert_eq!(forced.code, Some(2), "{forced}");
}
