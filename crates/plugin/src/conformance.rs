//! Holds a plugin to the contract by running it: the kit behind `supermoe plugin test PATH`.

mod attempt;
mod bench;
mod checks;
mod examples;
mod outputs;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalog::{PluginEntry, read_folder};

/// The file beside `plugin.json` that gives example params and inputs.
pub const EXAMPLES_FILE: &str = "conformance.json";

/// How the kit runs a plugin.
#[derive(Debug, Clone)]
pub struct ConformanceOptions {
    /// A program whose `watcher` command cleans up should the kit itself be killed.
    pub watcher_program: Option<PathBuf>,
    /// Started instead of the manifest's command, for example a program that was just built.
    pub command: Option<Vec<OsString>>,
    /// For one run of the plugin.
    pub time_limit: Duration,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for ConformanceOptions {
    fn default() -> Self {
        ConformanceOptions {
            watcher_program: None,
            command: None,
            time_limit: Duration::from_secs(120),
            grace: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked, in a few words that stay the same.
    pub name: &'static str,
    pub outcome: CheckOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    Passed,
    Failed {
        why: String,
        what_to_do: String,
    },
    /// The plugin gives no occasion for this check.
    Skipped {
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConformanceReport {
    pub plugin: String,
    pub checks: Vec<Check>,
}

impl ConformanceReport {
    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        !self
            .checks
            .iter()
            .any(|check| matches!(check.outcome, CheckOutcome::Failed { .. }))
    }

    pub fn outcome(&self, name: &str) -> Option<&CheckOutcome> {
        let check = self.checks.iter().find(|check| check.name == name)?;
        Some(&check.outcome)
    }
}

impl fmt::Display for ConformanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, outcome } in &self.checks {
            match outcome {
                CheckOutcome::Passed => writeln!(f, "passed   {name}")?,
                CheckOutcome::Skipped { why } => writeln!(f, "skipped  {name}: {why}")?,
                CheckOutcome::Failed { why, what_to_do } => {
                    writeln!(f, "FAILED   {name}: {why}\n         {what_to_do}")?;
                }
            }
        }
        Ok(())
    }
}

/// Names of the checks, in their order.
pub const CHECKS: [&str; 10] = [
    "manifest",
    "example run",
    "same outputs again",
    "bad params",
    "progress",
    "SIGTERM and checkpoint",
    "large outputs",
    "noise on stdout",
    "crash",
    "hang",
];

/// The last check, which looks back on all of the others' runs.
pub const ORPHANS_CHECK: &str = "orphan children";

/// Checks the plugin in `folder`.
pub async fn test_plugin(folder: &Path, options: &ConformanceOptions) -> ConformanceReport {
    match read_folder(folder) {
        Ok(entry) => test_entry(&entry, options).await,
        Err(problems) => {
            let first = problems.first();
            let why: Vec<String> = problems
                .iter()
                .map(|problem| match problem.line {
                    Some(line) => format!("line {line}: {}", problem.message),
                    None => problem.message.clone(),
                })
                .collect();
            let failed = Check {
                name: CHECKS[0],
                outcome: CheckOutcome::Failed {
                    why: why.join("; "),
                    what_to_do: first
                        .map(|problem| problem.help.clone())
                        .unwrap_or_default(),
                },
            };
            let others = CHECKS[1..]
                .iter()
                .chain([&ORPHANS_CHECK])
                .map(|name| Check {
                    name,
                    outcome: CheckOutcome::Skipped {
                        why: "the manifest is not right".to_owned(),
                    },
                });
            ConformanceReport {
                plugin: folder.display().to_string(),
                checks: std::iter::once(failed).chain(others).collect(),
            }
        }
    }
}

/// Checks a plugin whose manifest is read already.
pub async fn test_entry(entry: &PluginEntry, options: &ConformanceOptions) -> ConformanceReport {
    ConformanceReport {
        plugin: entry.manifest.name.clone(),
        checks: checks::run_all(entry, options).await,
    }
}

impl CheckOutcome {
    fn failed(why: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        CheckOutcome::Failed {
            why: why.into(),
            what_to_do: what_to_do.into(),
        }
    }

    fn skipped(why: impl Into<String>) -> Self {
        CheckOutcome::Skipped { why: why.into() }
    }
}
