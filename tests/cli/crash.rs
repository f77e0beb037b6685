//! The runner is killed in the middle of a cold run: the next run goes on where it was.
//!
//! `cargo xtask suite crash` runs this at full size.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Project, eventually};
use crate::signals::processes_of;

const JOBS: usize = 2;
const LAYER: usize = 10;

/// Stages in layers of ten, each appending to the output of the one above it.
fn layers(stages: usize) -> String {
    let mut text = String::from("name: layers\nstages:\n");
    for index in 0..stages {
        let (layer, column) = (index / LAYER, index % LAYER);
        text.push_str(&format!("  s{layer}_{column}:\n    uses: shell\n"));
        let command = if layer == 0 {
            format!("echo {column} > ${{{{ outputs.out }}}}")
        } else {
            text.push_str(&format!(
                "    inputs: {{ above: s{}_{column}.out }}\n",
                layer - 1
            ));
            format!(
                "cat ${{{{ inputs.above }}}} > ${{{{ outputs.out }}}}; echo {layer} >> ${{{{ outputs.out }}}}"
            )
        };
        text.push_str(&format!(
            "    with:\n      command: \"{command}\"\n      outputs: {{ out: file }}\n"
        ));
    }
    text
}

#[test]
fn after_kill_9_at_any_time_the_next_run_repeats_only_what_was_running() {
    let stages = setting("SUPERMOE_CRASH_STAGES", 60);
    let kills = setting("SUPERMOE_CRASH_KILLS", 3);
    let workflow = layers(stages);
    let whole = Project::with(&workflow);
    whole.ok(&["run", "workflow.yaml", "--jobs", "2"]);
    let digests = outputs(&whole.latest());
    assert_eq!(digests.len(), stages);

    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..kills {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let kill_after = usize::try_from(random >> 33).unwrap_or(0) % (stages - 1) + 1;
        let project = Project::with(&workflow);
        let done = kill_after_stages(&project, kill_after);
        eventually("no process of the run is left", || {
            processes_of(&project).is_empty()
        });

        project.ok(&["run", "workflow.yaml", "--jobs", "2"]);
        let document = project.latest();
        let again: BTreeSet<String> = stages_in(&document, "ran");
        let repeated: Vec<&String> = again.intersection(&done).collect();
        assert!(
            repeated.is_empty(),
            "killed after {kill_after}: {repeated:?} ran again"
        );
        assert!(
            again.len() + done.len() <= stages + JOBS,
            "killed after {kill_after}: {} had ended, {} ran",
            done.len(),
            again.len()
        );
        assert_eq!(outputs(&document), digests, "killed after {kill_after}");
        for folder in [".supermoe/work", ".supermoe/store/tmp"] {
            let left = project.files_below(folder);
            assert!(left.is_empty(), "killed after {kill_after}: {left:?}");
        }
    }
}

/// Kills a cold run once so many stages have ended; gives those that were told to have ended.
fn kill_after_stages(project: &Project, kill_after: usize) -> BTreeSet<String> {
    let mut run = project.start(&["run", "workflow.yaml", "--jobs", "2", "--json"]);
    let mut done = BTreeSet::new();
    let mut lines = BufReader::new(run.stdout()).lines();
    while done.len() < kill_after {
        let line = lines.next().expect("the run goes on").expect("a line");
        note_finished(&line, &mut done);
    }
    run.signal(Signal::SIGKILL);
    // What it said before it was killed counts; the last line may be torn.
    for line in lines.map_while(Result::ok) {
        note_finished(&line, &mut done);
    }
    assert_eq!(run.wait().code, Some(-9));
    done
}

fn note_finished(line: &str, done: &mut BTreeSet<String>) {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return;
    };
    if event["event"] == "stage_finished" && event["state"] == "ran" {
        done.insert(event["stage"].as_str().expect("a name").to_owned());
    }
}

fn stages_in(document: &Value, state: &str) -> BTreeSet<String> {
    let stages = document["stages"].as_array().expect("stages");
    let named = stages.iter().filter(|stage| stage["state"] == state);
    named
        .map(|stage| stage["name"].as_str().expect("a name").to_owned())
        .collect()
}

fn outputs(document: &Value) -> BTreeSet<String> {
    let stages = document["stages"].as_array().expect("stages");
    stages
        .iter()
        .map(|stage| format!("{} {}", stage["name"], stage["outputs"]["out"]))
        .collect()
}

/// A size of this test, from the environment.
fn setting(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, found {text:?}")),
        Err(_) => default,
    }
}
