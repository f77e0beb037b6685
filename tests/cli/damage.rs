//! Stores that lost or changed something: it is found, named, and made again.

use std::fs;
use std::path::PathBuf;

use crate::harness::Project;

/// Outputs large enough to be blobs of their own.
const LARGE: &str = r#"name: large
stages:
  first:
    uses: shell
    with:
      command: seq 1 40000 > "${{ outputs.numbers }}"
      outputs: { numbers: file }
  second:
    uses: shell
    inputs: { numbers: first.numbers }
    with:
      command: wc -l < "${{ inputs.numbers }}" > "${{ outputs.count }}"
      outputs: { count: file }
"#;

fn after_a_run() -> Project {
    let project = Project::with(LARGE);
    project.ok(&["run", "workflow.yaml"]);
    project
}

fn objects(project: &Project, kind: &str) -> Vec<PathBuf> {
    let found = project.files_below(&format!(".supermoe/store/{kind}"));
    assert!(!found.is_empty(), "the store has no {kind}");
    found
}

fn digests(project: &Project) -> Vec<String> {
    project.latest()["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| stage["outputs"].to_string())
        .collect()
}

fn flip_a_bit(file: &PathBuf) {
    let mut bytes = fs::read(file).expect("the object is readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = fs::metadata(file).expect("metadata").permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    fs::set_permissions(file, permissions).expect("permissions");
    fs::write(file, bytes).expect("the object is writable");
}

#[test]
fn a_deleted_blob_is_made_again() {
    let project = after_a_run();
    let before = digests(&project);
    for blob in objects(&project, "blobs") {
        fs::remove_file(blob).expect("the blob can be removed");
    }
    project.ok(&["run", "workflow.yaml"]);
    let shown = project.latest();
    assert_eq!(shown["stages"][0]["state"], "ran", "{shown}");
    assert_eq!(shown["stages"][0]["reason"]["kind"], "result_damaged");
    assert_eq!(digests(&project), before);
}

#[test]
fn plan_tells_of_a_deleted_blob() {
    let project = after_a_run();
    for blob in objects(&project, "blobs") {
        fs::remove_file(blob).expect("the blob can be removed");
    }
    let plan = project.ok(&["plan", "workflow.yaml", "--json"]).json();
    assert_eq!(plan["stages"][0]["state"], "run");
    assert_eq!(plan["stages"][0]["reason"]["kind"], "result_damaged");
}

#[test]
fn a_flipped_bit_in_any_object_is_found_and_the_outputs_are_the_same_again() {
    for kind in ["blobs", "trees", "results"] {
        let project = after_a_run();
        let before = digests(&project);
        for object in objects(&project, kind) {
            flip_a_bit(&object);
        }
        // Content is verified when it is read: a stage that reads it must not read the wrong thing.
        project.change("workflow.yaml", "wc -l <", "wc -l  <");
        project.ok(&["run", "workflow.yaml"]);
        assert_eq!(digests(&project), before, "{kind}");
        let got = project.supermoe(&["get", "latest", "first.numbers", "--to", "out"]);
        assert_eq!(got.code, Some(0), "{kind}: {got}");
        assert!(
            project.read("out/numbers").ends_with("39999\n40000\n"),
            "{kind}"
        );
    }
}

#[test]
fn getting_a_damaged_output_fails_and_leaves_nothing_behind() {
    let project = after_a_run();
    for blob in objects(&project, "blobs") {
        flip_a_bit(&blob);
    }
    let outcome = project.supermoe(&["get", "latest", "first.numbers", "--to", "out"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("damaged"), "{outcome}");
    assert!(project.files_below("out").is_empty());
}

#[test]
fn a_store_that_is_a_file_is_told() {
    let project = Project::with(&LARGE.replace("name: large", "name: large\nstore: ./file"))
        .file("file", "not a store");
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert!(matches!(outcome.code, Some(1 | 2)), "{outcome}");
    assert!(outcome.stderr.contains("file"), "{outcome}");
}

#[test]
fn a_store_that_cannot_be_reached_is_told() {
    // Port 1 of this machine: nobody listens there.
    let project =
        Project::with(&LARGE.replace("name: large", "name: large\nstore: s3://bucket/prefix"))
            .variable("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .variable("AWS_ALLOW_HTTP", "true")
            .variable("AWS_REGION", "us-east-1")
            .variable("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .variable("AWS_SECRET_ACCESS_KEY", "very-secret-key");
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert!(matches!(outcome.code, Some(1 | 2)), "{outcome}");
    assert!(outcome.stderr.contains("s3://bucket/prefix"), "{outcome}");
    assert!(!outcome.stderr.contains("very-secret-key"), "{outcome}");
}
