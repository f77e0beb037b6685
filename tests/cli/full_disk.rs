//! A disk that is full, and one that may not be written: small file systems of their own, where this
//! machine lets a test mount them.

use std::process::{Command, Output};

use crate::harness::Project;
use crate::learning;

const WORKFLOW: &str = "name: w\nstore: ./disk/store\nstages:\n  small:\n    uses: shell\n    with: { command: 'echo x > \"${{ outputs.o }}\"', outputs: { o: file } }\n  large:\n    uses: shell\n    needs: small\n    with: { command: 'head -c 1500000 /dev/urandom > \"${{ outputs.o }}\"', outputs: { o: file } }\n";

/// Runs a script in the project with `disk/` as a file system of that size. None: that cannot be done
/// here.
fn on_a_disk(project: &Project, size: &str, script: &str) -> Option<Output> {
    std::fs::create_dir_all(project.path("disk")).expect("a folder");
    let script = format!(
        "mount -t tmpfs -o size={size} none disk || {{ echo cannot mount >&2; exit 77; }}\n\
         supermoe() {{ \"$SUPERMOE\" \"$@\"; }}\n{script}"
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .current_dir(project.path(""))
        .env("SUPERMOE", env!("CARGO_BIN_EXE_supermoe"))
        .env("NO_COLOR", "1")
        .output();
    let output = output.ok().filter(|output| {
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.code() != Some(77) && !said.starts_with("unshare:")
    });
    if output.is_none() {
        eprintln!("skipped: this machine lets no test mount a file system");
    }
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_full_store_is_said_stays_whole_and_goes_on_when_there_is_room() {
    let project = Project::with(WORKFLOW);
    let script = "supermoe run workflow.yaml; echo first $?\n\
         find disk/store/tmp -type f | sed 's/^/left /'\n\
         mount -o remount,size=8m disk\n\
         supermoe run workflow.yaml; echo second $?\n\
         supermoe run workflow.yaml; echo third $?\n";
    let Some(output) = on_a_disk(&project, "1m", script) else {
        return;
    };
    let said = said(&output);
    for expected in [
        "first 1\n",
        "No space left",
        "second 0\n",
        "third 0\n",
        "2 cached",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("left disk"), "{said}");
}

#[test]
fn a_store_that_may_not_be_written_is_said_and_what_is_there_can_be_read() {
    let project = Project::with(WORKFLOW);
    let script = "supermoe run workflow.yaml --until small; echo first $?\n\
         mount -o remount,ro disk\n\
         supermoe plan workflow.yaml; echo plan $?\n\
         supermoe get latest small.o --to out; echo get $?\n\
         supermoe run workflow.yaml; echo second $?\n";
    let Some(output) = on_a_disk(&project, "8m", script) else {
        return;
    };
    let said = said(&output);
    for expected in [
        "first 0\n",
        "plan 0\n",
        "get 0\n",
        "second 1\n",
        "Read-only",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_disk_that_fills_up_while_a_dataset_is_made_ends_the_stage_with_that_reason() {
    let project = learning::project("tiny.yaml");
    // The stages work where the disk is small; the store has room.
    let script = "mkdir -p .supermoe && rm -rf .supermoe/work && mkdir disk/work && ln -s \"$PWD/disk/work\" .supermoe/work\n\
         supermoe run workflows/tiny.yaml; echo first $?\n\
         rm .supermoe/work; supermoe run workflows/tiny.yaml --until prepare; echo second $?\n";
    let Some(output) = on_a_disk(&project, "600k", script) else {
        return;
    };
    let said = said(&output);
    for expected in ["first 1\n", "No space left", "second 0\n"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
