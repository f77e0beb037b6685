//! Ctrl-C, SIGTERM, SIGHUP and kill -9: the run ends, and nothing that it started outlives it.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Project, eventually};

/// A stage that says that it runs, then waits; it takes SIGTERM as `trap` says. What it starts in
/// the background, once in a session of its own, must go too.
fn waits(trap: &str) -> Project {
    let project = Project::new();
    let started = project.path("started");
    let ended = project.path("ended");
    let workflow = format!(
        r#"name: waits
params: {{ started: {started:?}, ended: {ended:?} }}
stages:
  waits:
    uses: shell
    with:
      command: |
        {trap}
        sleep 7077 &
        setsid sleep 7078 > /dev/null 2>&1 < /dev/null &
        echo $$ > "${{{{ params.started }}}}"
        while :; do sleep 0.05; done
  after:
    uses: shell
    needs: [waits]
    with: {{ command: "true" }}
"#
    );
    project.file("workflow.yaml", &workflow)
}

/// Processes of this project: those whose environment or command line names its folder.
pub fn processes_of(project: &Project) -> Vec<String> {
    let root = project.path("").display().to_string();
    let root = root.trim_end_matches('/').as_bytes().to_vec();
    let mut found = Vec::new();
    let entries = fs::read_dir("/proc").expect("/proc");
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string()
        {
            continue;
        }
        let holds = |file: &str| {
            fs::read(entry.path().join(file))
                .is_ok_and(|bytes| bytes.windows(root.len()).any(|window| window == root))
        };
        // A process that has ended and was not yet waited for has neither.
        if holds("environ") || holds("cmdline") {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!(
                "{name}: {}",
                String::from_utf8_lossy(&line).replace('\0', " ")
            ));
        }
    }
    found
}

fn nothing_is_left(project: &Project) {
    eventually("no process of the run is left", || {
        processes_of(project).is_empty()
    });
}

#[test]
fn the_first_signal_lets_stages_end_cleanly() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let project = waits("trap 'echo saved > \"${{ params.ended }}\"; exit 143' TERM");
        let run = project.start(&["run", "workflow.yaml", "--json"]);
        project.wait_for("started");
        run.signal(signal);
        let outcome = run.wait();
        assert_eq!(outcome.code, Some(130), "{signal}: {outcome}");
        assert_eq!(project.read("ended"), "saved\n", "{signal}");
        let events = outcome.events();
        let last = events.last().expect("an event");
        assert_eq!(last["event"], "run_finished");
        assert_eq!(last["outcome"], "cancelled");
        nothing_is_left(&project);
        let states = project.states();
        assert_eq!(states[0], "waits: cancelled");
    }
}

#[test]
fn the_second_signal_ends_stages_that_do_not_listen() {
    let project = waits("trap '' TERM");
    let run = project.start(&["run", "workflow.yaml", "--grace", "600s"]);
    project.wait_for("started");
    run.signal(Signal::SIGINT);
    run.signal(Signal::SIGTERM);
    let outcome = run.wait();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert!(!project.exists("ended"));
    nothing_is_left(&project);
}

#[test]
fn a_stage_that_does_not_listen_is_killed_after_the_grace_period() {
    let project = waits("trap '' TERM");
    let run = project.start(&["run", "workflow.yaml", "--grace", "100ms"]);
    project.wait_for("started");
    run.signal(Signal::SIGINT);
    let outcome = run.wait();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    nothing_is_left(&project);
}

#[test]
fn nothing_outlives_a_runner_that_was_killed() {
    let project = waits("trap '' TERM HUP INT");
    let run = project.start(&["run", "workflow.yaml"]);
    project.wait_for("started");
    assert!(!processes_of(&project).is_empty());
    run.signal(Signal::SIGKILL);
    let outcome = run.wait();
    assert_eq!(outcome.code, Some(-9), "{outcome}");
    nothing_is_left(&project);
    let shown = project.latest();
    assert_eq!(shown["outcome"], "interrupted", "{shown}");
}

#[test]
fn the_run_after_a_killed_one_finishes_the_work() {
    let project = waits("trap '' TERM");
    let run = project.start(&["run", "workflow.yaml"]);
    project.wait_for("started");
    run.signal(Signal::SIGKILL);
    run.wait();
    nothing_is_left(&project);
    project.change("workflow.yaml", "while :; do sleep 0.05; done", "true");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["waits: ran", "after: ran"]);
    let left = project.files_below(".supermoe/work");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn background_processes_of_a_stage_that_ended_well_are_ended_too() {
    let project = Project::with(
        r#"name: leaves
stages:
  leaves:
    uses: shell
    with: { command: "sleep 7079 & setsid sleep 7080 > /dev/null 2>&1 < /dev/null & true" }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    nothing_is_left(&project);
}

#[test]
fn a_named_pipe_in_a_checkpoint_folder_holds_nothing_up() {
    let project = Project::with("name: pipes\nstages:\n  pipes:\n    uses: pipes\n")
        .file(
            "plugins/pipes/plugin.json",
            r#"{ "protocol": 1, "name": "pipes", "launch": { "command": ["sh", "./pipes.sh"] },
                 "outputs": {}, "checkpoints": true }"#,
        )
        .file(
            "plugins/pipes/pipes.sh",
            r#"folder=$(sed 's/.*"checkpoint": *"\([^"]*\)".*/\1/' "$SUPERMOE_REQUEST" | tr -d '\n')
mkfifo "$folder/pipe" || exit 9
echo '{"event": "checkpoint", "step": 1}' >> "$SUPERMOE_EVENTS"
exit 3
"#,
        );
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stdout.contains("exited with code 3")
            && outcome
                .stdout
                .contains("checkpoint of pipes: `pipe` is a named pipe, socket or device"),
        "{outcome}"
    );
    nothing_is_left(&project);
}
