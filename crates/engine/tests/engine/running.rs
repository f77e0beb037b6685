//! How stages run, fail, are tried again and are stopped.

use std::time::Duration;

use crate::project::{Project, Ran};
use supermoe_engine::{OnFailure, Outcome, RunEvent};
use supermoe_plugin::host::{StopLevel, stop_channel};

fn tail(ran: &Ran, label: &str) -> Vec<String> {
    ran.stage(label)
        .error
        .as_ref()
        .expect("an error")
        .log_tail
        .clone()
}

#[test]
fn a_failure_shows_its_log_and_what_was_skipped_because_of_it() {
    let project = Project::new();
    let yaml = r#"
  a:
    uses: shell
    with: { command: "echo out; echo err >&2; exit 3", outputs: { o: file } }
  b:
    uses: shell
    inputs: { a: a.o }
    with: { command: "cat ${{ inputs.a }}" }
  c:
    uses: shell
    inputs: { a: a.o }
    needs: [b]
    with: { command: "cat ${{ inputs.a }}" }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.outcome(), Outcome::Failed);
    assert_eq!(ran.states(), ["a failed", "b skipped", "c skipped"]);
    assert_eq!(
        (ran.error("a"), tail(&ran, "a")),
        (
            "exited with code 3",
            vec!["out".to_owned(), "err".to_owned()]
        )
    );
    assert_eq!([ran.reason("b"), ran.reason("c")], ["a failed", "a failed"]);
    let log = project
        .block_on(project.store().log(&ran.summary.run(), "a"))
        .expect("a store")
        .expect("a log");
    assert_eq!(log, "out\nerr\n");
}

#[test]
fn a_run_stops_starting_at_a_failure_or_keeps_going() {
    let mut project = Project::new();
    project.options.slots.cpus = 1;
    let yaml = r#"
  a:
    uses: shell
    with: { command: "exit 1" }
  b:
    uses: shell
    with: { command: "echo b > ${{ outputs.o }}", outputs: { o: file } }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.states(), ["a failed", "b skipped"]);
    assert!(
        ran.reason("b").contains("--keep-going"),
        "{}",
        ran.reason("b")
    );
    project.options.on_failure = OnFailure::KeepGoing;
    let ran = project.run(yaml);
    assert_eq!(
        (ran.states(), ran.outcome()),
        (
            vec!["a failed".to_owned(), "b ran".to_owned()],
            Outcome::Failed
        )
    );
}

#[test]
fn only_errors_that_say_so_are_tried_again() {
    let project = Project::new();
    project.write("tries/none", "");
    let tries = project.path("tries");
    let yaml = |end: &str| {
        format!(
            r#"
  a:
    uses: shell
    env: {{ TRIES: "{}" }}
    retry: {{ attempts: 3, backoff: 1ms..2ms }}
    with: {{ command: "touch $TRIES/$$; test $(ls $TRIES | wc -l) -ge 4 || {end}; echo done > ${{{{ outputs.o }}}}", outputs: {{ o: file }} }}
"#,
            tries.display()
        )
    };
    let ran = project.run(&yaml("exit 1"));
    assert_eq!(ran.error("a"), "exited with code 1");
    assert_eq!(
        ran.stage("a").error.as_ref().map(|error| error.attempts),
        Some(1)
    );
    // One try is behind us; the second comes now, the third ends well.
    let ran = project.run(&yaml("exit 75"));
    assert_eq!(ran.states(), ["a ran"]);
    let retries = ran
        .events
        .iter()
        .filter(|event| matches!(event, RunEvent::StageRetry { .. }))
        .count();
    assert_eq!(retries, 1);
}

#[test]
fn an_error_event_decides_whether_to_try_again() {
    let project = Project::new();
    let yaml = r#"
  a:
    uses: shell
    retry: { attempts: 3, backoff: 1ms..1ms }
    with: { command: "echo '{\"event\":\"error\",\"message\":\"busy\",\"retry\":true}' >> $SUPERMOE_EVENTS; exit 1" }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.error("a"), "busy");
    assert_eq!(
        ran.stage("a").error.as_ref().map(|error| error.attempts),
        Some(3)
    );
}

#[test]
fn a_timeout_ends_a_stage() {
    let project = Project::new();
    let yaml = "\n  a:\n    uses: shell\n    timeout: 50ms\n    with: { command: 'sleep 600' }\n";
    let ran = project.run(yaml);
    assert_eq!(ran.error("a"), "timed out after 0.05 s (`timeout`)");
}

#[test]
fn missing_and_wrong_outputs_are_errors() {
    let mut project = Project::new();
    project.options.on_failure = OnFailure::KeepGoing;
    let yaml = r#"
  none:
    uses: shell
    with: { command: "true", outputs: { o: file } }
  kind:
    uses: shell
    with: { command: "mkdir ${{ outputs.o }}", outputs: { o: file } }
  link:
    uses: shell
    with: { command: "ln -s /etc/passwd ${{ outputs.o }}/x", outputs: { o: folder } }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.states(), ["none failed", "kind failed", "link failed"]);
    assert!(
        ran.error("none")
            .starts_with("it ended well and left its output `o` unwritten"),
        "{}",
        ran.error("none")
    );
    assert_eq!(
        ran.error("kind"),
        "its output `o` is a folder, expected a file"
    );
    assert_eq!(
        ran.error("link"),
        "its output `o`: `x` cannot be stored: it is a link that leaves the folder, to `/etc/passwd`"
    );
}

#[test]
fn values_are_never_parsed_as_shell() {
    let project = Project::new();
    let nasty = r#"'"; touch /tmp/x; $(exit 7) `exit 8` *"#;
    let yaml = format!(
        r#"
  a:
    uses: shell
    matrix: {{ word: ["{}"] }}
    with: {{ command: 'printf %s "${{{{ matrix.word }}}}" > ${{{{ outputs.o }}}}', outputs: {{ o: file }} }}
    publish: {{ o: out.txt }}
"#,
        nasty.replace('\\', "\\\\").replace('"', "\\\"")
    );
    assert_eq!(project.run(&yaml).outcome(), Outcome::Succeeded);
    assert_eq!(project.read("out.txt"), nasty);
}

#[test]
fn several_inputs_keep_their_order() {
    let project = Project::new();
    project.write("a.txt", "1\n");
    project.write("b.csv", "2\n");
    let yaml = r#"
  a:
    uses: shell
    inputs: { all: [./b.csv, ./a.txt] }
    with: { command: "cat ${{ inputs.all }} > ${{ outputs.o }}", outputs: { o: file } }
    publish: { o: out.txt }
"#;
    assert_eq!(project.run(yaml).outcome(), Outcome::Succeeded);
    assert_eq!(project.read("out.txt"), "2\n1\n");
}

#[test]
fn a_stage_that_writes_into_its_input_poisons_nobody() {
    let mut project = Project::new();
    project.options.slots.cpus = 1;
    project.options.on_failure = OnFailure::KeepGoing;
    project.write("data.txt", "good\n");
    let yaml = r#"
  bad:
    uses: shell
    inputs: { d: ./data.txt }
    with: { command: "chmod u+w ${{ inputs.d }}; echo bad > ${{ inputs.d }}; echo x > ${{ outputs.o }}", outputs: { o: file } }
  good:
    uses: shell
    inputs: { d: ./data.txt }
    with: { command: "cat ${{ inputs.d }} > ${{ outputs.o }}", outputs: { o: file } }
    publish: { o: out.txt }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.states(), ["bad failed", "good ran"]);
    assert!(
        ran.error("bad").starts_with("its input `d` was written to"),
        "{}",
        ran.error("bad")
    );
    assert_eq!(
        (project.read("out.txt"), project.read("data.txt")),
        ("good\n".into(), "good\n".into())
    );
}

#[test]
fn a_checkpoint_carries_over_to_the_next_attempt_and_goes_with_the_result() {
    let project = Project::new();
    let yaml = r#"
  a:
    uses: counter
    retry: { attempts: 2, backoff: 1ms..1ms }
    with: { to: 5, fail_at: 3 }
    publish: { total: total.txt }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.states(), ["a ran"], "{:?}", ran.stage("a").error);
    assert_eq!(project.read("total.txt"), "5, from 3");
    assert_eq!(ran.stage("a").metrics.get("count"), Some(&5.0));
    let left = walk(&project.path("store/checkpoints"));
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_stop_keeps_a_checkpoint_and_the_next_run_goes_on() {
    let project = Project::new();
    let yaml = r#"
  a:
    uses: counter
    with: { to: 5, wait_at: 4 }
    publish: { total: total.txt }
  b:
    uses: shell
    inputs: { a: a.total }
    with: { command: "cat ${{ inputs.a }}" }
"#;
    let (sender, signal) = stop_channel();
    let ran = project.run_until(yaml, signal, |event| {
        if matches!(event, RunEvent::StageMetric { name, .. } if name == "waiting") {
            sender.raise(StopLevel::Stop);
        }
    });
    assert_eq!(ran.outcome(), Outcome::Cancelled);
    assert_eq!(ran.states(), ["a cancelled", "b skipped"]);
    assert_eq!(project.run(yaml).states(), ["a ran", "b ran"]);
    assert_eq!(project.read("total.txt"), "5, from 4");
}

#[test]
fn now_ends_what_does_not_listen() {
    let mut project = Project::new();
    project.options.grace = Duration::from_secs(600);
    let yaml = r#"
  a:
    uses: shell
    with: { command: "trap '' TERM; echo '{\"event\":\"metric\",\"name\":\"up\",\"value\":1}' >> $SUPERMOE_EVENTS; sleep 600; sleep 600" }
"#;
    let (sender, signal) = stop_channel();
    let ran = project.run_until(yaml, signal, |event| {
        if matches!(event, RunEvent::StageMetric { .. }) {
            sender.raise(StopLevel::Stop);
            sender.raise(StopLevel::Now);
        }
    });
    assert_eq!(
        (ran.outcome(), ran.states()),
        (Outcome::Cancelled, vec!["a cancelled".to_owned()])
    );
}

#[test]
fn what_was_published_is_replaced_and_what_was_not_is_left() {
    let project = Project::new();
    let yaml = |word: &str| {
        format!(
            "\n  a:\n    uses: shell\n    with: {{ command: 'echo {word} > ${{{{ outputs.o }}}}/x', outputs: {{ o: folder }} }}\n    publish: {{ o: site }}\n"
        )
    };
    assert_eq!(project.run(&yaml("one")).outcome(), Outcome::Succeeded);
    assert_eq!(project.read("site/x"), "one\n");
    assert_eq!(project.run(&yaml("two")).outcome(), Outcome::Succeeded);
    assert_eq!(project.read("site/x"), "two\n");
    let other = yaml("three").replace("o: site }", "o: mine }");
    project.write("mine/notes", "keep");
    let ran = project.run(&other);
    assert_eq!(ran.outcome(), Outcome::Failed);
    assert!(ran.summary.record.not_published[0].contains("was not published by supermoe"));
    assert_eq!(project.read("mine/notes"), "keep");
}

#[test]
fn secrets_reach_the_worker_and_nothing_else() {
    let mut project = Project::new();
    project
        .options
        .environment
        .insert("TOKEN".into(), "s3cr3t-value".into());
    let yaml = r#"
  a:
    uses: shell
    secrets: [TOKEN]
    with: { command: "echo ${#TOKEN} > ${{ outputs.o }}; echo $TOKEN; exit 0", outputs: { o: file } }
    publish: { o: length.txt }
"#;
    let workflow = format!("{yaml}\nsecrets: [TOKEN]\n");
    let ran = project.run(&workflow);
    assert_eq!(
        ran.outcome(),
        Outcome::Succeeded,
        "{:?}",
        ran.summary.record
    );
    assert_eq!(project.read("length.txt"), "12\n");
    let log = project
        .block_on(project.store().log(&ran.summary.run(), "a"))
        .expect("a store")
        .expect("a log");
    assert_eq!(log, "***\n");
    for file in walk(&project.path("store")) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(
            !bytes.windows(12).any(|window| window == b"s3cr3t-value"),
            "{file}"
        );
    }
}

#[test]
fn a_stage_that_asks_for_more_than_there_is() {
    let mut project = Project::new();
    project.options.slots.cpus = 1;
    project.options.on_failure = OnFailure::KeepGoing;
    let yaml = r#"
  cores:
    uses: shell
    resources: { cpus: 64 }
    with: { command: "true" }
  gpu:
    uses: shell
    resources: { gpus: 1 }
    with: { command: "exit 0" }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.states(), ["cores ran", "gpu failed"]);
    assert_eq!(ran.error("gpu"), "it asks for 1 GPUs and this run has 0");
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
