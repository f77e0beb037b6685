//! The workflows of this repository are right, for any of their scales.

use std::path::{Path, PathBuf};

use crate::harness::Project;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows")
}

/// Their names and texts.
fn all() -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder()).expect("a folder");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    let text = |path: PathBuf| {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read_to_string(path).expect("a text"))
    };
    files.into_iter().map(text).collect()
}

#[test]
fn each_passes_its_check() {
    let project = Project::new();
    let data = folder()
        .join("../examples/data")
        .canonicalize()
        .expect("the data");
    std::fs::create_dir(project.path("examples")).expect("a folder");
    std::os::unix::fs::symlink(data, project.path("examples/data")).expect("a link");
    // SIUPD's own files may not be passed on: its check needs files of their names alone.
    for file in ["user_pay.txt", "user_view.txt", "shop_info.txt"] {
        project.write(&format!("workflows/siupd/{file}"), "");
    }
    let workflows = all();
    assert!(workflows.len() >= 7, "{workflows:?}");
    for (name, text) in workflows {
        let path = format!("workflows/{name}");
        project.write(&path, &text);
        project.ok(&["check", &path]);
        if text.contains("scale: full") {
            project.ok(&["check", &path, "--set", "scale=small"]);
        }
    }
}

#[test]
fn what_is_compared_is_prepared_alike() {
    let prepare = |name: &str| {
        let text = std::fs::read_to_string(folder().join(name)).expect("a workflow");
        let (_, rest) = text.split_once("\n  prepare:\n").expect("it prepares");
        let (prepare, _) = rest.split_once("\n\n").expect("another stage follows");
        let lines = prepare.lines();
        // How many customers are taken is each workflow's own.
        let kept = lines.filter(|line| !line.contains("WHERE t.customer_id %"));
        kept.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(prepare("embedding_eval.yaml"), prepare("ablation.yaml"));
}
