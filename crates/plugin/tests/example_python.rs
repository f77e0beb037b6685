//! The example in Python keeps to the contract.

use std::path::Path;
use std::process::Command;

use supermoe_plugin::conformance::{CheckOutcome, ConformanceOptions, test_plugin};

#[tokio::test]
async fn it_conforms() {
    // Python is no requirement of the tests; SUPERMOE_DEMAND_PYTHON makes it one.
    let found = Command::new("python3")
        .arg("--version")
        .output()
        .is_ok_and(|run| run.status.success());
    if !found {
        assert!(
            std::env::var_os("SUPERMOE_DEMAND_PYTHON").is_none(),
            "there is no python3"
        );
        eprintln!("skipped: there is no python3");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugin-python");
    let report = test_plugin(&folder, &ConformanceOptions::default()).await;
    let not_passed: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.outcome != CheckOutcome::Passed)
        .collect();
    assert!(not_passed.is_empty(), "{report}");
}
