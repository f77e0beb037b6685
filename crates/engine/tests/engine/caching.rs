//! What runs again and what does not.

use crate::project::Project;
use serde_json::Value;
use supermoe_engine::{Outcome, PlannedState, Selection, StageState};

/// a -> b -> c, and d beside them.
const CHAIN: &str = r#"
  a:
    uses: shell
    inputs: { data: ./data.txt }
    with: { command: "cat ${{ inputs.data }} > ${{ outputs.o }}", outputs: { o: file } }
  b:
    uses: shell
    inputs: { a: a.o }
    with: { command: "wc -l < ${{ inputs.a }} > ${{ outputs.o }}", outputs: { o: file } }
  c:
    uses: shell
    inputs: { b: b.o }
    with: { command: "(cat ${{ inputs.b }}; echo end) > ${{ outputs.o }}", outputs: { o: file } }
  d:
    uses: shell
    with: { command: "echo beside > ${{ outputs.o }}", outputs: { o: file } }
"#;

fn chain() -> Project {
    let project = Project::new();
    project.write("data.txt", "one\n");
    project
}

#[test]
fn a_second_run_is_all_cached() {
    let project = chain();
    let first = project.run(CHAIN);
    assert_eq!(first.outcome(), Outcome::Succeeded);
    assert_eq!(first.ran(), ["a", "b", "c", "d"]);
    assert_eq!(first.reason("a"), "first run");
    let second = project.run(CHAIN);
    assert_eq!(
        second.states(),
        ["a cached", "b cached", "c cached", "d cached"]
    );
    assert_eq!(second.stage("c").outputs, first.stage("c").outputs);
    assert_eq!(second.stage("c").key, first.stage("c").key);
}

#[test]
fn touching_an_input_runs_nothing() {
    let project = chain();
    project.run(CHAIN);
    project.write("data.txt", "one\n");
    assert_eq!(project.run(CHAIN).ran(), [""; 0]);
}

#[test]
fn the_same_output_stops_the_wave() {
    let project = chain();
    project.run(CHAIN);
    // Another line, and the same number of lines.
    project.write("data.txt", "two\n");
    let plan = project.plan(CHAIN);
    let states: Vec<PlannedState> = plan.cells.iter().map(|cell| cell.state).collect();
    use PlannedState::{Cached, Run, Unknown};
    assert_eq!(states, [Run, Unknown, Unknown, Cached]);
    assert_eq!(
        plan.cells[1]
            .reason
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("a runs before it")
    );
    let ran = project.run(CHAIN);
    assert_eq!(ran.states(), ["a ran", "b ran", "c cached", "d cached"]);
    assert!(
        ran.reason("a").starts_with("inputs.data: "),
        "{}",
        ran.reason("a")
    );
    assert!(
        ran.reason("b").starts_with("inputs.a: a.o changed, "),
        "{}",
        ran.reason("b")
    );
}

#[test]
fn a_changed_leaf_runs_what_depends_on_it_and_the_plan_says_so() {
    let project = chain();
    project.run(CHAIN);
    let changed = CHAIN.replace("echo end", "echo END");
    let plan = project.plan(&changed);
    assert_eq!(
        (
            plan.count(PlannedState::Run),
            plan.count(PlannedState::Cached)
        ),
        (1, 3)
    );
    let reason =
        serde_json::to_value(plan.cells[2].reason.as_ref().expect("a reason")).expect("JSON");
    assert_eq!(
        (&reason["kind"], &reason["field"]),
        (&Value::from("param_changed"), &Value::from("with.command"))
    );
    assert_eq!(reason["line"], 15);
    assert!(
        reason["old"]
            .as_str()
            .is_some_and(|old| old.contains("echo end")),
        "{reason}"
    );
    assert!(
        reason["new"]
            .as_str()
            .is_some_and(|new| new.contains("echo END")),
        "{reason}"
    );
    assert!(plan.cells[2].expected_seconds.is_some());
    assert_eq!(project.run(&changed).ran(), ["c"]);
}

#[test]
fn a_value_in_a_command_is_named_by_its_expression() {
    let project = Project::new();
    let yaml = |lr: &str| {
        format!(
            r#"
  a:
    uses: shell
    matrix: {{ lr: [{lr}] }}
    with: {{ command: "echo ${{{{ matrix.lr }}}} > ${{{{ outputs.o }}}}", outputs: {{ o: file }} }}
"#
        )
    };
    project.run(&yaml("0.1"));
    assert_eq!(project.run(&yaml("0.2")).reason("a[lr=0.2]"), "first run");
}

#[test]
fn renaming_a_stage_or_its_resources_and_retries_runs_nothing() {
    let project = chain();
    project.run(CHAIN);
    let renamed = CHAIN
        .replace("  b:\n", "  counted:\n    resources: { cpus: 2, memory: 1MiB }\n    retry: { attempts: 5 }\n    timeout: 1h\n")
        .replace("b: b.o", "b: counted.o");
    assert_eq!(
        project.run(&renamed).states(),
        ["a cached", "counted cached", "c cached", "d cached"]
    );
}

#[test]
fn env_is_part_of_the_key() {
    let project = Project::new();
    let yaml = |value: &str| {
        format!(
            "\n  a:\n    uses: shell\n    env: {{ WORD: {value} }}\n    with: {{ command: 'echo $WORD > ${{{{ outputs.o }}}}', outputs: {{ o: file }} }}\n    publish: {{ o: out/{value}.txt }}\n"
        )
    };
    project.run(&yaml("one"));
    let ran = project.run(&yaml("two"));
    assert!(
        ran.reason("a").starts_with("env.WORD: \"one\" -> \"two\""),
        "{}",
        ran.reason("a")
    );
    assert_eq!(
        (project.read("out/one.txt"), project.read("out/two.txt")),
        ("one\n".into(), "two\n".into())
    );
}

#[test]
fn force_runs_a_stage_whose_result_is_there() {
    let mut project = chain();
    project.run(CHAIN);
    project.options.selection.force = vec!["b".parse().expect("a selector")];
    let ran = project.run(CHAIN);
    // The same output again: what follows is still cached.
    assert_eq!(ran.states(), ["a cached", "b ran", "c cached", "d cached"]);
    assert_eq!(ran.reason("b"), "forced");
}

#[test]
fn an_uncacheable_stage_runs_every_time() {
    let project = Project::new();
    let yaml = "\n  a:\n    uses: shell\n    cache: false\n    with: { command: 'echo x > ${{ outputs.o }}', outputs: { o: file } }\n";
    for _ in 0..2 {
        let ran = project.run(yaml);
        assert_eq!(ran.ran(), ["a"]);
        assert!(
            ran.reason("a").starts_with("cache: false"),
            "{}",
            ran.reason("a")
        );
    }
}

#[test]
fn one_key_is_computed_once() {
    let project = Project::new();
    let stage = |name: &str| {
        format!(
            "\n  {name}:\n    uses: shell\n    with: {{ command: 'echo x >> ${{{{ outputs.o }}}}', outputs: {{ o: file }} }}\n"
        )
    };
    let ran = project.run(&(stage("a") + &stage("b") + &stage("c")));
    assert_eq!(ran.summary.record.in_state(StageState::Ran).count(), 1);
    assert_eq!(ran.summary.record.in_state(StageState::Cached).count(), 2);
    assert_eq!(ran.stage("a").outputs, ran.stage("c").outputs);
}

#[test]
fn selections_take_the_rest_from_the_store() {
    let mut project = chain();
    let select = |only: &str, from: &str, until: &str| {
        let list = |text: &str| {
            text.split_whitespace()
                .map(|name| name.parse().expect("a selector"))
                .collect()
        };
        Selection {
            only: list(only),
            from: list(from),
            until: list(until),
            force: Vec::new(),
        }
    };
    project.options.selection = select("c", "", "");
    let ran = project.run(CHAIN);
    assert_eq!(ran.states(), ["c failed"]);
    assert_eq!(
        ran.error("c"),
        "input `b`: b has no result and is not selected. Run it first, or select it too"
    );
    project.options.selection = select("", "", "b");
    assert_eq!(project.run(CHAIN).states(), ["a ran", "b ran"]);
    project.options.selection = select("", "b", "");
    assert_eq!(project.run(CHAIN).states(), ["b cached", "c ran"]);
    project.options.selection = select("c d", "", "");
    assert_eq!(project.run(CHAIN).states(), ["c cached", "d ran"]);
}

#[test]
fn a_damaged_result_is_made_again_and_the_reason_is_said() {
    let project = chain();
    let first = project.run(CHAIN);
    for object in project.objects_with("one\n") {
        std::fs::remove_file(object).expect("an object");
    }
    let ran = project.run(CHAIN);
    assert_eq!(ran.states(), ["a ran", "b cached", "c cached", "d cached"]);
    assert!(
        ran.reason("a").starts_with("result damaged: "),
        "{}",
        ran.reason("a")
    );
    assert_eq!(ran.stage("a").outputs, first.stage("a").outputs);
    assert_eq!(project.run(CHAIN).ran(), [""; 0]);
}

#[test]
fn damage_that_is_found_on_reading_makes_the_maker_run_in_the_same_run() {
    let project = chain();
    project.run(CHAIN);
    let objects = project.objects_with("one\n");
    assert!(!objects.is_empty());
    let times = |path: &std::path::Path| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .expect("a time")
    };
    for object in objects {
        // One bit, the same size and the same time: only reading tells.
        let (mut bytes, modified) = (std::fs::read(&object).expect("an object"), times(&object));
        let at = bytes
            .windows(4)
            .position(|window| window == b"one\n")
            .expect("the text");
        bytes[at] ^= 1;
        std::fs::write(&object, bytes).expect("an object");
        std::fs::File::options()
            .write(true)
            .open(&object)
            .and_then(|file| file.set_modified(modified))
            .expect("a time");
    }
    let changed = CHAIN.replace("wc -l <", "wc -c <");
    let ran = project.run(&changed);
    assert_eq!(ran.outcome(), Outcome::Succeeded, "{:?}", ran.states());
    assert_eq!(ran.states(), ["a ran", "b ran", "c ran", "d cached"]);
    assert!(
        ran.reason("a").starts_with("result damaged: "),
        "{}",
        ran.reason("a")
    );
    assert_eq!(project.run(&changed).ran(), [""; 0]);
}

#[test]
fn a_damaged_input_of_a_selected_stage_is_made_again_though_not_selected() {
    let mut project = chain();
    project.run(CHAIN);
    for object in project.objects_with("one\n") {
        std::fs::remove_file(object).expect("an object");
    }
    project.options.selection.only = vec!["b".parse().expect("a selector")];
    let ran = project.run(&CHAIN.replace("wc -l <", "wc -c <"));
    assert_eq!(ran.states(), ["a ran", "b ran"]);
}

#[test]
fn a_plan_writes_nothing_to_the_store() {
    let project = chain();
    project.plan(CHAIN);
    assert!(!project.path("store").exists());
}

#[test]
fn skipped_cells_and_what_needs_them() {
    let project = Project::new();
    let yaml = r#"
  a:
    uses: shell
    when: false
    with: { command: "echo a > ${{ outputs.o }}", outputs: { o: file } }
  b:
    uses: shell
    needs: [a]
    with: { command: "echo b > ${{ outputs.o }}", outputs: { o: file } }
"#;
    let ran = project.run(yaml);
    assert_eq!(ran.states(), ["a skipped", "b ran"]);
    assert_eq!(ran.outcome(), Outcome::Succeeded);
}
