//! Whether tests that need Python can run.

use std::process::Command;

/// Whether there is a `python3` that has these modules, `numpy, sklearn`. No test needs Python unless
/// `SUPERMOE_DEMAND_PYTHON` is set: then it is an error that there is none.
pub fn has_python(modules: &str) -> bool {
    let found = Command::new("python3")
        .args(["-c", &format!("import {modules}")])
        .output()
        .is_ok_and(|run| run.status.success());
    if !found {
        let missing = format!("there is no python3 with {modules}");
        assert!(
            std::env::var_os("SUPERMOE_DEMAND_PYTHON").is_none(),
            "{missing}"
        );
        eprintln!("skipped: {missing}");
    }
    found
}
