//! The made-up log in the tree.

use std::path::Path;

use serde_json::json;

use crate::made_up;
use crate::stage::{Stage, all_metrics};

fn path() -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("examples/data/experiment-synthetic.csv")
}

#[test]
fn it_is_what_its_program_makes() {
    let found = std::fs::read_to_string(path()).expect("the log is in the tree");
    assert!(
        found == made_up::csv(&made_up::EXAMPLE),
        "write it again: cargo run -p supermoe-abtest --example synthetic_log > examples/data/experiment-synthetic.csv"
    );
    assert!(found.len() < 300_000);
}

#[test]
fn its_report_is_this() {
    let params = json!({
        "metrics": all_metrics(),
        "shares": { "control": 2, "supermoe": 1, "placebo": 1 },
    });
    let run = Stage::new(params).path(&path()).run();
    insta::assert_snapshot!(run.text("report.md"));
    assert_eq!(run.warnings(), Vec::<&str>::new());
}
