//! Suites: whole-program tests at their full size, or against a real server.

mod browser;
mod devtools;

use clap::Subcommand;

use crate::command::{TaskError, root, run_shown};

#[derive(Subcommand)]
pub enum Suite {
    /// Kill the runner of a cold run of 1,000 stages 20 times at random, and go on.
    Crash {
        #[arg(long, default_value_t = 1000)]
        stages: usize,
        #[arg(long, default_value_t = 20)]
        kills: usize,
    },
    /// Look at the report of a small run in headless Chromium, which is installed where it is missing.
    Browser,
}

impl Suite {
    pub fn run(self) -> Result<(), TaskError> {
        match self {
            Suite::Crash { stages, kills } => crash(stages, kills),
            Suite::Browser => browser::run(),
        }
    }
}

/// The crash tests of `cargo test`, at the size that is asked for.
fn crash(stages: usize, kills: usize) -> Result<(), TaskError> {
    let stages = format!("SUPERMOE_CRASH_STAGES={stages}");
    let kills = format!("SUPERMOE_CRASH_KILLS={kills}");
    let cargo = [
        "cargo",
        "test",
        "--package",
        "supermoe",
        "--test",
        "cli",
        "crash::",
    ];
    run_shown(
        "env",
        [stages.as_str(), kills.as_str()].into_iter().chain(cargo),
        root(),
    )
}
