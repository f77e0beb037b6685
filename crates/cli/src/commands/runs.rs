//! `supermoe runs`: the runs in a store, newest first.

use std::io::Write;

use clap::Args;
use serde::Serialize;
use supermoe_engine::{Counts, Outcome, RunRecord};
use supermoe_store::RunId;

use crate::commands::block_on;
use crate::failure::Failure;
use crate::output;
use crate::project::{StoreArguments, store_failed};
use crate::quantity;
use crate::screen::Screen;
use crate::table;

/// Lists the runs, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  supermoe runs\n  supermoe runs --limit 100 --json")]
pub struct Arguments {
    #[command(flatten)]
    store: StoreArguments,

    /// The most runs to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

/// One run in the list.
#[derive(Debug, Serialize)]
struct Line {
    run: RunId,
    workflow: String,
    outcome: Outcome,
    started: jiff::Timestamp,
    seconds: Option<f64>,
    counts: Counts,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let (lines, total) = block_on(async {
        let (_, store) = arguments.store.open().await?;
        let runs = store.list_runs().await.map_err(store_failed)?;
        let mut lines = Vec::new();
        for run in runs.iter().take(arguments.limit) {
            match RunRecord::read(&store, *run).await {
                Ok(record) => lines.push(line(record)),
                // One damaged journal must not hide the other runs.
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok((lines, runs.len()))
    })?;
    if arguments.json {
        return output::json(&serde_json::json!({ "runs": lines }));
    }
    let text = text(&lines, total, &Screen::stdout());
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

fn line(record: RunRecord) -> Line {
    Line {
        run: record.run,
        workflow: record.workflow,
        outcome: record.outcome,
        started: record.started,
        seconds: record.seconds,
        counts: record.counts,
    }
}

fn text(lines: &[Line], total: usize, screen: &Screen) -> String {
    if lines.is_empty() && total == 0 {
        return "no runs yet\n".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.run.to_string(),
                line.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
                line.workflow.clone(),
                outcome_text(line.outcome, screen),
                line.seconds.map(quantity::seconds).unwrap_or_default(),
                counts_text(&line.counts),
            ]
        })
        .collect();
    let mut text = table::columns(&rows);
    let hidden = total.saturating_sub(lines.len());
    if hidden > 0 {
        text.push_str(&screen.dim(&format!("… and {hidden} older (--limit N)")));
        text.push('\n');
    }
    text
}

pub fn outcome_text(outcome: Outcome, screen: &Screen) -> String {
    let text = outcome.to_string();
    match outcome {
        Outcome::Succeeded => screen.green(&text),
        Outcome::Failed => screen.red(&text),
        Outcome::Cancelled | Outcome::Interrupted => screen.yellow(&text),
        Outcome::Running => screen.bold(&text),
    }
}

/// `3 ran, 12 cached`
pub fn counts_text(counts: &Counts) -> String {
    let parts: Vec<String> = [
        (counts.failed, "failed"),
        (counts.ran, "ran"),
        (counts.cached, "cached"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    parts.join(", ")
}
