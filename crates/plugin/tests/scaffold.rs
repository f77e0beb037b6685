//! What `plugin new` writes runs and conforms.

#[path = "../../../tests/python.rs"]
mod python;

use std::path::Path;
use std::process::Command;

use supermoe_plugin::conformance::{CheckOutcome, ConformanceOptions, test_plugin};
use supermoe_plugin::scaffold::{Language, ScaffoldError, write};

use python::has_python;

const RUST_PLUGIN: &str = env!("CARGO_BIN_EXE_plugin-name");
const PROGRAMS: &str = env!("CARGO_BIN_EXE_supermoe-plugin-test-programs");

fn options() -> ConformanceOptions {
    ConformanceOptions {
        watcher_program: Some(PROGRAMS.into()),
        ..ConformanceOptions::default()
    }
}

#[tokio::test]
async fn a_new_python_plugin_conforms() {
    if !has_python("sys") {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let written = write("word-count", Language::Python, folder.path()).expect("written");
    let report = test_plugin(&written.folder, &options()).await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.plugin, "word-count");
    assert_eq!(
        report.outcome("progress"),
        Some(&CheckOutcome::Passed),
        "{report}"
    );
}

#[tokio::test]
async fn a_new_rust_plugin_conforms() {
    let folder = tempfile::tempdir().expect("folder");
    let written = write("word-count", Language::Rust, folder.path()).expect("written");
    // Built here under the template's own name.
    let options = ConformanceOptions {
        command: Some(vec![RUST_PLUGIN.into()]),
        ..options()
    };
    let report = test_plugin(&written.folder, &options).await;
    assert!(report.passed(), "{report}");
    assert_eq!(
        report.outcome("progress"),
        Some(&CheckOutcome::Passed),
        "{report}"
    );
    let unbuilt = test_plugin(&written.folder, &self::options()).await;
    let CheckOutcome::Failed { why, what_to_do } = &unbuilt.checks[0].outcome else {
        panic!("{unbuilt}");
    };
    assert!(
        why.contains("target/release/word-count is not there"),
        "{why}"
    );
    assert!(what_to_do.contains("build it"), "{what_to_do}");
}

#[test]
fn the_rust_templates_manifest_is_current() {
    let printed = Command::new(RUST_PLUGIN)
        .arg("--manifest")
        .output()
        .expect("it runs");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scaffold/rust/plugin.json");
    if std::env::var_os("UPDATE_MANIFEST").is_some() {
        std::fs::write(&template, &printed.stdout).expect("it can be written");
    }
    assert_eq!(
        std::fs::read_to_string(template).expect("the template"),
        String::from_utf8_lossy(&printed.stdout),
        "write it anew: UPDATE_MANIFEST=1 cargo test -p supermoe-plugin --test scaffold"
    );
}

#[test]
fn nothing_is_overwritten_and_names_are_checked() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("taken");
    std::fs::create_dir(&path).expect("folder");
    let error = write("taken", Language::Python, folder.path()).expect_err("it is taken");
    assert!(matches!(error, ScaffoldError::Exists(_)), "{error}");
    assert_eq!(std::fs::read_dir(&path).expect("folder").count(), 0);
    for name in ["", "../up", "Upper", "a b", "1st"] {
        let error = write(name, Language::Rust, folder.path()).expect_err(name);
        assert!(matches!(error, ScaffoldError::Name(_)), "{error}");
    }
    assert!("go".parse::<Language>().is_err());
}

#[test]
fn a_new_rust_plugin_depends_on_this_sdk() {
    let folder = tempfile::tempdir().expect("folder");
    let written = write("mine", Language::Rust, folder.path()).expect("written");
    let cargo = std::fs::read_to_string(written.folder.join("Cargo.toml")).expect("Cargo.toml");
    assert!(cargo.contains("name = \"mine\""), "{cargo}");
    assert!(
        cargo.contains(&format!("path = {:?}", env!("CARGO_MANIFEST_DIR"))),
        "{cargo}"
    );
}
