//! Reasons, and runs as their journals tell them.

use serde_json::json;
use supermoe_engine::{Outcome, RunRecord, StageState};
use supermoe_store::RunId;

use crate::project::Project;

fn counter(with: &str) -> String {
    format!("\n  a:\n    uses: counter\n    with: {with}\n")
}

#[test]
fn a_param_that_was_at_its_default_is_explained_by_the_default() {
    let project = Project::new();
    project.run(&counter("{}"));
    let file = project.path("workflow.yaml");
    let ran = project.run(&counter("{ to: 5 }"));
    assert_eq!(
        ran.reason("a"),
        format!("with.to: 3 -> 5 ({}:6)", file.display())
    );
    let ran = project.run(&counter("{ to: 7 }"));
    assert_eq!(
        ran.reason("a"),
        format!("with.to: 5 -> 7 ({}:6)", file.display())
    );
    // Writing the default out is the first run again.
    assert_eq!(project.run(&counter("{ to: 3 }")).states(), ["a cached"]);
    let reason = json!(project.plan(&counter("{ to: 9 }")).cells[0].reason);
    assert_eq!(
        (&reason["old"], &reason["new"]),
        (&json!(3), &json!(9)),
        "{reason}"
    );
}

#[test]
fn every_change_is_in_the_plan() {
    let project = Project::new();
    project.write("one.txt", "1");
    project.write("two.txt", "2");
    let yaml = |command: &str, inputs: &str, word: &str| {
        format!(
            "\n  a:\n    uses: shell\n    env: {{ WORD: {word} }}\n    inputs: {{ {inputs} }}\n    with: {{ command: '{command}' }}\n"
        )
    };
    project.run(&yaml("true", "x: ./one.txt", "old"));
    let plan = project.plan(&yaml("exit 0", "x: ./two.txt, y: ./one.txt", "new"));
    let cell = &plan.cells[0];
    let told: Vec<String> = cell
        .reason
        .iter()
        .chain(&cell.also)
        .map(|reason| json!(reason)["field"].as_str().unwrap_or("none").to_owned())
        .collect();
    assert_eq!(told, ["with.command", "env.WORD", "inputs.x", "inputs.y"]);
    let removed = project.plan(&yaml("true", "", "old"));
    let reason = json!(removed.cells[0].reason);
    assert_eq!(
        (&reason["kind"], &reason["new"]),
        (&json!("input_changed"), &json!(null)),
        "{reason}"
    );
}

#[test]
fn a_result_that_was_removed_is_gone() {
    let project = Project::new();
    project.run(&counter("{}"));
    std::fs::remove_dir_all(project.path("store/results")).expect("results");
    let ran = project.run(&counter("{}"));
    assert_eq!(ran.states(), ["a ran"]);
}

#[test]
fn a_run_that_died_is_interrupted_and_one_that_lives_is_running() {
    let project = Project::new();
    let ran = project.run(
        &(counter("{}") + "  b:\n    uses: shell\n    needs: [a]\n    with: { command: 'true' }\n"),
    );
    let store = project.store();
    let run = ran.summary.run();
    let read = |edit: &dyn Fn(&mut serde_json::Value), last: &str| {
        project.block_on(async {
            let mut document = store
                .run_document(&run)
                .await
                .expect("a store")
                .expect("a document");
            edit(&mut document);
            let events =
                String::from_utf8(store.run_events(&run).await.expect("events")).expect("UTF-8");
            let told: Vec<&str> = events
                .split_inclusive('\n')
                .take_while(|line| !line.contains(last))
                .collect();
            let copy = RunId::generate();
            store.create_run(&copy, &document).await.expect("a run");
            store
                .append_events(&copy, 0, told.concat().into())
                .await
                .expect("events");
            RunRecord::read(&store, copy).await.expect("a record")
        })
    };
    let dead = |document: &mut serde_json::Value| document["process"]["started"] = json!(1);
    let died = read(&dead, "stage_finished");
    assert_eq!(died.outcome, Outcome::Interrupted);
    assert_eq!(died.stages.len(), 1);
    assert_eq!(
        (died.stages[0].state, died.seconds),
        (StageState::Cancelled, None)
    );
    let lives = read(&|_| {}, "stage_finished");
    assert_eq!(
        (lives.outcome, lives.running, lives.stages.len()),
        (Outcome::Running, vec!["a".to_owned()], 0)
    );
}

#[test]
fn a_record_is_the_document_that_others_rely_on() {
    let project = Project::new();
    let ran = project.run(&counter("{}"));
    let document = json!(ran.summary.record);
    for member in ["run", "workflow", "outcome", "stages"] {
        assert!(!document[member].is_null(), "{member} in {document}");
    }
    let stage = &document["stages"][0];
    for member in [
        "name",
        "matrix",
        "state",
        "reason",
        "key",
        "seconds",
        "peak_memory_bytes",
        "metrics",
        "outputs",
    ] {
        assert!(!stage[member].is_null(), "{member} in {stage}");
    }
    let plan = json!(project.plan(&counter("{}")).cells[0]);
    assert_eq!(
        plan,
        json!({"name": "a", "matrix": {}, "state": "cached", "reason": null, "expected_seconds": null})
    );
}
