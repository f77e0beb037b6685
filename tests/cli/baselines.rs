//! Gradient boosting and logistic regression beside the models: examples/plugin-sklearn on a dataset of `prepare`.

use std::path::Path;

use crate::harness::Project;
use crate::learning;
use crate::python::has_python;

const WORKFLOW: &str = "examples/plugin-sklearn/baselines.yaml";

/// `tiny.yaml` and the example: its workflow reads what lies beside it, so that it is copied.
fn project() -> Project {
    let project = learning::project("tiny.yaml").variable("SUPERMOE_PLUGIN_PATH", "examples");
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugin-sklearn");
    for entry in std::fs::read_dir(plugin).expect("the example") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).expect("a text");
            let name = path.file_name().expect("a name").to_string_lossy();
            project.write(&format!("examples/plugin-sklearn/{name}"), &text);
        }
    }
    project
}

#[test]
fn both_stand_in_one_table() {
    if !has_python("numpy, pyarrow.parquet, sklearn") {
        return;
    }
    let project = project();
    project.ok(&["run", "workflows/tiny.yaml", "--until", "prepare"]);
    project.ok(&["get", "latest", "prepare.dataset", "--to", "dataset"]);
    project.ok(&["run", WORKFLOW, "--set", "seeds=[0]"]);
    let stages = project.latest()["stages"].clone();
    let stages = stages.as_array().expect("stages");
    for model in ["gbdt", "logistic"] {
        let stage = stages
            .iter()
            .find(|stage| stage["matrix"]["model"] == model)
            .unwrap_or_else(|| panic!("no {model} in {stages:?}"));
        let auc = stage["metrics"]["test/spend60/auc"].as_f64();
        assert!(
            auc.is_some_and(|auc| (0.55..1.0).contains(&auc)),
            "{model}: {stage}"
        );
    }
    let table = project.ok(&[
        "compare", "latest", "--rows", "model", "--format", "markdown",
    ]);
    for row in ["| gbdt |", "| logistic |"] {
        assert!(table.stdout.contains(row), "{}", table.stdout);
    }
}
