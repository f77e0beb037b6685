//! The command line itself: help, mistakes, closed pipes, logging.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::harness::Project;
use crate::run::CHAIN;

const COMMANDS: [&[&str]; 19] = [
    &["init"],
    &["run"],
    &["check"],
    &["plan"],
    &["graph"],
    &["plugins"],
    &["schema"],
    &["runs"],
    &["show"],
    &["report"],
    &["compare"],
    &["logs"],
    &["get"],
    &["diff"],
    &["gc"],
    &["plugin"],
    &["plugin", "new"],
    &["plugin", "test"],
    &["completions"],
];

#[test]
fn the_help_lists_the_commands() {
    let project = Project::new();
    insta::assert_snapshot!(project.ok(&["--help"]).stdout);
}

#[test]
fn each_help_has_an_example() {
    let project = Project::new();
    for command in COMMANDS {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let help = project.ok(&arguments).stdout;
        let example = format!("  supermoe {}", command.join(" "));
        assert!(
            help.contains("Example") && help.contains(&example),
            "{command:?}:\n{help}"
        );
    }
}

#[test]
fn mistakes_on_the_command_line_have_exit_code_2() {
    let project = Project::with(CHAIN);
    for arguments in [
        &[][..],
        &["rnu", "workflow.yaml"],
        &["run"],
        &["run", "workflow.yaml", "--no-such-option"],
        &["run", "workflow.yaml", "--jobs", "0"],
        &["run", "workflow.yaml", "--jobs", "many"],
        &["run", "workflow.yaml", "--memory", "much"],
        &["run", "workflow.yaml", "--log", "=="],
        &["run", "workflow.yaml", "--only", "first["],
        &["show", "latest"],
        &["report", "latest"],
        &["compare"],
        &["compare", "latest"],
        &["logs", "latest"],
        &["show", "nonsense"],
        &["gc", "--keep", "0"],
        &["plugins", "shel"],
        &["plugin", "test", "nowhere"],
        &["plugin", "new", "Not A Name", "--lang", "python"],
        &["completions", "cmd.exe"],
        &["runs", "--project", "nowhere"],
        &["runs", "--store", "ftp://host/x"],
        &["worker", "nothing"],
    ] {
        let outcome = project.supermoe(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome}");
        assert!(!outcome.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_run_that_does_not_exist_is_told_with_advice() {
    let project = Project::with(CHAIN);
    let none = project.supermoe(&["show", "latest"]);
    project.ok(&["run", "workflow.yaml"]);
    let unknown = project.supermoe(&["show", "01ZZZZ"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    let no_stage = project.supermoe(&["logs", "latest", "third"]);
    assert_eq!(no_stage.code, Some(2), "{no_stage}");
    let no_port = project.supermoe(&["get", "latest", "first.txt", "--to", "x"]);
    assert_eq!(no_port.code, Some(2), "{no_port}");
    insta::assert_snapshot!(
        [none, unknown, no_stage, no_port]
            .map(|outcome| outcome.steady_stderr())
            .join("\n")
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    for arguments in [
        &["completions", "bash"][..],
        &["schema"],
        &["show", "latest", "--json"],
        &["plugins"],
        &["--help"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_supermoe"))
            .args(arguments)
            .current_dir(project.path("."))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("supermoe starts");
        drop(child.stdout.take());
        let outcome = child.wait_with_output().expect("it ends");
        assert!(outcome.status.success(), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.is_empty(), "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn a_run_goes_on_when_the_reader_of_its_events_goes_away() {
    let project = Project::with(CHAIN);
    let mut child = Command::new(env!("CARGO_BIN_EXE_supermoe"))
        .args(["run", "workflow.yaml", "--json"])
        .current_dir(project.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("supermoe starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    assert!(first.contains("run_started"), "{first}");
    let outcome = child.wait_with_output().expect("it ends");
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(project.states(), ["first: ran", "second: ran"]);
}

#[test]
fn logs_are_text_or_json_lines_on_stderr() {
    let project = Project::with(CHAIN);
    let outcome = project.ok(&[
        "run",
        "workflow.yaml",
        "--progress",
        "none",
        "--log",
        "debug",
        "--log-format",
        "json",
    ]);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(!lines.is_empty(), "{outcome}");
    for line in lines {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert!(event["level"].is_string(), "{line}");
    }
    let filtered = project.ok(&[
        "run",
        "workflow.yaml",
        "--progress",
        "none",
        "--log",
        "error",
    ]);
    assert_eq!(filtered.stderr, "");
}

#[test]
fn colours_are_only_where_they_are_wanted() {
    let project = Project::with(CHAIN);
    assert!(
        !project
            .ok(&["plan", "workflow.yaml"])
            .stdout
            .contains('\u{1b}')
    );
    let forced = project.variable("CLICOLOR_FORCE", "1");
    assert!(
        forced
            .ok(&["plan", "workflow.yaml"])
            .stdout
            .contains('\u{1b}')
    );
    let refused = forced.variable("NO_COLOR", "1");
    assert!(
        !refused
            .ok(&["plan", "workflow.yaml"])
            .stdout
            .contains('\u{1b}')
    );
}

#[test]
fn completions_exist_for_the_usual_shells() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = project.ok(&["completions", shell]);
        assert!(outcome.stdout.contains("supermoe"), "{shell}");
    }
}

#[test]
fn a_file_taken_for_the_stage_of_force_is_told() {
    let project = Project::with(crate::run::CHAIN);
    let run = project.supermoe(&["run", "--force", "workflow.yaml"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("--force=STAGE workflow.yaml"), "{run}");
}
