//! Wrong workflows, one mistake each in `bad/*.yaml`, and the exact message for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::Project;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cli/bad")
}

/// A project with everything in the folder.
fn project() -> Project {
    let project = Project::new();
    copy(&folder(), &project.path("."));
    project
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder is readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn wrong_workflows() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .expect("the folder is readable")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    names
}

#[test]
fn each_gives_its_message_and_exit_code_2() {
    let project = project();
    let names = wrong_workflows();
    assert!(names.len() >= 60, "only {} are left", names.len());
    for name in names {
        let outcome = project.supermoe(&["check", &name]);
        assert_eq!(outcome.code, Some(2), "{name}: {outcome}");
        assert_eq!(outcome.stdout, "", "{name}");
        let title = name.trim_end_matches(".yaml");
        insta::with_settings!({
            snapshot_path => "bad/messages",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(title, outcome.steady_stderr());
        });
    }
}

#[test]
fn run_and_plan_refuse_them_in_the_same_words() {
    let project = project();
    let said = |command: &str| {
        let outcome = project.supermoe(&[command, "many_mistakes_at_once.yaml"]);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        outcome.stderr
    };
    let checked = said("check");
    assert_eq!(said("run"), checked);
    assert_eq!(said("plan"), checked);
    assert_eq!(said("graph"), checked);
    assert!(!project.exists(".supermoe"), "nothing was run");
}

#[test]
fn json_tells_each_mistake_with_its_place() {
    let project = project();
    let outcome = project.supermoe(&["check", "many_mistakes_at_once.yaml", "--json"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    let document = outcome.json();
    assert_eq!(document["ok"], false);
    let errors = document["errors"].as_array().expect("errors");
    assert!(errors.len() >= 6, "{document}");
    for error in errors {
        assert!(
            error["line"].is_u64() && error["message"].is_string(),
            "{error}"
        );
    }
}
