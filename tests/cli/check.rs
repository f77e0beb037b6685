//! `supermoe check` on workflows that are right, or only doubtful.

use crate::harness::Project;
use crate::run::CHAIN;

#[test]
fn a_right_workflow_is_said_to_be_right_and_nothing_is_written() {
    let project = Project::with(CHAIN);
    let outcome = project.ok(&["check", "workflow.yaml"]);
    assert_eq!(outcome.stdout, "ok workflow.yaml: 2 stages\n");
    assert!(!project.exists(".supermoe"));
}

#[test]
fn json_says_so_too() {
    let project = Project::with(CHAIN);
    let document = project.ok(&["check", "workflow.yaml", "--json"]).json();
    assert_eq!(document["ok"], true);
    assert_eq!(document["stages"], 2);
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(0));
}

#[test]
fn an_expression_in_single_quotes_is_doubtful() {
    let project = Project::with(&CHAIN.replace("\"${{ params.word }}\"", "'${{ params.word }}'"));
    let outcome = project.ok(&["check", "workflow.yaml"]);
    insta::assert_snapshot!(outcome.steady_stderr() + &outcome.steady_stdout());
}

#[test]
fn the_shells_own_dollars_are_left_alone() {
    let project = Project::with(
        r#"name: dollars
stages:
  dollars:
    uses: shell
    with:
      command: x=3; printf '%s %s %s' "$x" "${x}" "$((x+1))" > "${{ outputs.text }}"
      outputs: { text: file }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "dollars.text", "--to", "out"]);
    assert_eq!(project.read("out/text"), "3 3 4");
}

#[test]
fn wrong_overrides_are_the_users_mistake() {
    let project = Project::with(CHAIN).file("wrong.yaml", "tims: 3\n");
    for arguments in [
        vec!["check", "workflow.yaml", "--set", "tims=3"],
        vec!["check", "workflow.yaml", "--set", "times=many"],
        vec!["check", "workflow.yaml", "--set", "times"],
        vec!["check", "workflow.yaml", "--params", "wrong.yaml"],
        vec!["check", "workflow.yaml", "--params", "none.yaml"],
        vec!["check", "workflow.yaml", "--date", "yesterday"],
    ] {
        let outcome = project.supermoe(&arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome}");
        assert!(!outcome.stderr.is_empty());
    }
}

#[test]
fn any_bytes_are_refused_without_a_panic() {
    let project = Project::new();
    for (name, bytes) in [
        ("binary", &b"\x00\xff\xfe\x80name: x"[..]),
        ("nul", b"name: \x00\nstages: {}\n"),
        ("bom", b"\xef\xbb\xbf- \xef\xbb\xbf"),
        ("utf16", b"\xff\xfen\x00a\x00m\x00e\x00"),
        ("braces", b"{{{{{{{{[[[[[[[[\"'"),
    ] {
        std::fs::write(project.path(name), bytes).expect("a file");
        let outcome = project.supermoe(&["check", name]);
        assert_eq!(outcome.code, Some(2), "{name}: {outcome}");
    }
    let folder = project.supermoe(&["check", "."]);
    assert_eq!(folder.code, Some(2), "{folder}");
}

#[test]
fn an_untrusted_project_is_checked_without_running_its_plugins() {
    let project = Project::with(
        r#"name: untrusted
stages:
  evil:
    uses: evil
"#,
    )
    .file(
        "plugins/evil/plugin.json",
        r#"{ "protocol": 1, "name": "evil", "launch": { "command": ["sh", "./evil.sh"] } }"#,
    );
    let mark = project.path("hacked");
    project.write(
        "plugins/evil/evil.sh",
        &format!("touch {}\n", mark.display()),
    );
    project.ok(&["check", "workflow.yaml"]);
    project.ok(&["plan", "workflow.yaml"]);
    project.ok(&["graph", "workflow.yaml"]);
    project.ok(&["plugins"]);
    assert!(!mark.exists());
}
