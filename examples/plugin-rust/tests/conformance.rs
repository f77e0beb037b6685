//! The example keeps to the contract, and its manifest is the one that its code describes.

use std::path::Path;
use std::process::Command;

use supermoe_plugin::conformance::{CheckOutcome, ConformanceOptions, test_plugin};

const PROGRAM: &str = env!("CARGO_BIN_EXE_supermoe-example-plugin");

#[test]
fn the_manifest_is_current() {
    let printed = Command::new(PROGRAM)
        .arg("--manifest")
        .output()
        .expect("it runs");
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin.json");
    if std::env::var_os("UPDATE_MANIFEST").is_some() {
        std::fs::write(&written, &printed.stdout).expect("it can be written");
    }
    let written = std::fs::read_to_string(written).expect("plugin.json");
    assert_eq!(
        written,
        String::from_utf8_lossy(&printed.stdout),
        "write it anew: UPDATE_MANIFEST=1 cargo test -p supermoe-example-plugin"
    );
}

#[tokio::test]
async fn it_conforms() {
    let options = ConformanceOptions {
        command: Some(vec![PROGRAM.into()]),
        ..ConformanceOptions::default()
    };
    let report = test_plugin(Path::new(env!("CARGO_MANIFEST_DIR")), &options).await;
    let not_passed: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.outcome != CheckOutcome::Passed)
        .collect();
    assert!(not_passed.is_empty(), "{report}");
}
