//! What became of each stage: ran, cached, failed, skipped and because of what, not stored.

use indexmap::IndexMap;
use serde::Serialize;
use supermoe_engine::{Counts, Outcome, RunRecord, StageRecord, StageState};

use crate::text_table::{Align, Layout, TextTable, plain};
use crate::time_text::seconds_text;

/// With more rows than this, cached stages are only counted, and what is left is cut.
const MOST_ROWS: usize = 40;

/// One stage, or all of its cells with one fate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SummaryRow {
    /// `prepare`, `finetune[model=ple]`, or `finetune` for several cells.
    pub stage: String,
    /// How many cells.
    pub cells: usize,
    pub state: StageState,
    /// Why it ran or did not, or what failed.
    pub why: String,
    /// Of all cells together; none for what did not run.
    pub seconds: Option<f64>,
}

/// One row for the cells of a stage that share state and cause, in the order of the workflow.
pub fn summary_rows(record: &RunRecord) -> Vec<SummaryRow> {
    let mut rows: IndexMap<(String, StageState, String), SummaryRow> = IndexMap::new();
    for stage in &record.stages {
        let why = why(stage);
        // A failure stands by itself: each has its own log.
        let name = match stage.state {
            StageState::Failed => stage.cell().to_string(),
            _ => stage.name.to_string(),
        };
        let row = rows
            .entry((name, stage.state, why.clone()))
            .or_insert_with(|| SummaryRow {
                stage: stage.cell().to_string(),
                cells: 0,
                state: stage.state,
                why,
                seconds: None,
            });
        row.cells += 1;
        if row.cells == 2 {
            row.stage = stage.name.to_string();
        }
        if stage.state != StageState::Cached
            && let Some(seconds) = stage.seconds
        {
            row.seconds = Some(row.seconds.unwrap_or(0.0) + seconds);
        }
    }
    rows.into_values().collect()
}

fn why(stage: &StageRecord) -> String {
    match (&stage.error, &stage.reason) {
        (Some(error), _) => match error.attempts {
            0 | 1 => error.message.clone(),
            attempts => format!("{} ({attempts} attempts)", error.message),
        },
        (None, Some(reason)) => reason.to_string(),
        (None, None) => String::new(),
    }
}

/// The run in a few lines: outcome, stages, and all that could not be kept.
pub fn summary(record: &RunRecord, layout: Layout) -> String {
    let mut text = head(record, layout);
    let rows = shown_rows(record);
    if !rows.0.is_empty() {
        text.push('\n');
        text.push_str(&table(&rows.0).render(layout));
    }
    if rows.1 > 0 {
        text.push_str(&format!(
            "… and {} more: supermoe show {}\n",
            rows.1, record.run
        ));
    }
    text.push_str(&list("Running", layout, record.running.iter().cloned()));
    let not_stored = record
        .not_stored
        .iter()
        .map(|lost| format!("{}: {}", lost.what, lost.why));
    text.push_str(&list("Not stored", layout, not_stored));
    text.push_str(&list(
        "Not published",
        layout,
        record.not_published.iter().cloned(),
    ));
    text.push_str(&list(
        "Published",
        layout,
        record
            .published
            .iter()
            .map(|path| path.display().to_string()),
    ));
    text
}

fn head(record: &RunRecord, layout: Layout) -> String {
    let (run, workflow, outcome) = (record.run, plain(&record.workflow), record.outcome);
    let time = match (record.seconds, outcome) {
        (Some(seconds), _) => format!(" in {}", seconds_text(seconds)),
        (None, Outcome::Interrupted) => " (its process died)".to_owned(),
        (None, _) => String::new(),
    };
    let counts = counts_text(record.counts);
    match layout {
        Layout::Terminal { .. } => format!("{workflow} {outcome}{time}: {counts}\nrun {run}\n"),
        Layout::Markdown => format!("## {workflow}: {outcome}{time}\n\nRun `{run}`: {counts}.\n"),
    }
}

fn counts_text(counts: Counts) -> String {
    let parts = [
        (counts.ran, "ran"),
        (counts.cached, "cached"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if parts.is_empty() {
        "no stages".to_owned()
    } else {
        parts.join(", ")
    }
}

/// The rows to show, and how many were left out.
fn shown_rows(record: &RunRecord) -> (Vec<SummaryRow>, usize) {
    let mut rows = summary_rows(record);
    if rows.len() > MOST_ROWS {
        rows.retain(|row| row.state != StageState::Cached);
        // What went wrong is seen first where not everything is.
        rows.sort_by_key(|row| row.state != StageState::Failed);
    }
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    (rows, left_out)
}

fn table(rows: &[SummaryRow]) -> TextTable {
    let heads = [
        ("stage", Align::Left),
        ("state", Align::Left),
        ("time", Align::Right),
        ("why", Align::Left),
    ];
    let row = |row: &SummaryRow| {
        let stage = match row.cells {
            1 => row.stage.clone(),
            cells => format!("{} ({cells} cells)", row.stage),
        };
        let time = row.seconds.map(seconds_text).unwrap_or_default();
        vec![stage, row.state.to_string(), time, row.why.clone()]
    };
    TextTable {
        heads: heads.map(|(head, align)| (head.to_owned(), align)).to_vec(),
        rows: rows.iter().map(row).collect(),
    }
}

fn list(title: &str, layout: Layout, items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items.map(|item| plain(&item)) {
        if text.is_empty() {
            text = match layout {
                Layout::Terminal { .. } => format!("\n{title}:\n"),
                Layout::Markdown => format!("\n**{title}**\n\n"),
            };
        }
        text.push_str(&match layout {
            Layout::Terminal { .. } => format!("  {item}\n"),
            Layout::Markdown => format!("- {item}\n"),
        });
    }
    text
}
