//! The kit finds what is wrong with a plugin, and says it.

use std::fs;
use std::time::Duration;

use supermoe_plugin::conformance::{
    CheckOutcome, ConformanceOptions, ConformanceReport, test_plugin,
};

const PROGRAMS: &str = env!("CARGO_BIN_EXE_supermoe-plugin-test-programs");

async fn report(manner: &str, checkpoints: bool) -> ConformanceReport {
    let folder = tempfile::tempdir().expect("folder");
    let manifest = serde_json::json!({
        "protocol": 1,
        "name": "toy",
        "launch": { "command": [PROGRAMS, "toy"] },
        "inputs": { "text": { "type": "file" } },
        "outputs": { "copy": { "type": "folder" } },
        "checkpoints": checkpoints,
        "params": { "type": "object", "required": ["manner"], "properties": {
            "manner": { "type": "string", "examples": [manner] } } }
    });
    fs::write(folder.path().join("plugin.json"), manifest.to_string()).expect("file");
    fs::write(folder.path().join("text"), "text").expect("file");
    fs::write(
        folder.path().join("conformance.json"),
        r#"{ "inputs": { "text": "text" } }"#,
    )
    .expect("file");
    let options = ConformanceOptions {
        watcher_program: Some(PROGRAMS.into()),
        time_limit: Duration::from_secs(if manner == "ignores_sigterm" { 2 } else { 60 }),
        grace: Duration::from_millis(300),
        ..ConformanceOptions::default()
    };
    test_plugin(folder.path(), &options).await
}

/// The reason of the check that has to fail.
fn why(report: &ConformanceReport, check: &str) -> String {
    match report.outcome(check) {
        Some(CheckOutcome::Failed { why, .. }) => why.clone(),
        other => panic!("{check} should have failed, found {other:?}:\n{report}"),
    }
}

#[tokio::test]
async fn a_good_plugin_passes() {
    let report = report("good", false).await;
    assert!(report.passed(), "{report}");
    for check in [
        "example run",
        "same outputs again",
        "bad params",
        "noise on stdout",
        "orphan children",
    ] {
        assert_eq!(
            report.outcome(check),
            Some(&CheckOutcome::Passed),
            "{report}"
        );
    }
}

#[tokio::test]
async fn failures_of_the_example_run_are_told_in_the_plugins_words() {
    for (manner, words) in [
        (
            "panics",
            "it ended with code 1, saying: the plugin panicked: the toy is broken",
        ),
        ("fails_in_silence", "it ended with code 3"),
        ("aborts", "it was ended by signal 6"),
        ("writes_nothing", "the output `copy` is an empty folder"),
        (
            "writes_a_link",
            "the output `copy`: text is a link that leaves the folder",
        ),
        ("changes_its_input", "it changed its inputs"),
        (
            "tells_nonsense",
            "a line of the events file is no event (not JSON): this is no event",
        ),
        ("unheard_of", "params are not as expected"),
    ] {
        let report = report(manner, false).await;
        let why = why(&report, "example run");
        assert!(why.contains(words), "{manner}: {why}");
        let Some(CheckOutcome::Skipped { .. }) = report.outcome("crash") else {
            panic!("{report}");
        };
    }
}

#[tokio::test]
async fn outputs_that_change_are_found() {
    let report = report("writes_the_time", false).await;
    assert_eq!(
        why(&report, "same outputs again"),
        "a second run with 2 threads wrote another `copy`"
    );
}

#[tokio::test]
async fn children_that_stay_are_found() {
    for manner in ["leaves_a_child", "leaves_a_daemon"] {
        let report = report(manner, false).await;
        why(&report, "orphan children");
    }
}

#[tokio::test]
async fn a_checkpoint_that_leads_elsewhere_is_found() {
    let report = report("ignores_its_checkpoint", true).await;
    let found = why(&report, "SIGTERM and checkpoint");
    assert!(
        found.starts_with("the run that went on from a checkpoint wrote another `copy`"),
        "{found}"
    );
    why(&report, "crash");
}

#[tokio::test]
async fn a_plugin_that_never_ends_is_ended() {
    let report = report("ignores_sigterm", false).await;
    assert!(
        why(&report, "example run").contains("it did not end in time"),
        "{report}"
    );
}

#[tokio::test]
async fn a_broken_manifest_is_the_first_failure() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("plugin.json"), "{\n \"protocol\": 2\n}").expect("file");
    let report = test_plugin(folder.path(), &ConformanceOptions::default()).await;
    assert_eq!(
        why(&report, "manifest"),
        "line 2: it speaks protocol 2; this supermoe speaks protocol 1"
    );
    assert!(!report.passed());
}

#[tokio::test]
async fn inputs_without_an_example_are_asked_for() {
    let folder = tempfile::tempdir().expect("folder");
    let manifest = serde_json::json!({
        "protocol": 1, "name": "toy", "launch": { "command": ["true"] },
        "inputs": { "rows": { "type": "dataset" } }
    });
    fs::write(folder.path().join("plugin.json"), manifest.to_string()).expect("file");
    let report = test_plugin(folder.path(), &ConformanceOptions::default()).await;
    let Some(CheckOutcome::Failed { why, what_to_do }) = report.outcome("example run") else {
        panic!("{report}");
    };
    assert_eq!(why, "nothing to give to its input `rows`, a dataset");
    assert!(what_to_do.contains("conformance.json"), "{what_to_do}");
}
