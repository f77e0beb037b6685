//! The example in Python keeps to the contract.

#[path = "../../../tests/python.rs"]
mod python;

use std::path::Path;

use supermoe_plugin::conformance::{CheckOutcome, ConformanceOptions, test_plugin};

use python::has_python;

#[tokio::test]
async fn it_conforms() {
    if !has_python("sys") {
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
