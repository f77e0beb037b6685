//! The example with scikit-learn keeps to the contract, where scikit-learn is installed.

#[path = "../../../tests/python.rs"]
mod python;

use std::path::Path;

use supermoe_plugin::conformance::{CheckOutcome, ConformanceOptions, test_plugin};

use python::has_python;

#[tokio::test]
async fn it_conforms() {
    if !has_python("numpy, pyarrow.parquet, sklearn") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugin-sklearn");
    let report = test_plugin(&folder, &ConformanceOptions::default()).await;
    let failed = |outcome: &CheckOutcome| matches!(outcome, CheckOutcome::Failed { .. });
    assert!(
        !report.checks.iter().any(|check| failed(&check.outcome)),
        "{report}"
    );
}

/// One SDK: the copies beside the examples are the same file.
#[test]
fn its_sdk_is_that_of_the_other_example() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let sdk = |example: &str| std::fs::read(examples.join(example).join("supermoe_sdk.py"));
    assert_eq!(
        sdk("plugin-sklearn").expect("the SDK"),
        sdk("plugin-python").expect("the SDK")
    );
}
