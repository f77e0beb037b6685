//! `supermoe plugin test PATH`: holds a plugin to the contract by running it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use supermoe_plugin::conformance::{
    Check, CheckOutcome, ConformanceOptions, ConformanceReport, test_plugin,
};
use supermoe_plugin::manifest::MANIFEST_FILE;

use crate::commands::block_on;
use crate::failure::{Exit, Failure, Problem};
use crate::output;
use crate::quantity::counted;
use crate::screen::Screen;

/// Tests a plugin against the contract by running it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe plugin test plugins/clean\n  supermoe plugin test plugins/clean --json\n\nA `conformance.json` beside the manifest gives example params and inputs.\nExit code 1 when a check fails."
)]
pub struct Arguments {
    /// The plugin's folder, with its plugin.json
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// The longest that one run of the plugin may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

pub fn execute(arguments: &Arguments) -> Result<Exit, Failure> {
    if !arguments.path.join(MANIFEST_FILE).is_file() {
        return Err(Problem::input(
            "supermoe::cli::plugin_folder",
            format!("`{}` has no {MANIFEST_FILE}", arguments.path.display()),
        )
        .help("Give the folder of a plugin; `supermoe plugin new` makes one")
        .into());
    }
    let options = ConformanceOptions {
        watcher_program: std::env::current_exe().ok(),
        time_limit: Duration::from_secs(arguments.timeout.max(1)),
        ..ConformanceOptions::default()
    };
    let report = block_on(async { Ok(test_plugin(&arguments.path, &options).await) })?;
    if arguments.json {
        output::json(&document(&report))?;
    } else {
        let text = text(&report, &Screen::stdout());
        output::to_stdout(|out| out.write_all(text.as_bytes()))?;
    }
    Ok(if report.passed() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn document(report: &ConformanceReport) -> serde_json::Value {
    let checks: Vec<serde_json::Value> = report
        .checks
        .iter()
        .map(|Check { name, outcome }| match outcome {
            CheckOutcome::Passed => json!({ "name": name, "outcome": "passed" }),
            CheckOutcome::Skipped { why } => {
                json!({ "name": name, "outcome": "skipped", "why": why })
            }
            CheckOutcome::Failed { why, what_to_do } => {
                json!({ "name": name, "outcome": "failed", "why": why, "what_to_do": what_to_do })
            }
        })
        .collect();
    json!({ "plugin": report.plugin, "passed": report.passed(), "checks": checks })
}

fn text(report: &ConformanceReport, screen: &Screen) -> String {
    let mut text = String::new();
    let mut counts = [0_usize; 3];
    for Check { name, outcome } in &report.checks {
        match outcome {
            CheckOutcome::Passed => {
                counts[0] += 1;
                text.push_str(&format!("{}   {name}\n", screen.green("passed")));
            }
            CheckOutcome::Skipped { why } => {
                counts[1] += 1;
                text.push_str(&format!("{}  {name}: {why}\n", screen.dim("skipped")));
            }
            CheckOutcome::Failed { why, what_to_do } => {
                counts[2] += 1;
                text.push_str(&format!("{}   {name}: {why}\n", screen.red("failed")));
                for line in what_to_do.lines() {
                    text.push_str(&format!("         {line}\n"));
                }
            }
        }
    }
    let [passed, skipped, failed] = counts;
    text.push_str(&format!(
        "\n{}: {} of {} passed",
        report.plugin,
        passed,
        counted(report.checks.len(), "check")
    ));
    if skipped > 0 {
        text.push_str(&format!(", {skipped} skipped"));
    }
    if failed > 0 {
        text.push_str(&format!(", {}", screen.red(&format!("{failed} failed"))));
    }
    text.push('\n');
    text
}
