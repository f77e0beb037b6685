//! The generated JSON Schemas in `schemas/` are those of this program.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::Project;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn json_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for below in ["", "plugins"] {
        let Ok(entries) = fs::read_dir(folder.join(below)) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".json") {
                found.push(format!("{below}/{name}"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_kept_schemas_are_current() {
    let project = Project::new();
    project.ok(&["schema", "--write", "out"]);
    let fresh = project.path("out");
    assert_eq!(
        json_files(&kept()),
        json_files(&fresh),
        "run `supermoe schema --write schemas`"
    );
    for name in json_files(&fresh) {
        let read = |folder: &Path| fs::read_to_string(folder.join(name.trim_start_matches('/')));
        assert_eq!(
            read(&kept()).ok(),
            read(&fresh).ok(),
            "{name} is not current: run `supermoe schema --write schemas`"
        );
    }
}

#[test]
fn without_a_folder_the_workflows_schema_is_printed() {
    let document = Project::new().ok(&["schema"]).json();
    assert!(document["properties"]["stages"].is_object(), "{document}");
}

#[test]
fn writing_twice_changes_nothing() {
    let project = Project::new();
    project.ok(&["schema", "--write", "out"]);
    let first: Value =
        serde_json::from_str(&project.read("out/workflow.schema.json")).expect("JSON");
    project.ok(&["schema", "--write", "out"]);
    let second: Value =
        serde_json::from_str(&project.read("out/workflow.schema.json")).expect("JSON");
    assert_eq!(first, second);
    for name in [
        "abtest", "evaluate", "finetune", "prepare", "pretrain", "shell",
    ] {
        assert!(
            project.exists(&format!("out/plugins/{name}.schema.json")),
            "{name}"
        );
    }
}
