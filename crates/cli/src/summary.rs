//! What a run comes to, told at its end: stages, metrics, where the outputs are.

use std::path::Path;

use supermoe_engine::{Outcome, RunRecord};
use supermoe_report::{Layout, MetricTable, metric_tables};

use crate::progress::LogHint;
use crate::run_name::quoted;
use crate::screen::Screen;

/// What the names of metrics of the test split begin with.
const TEST_METRICS: &str = "test/";

/// A table of metrics with more rows is cut.
const MOST_ROWS: usize = 60;

/// Of a table of metrics with a column a name, the summary of a run shows so many columns.
const MOST_COLUMNS: usize = 12;

/// Which metrics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metrics {
    /// Those of the test split where there are any, and of the rest a few columns: the summary
    /// of a run.
    Headline,
    All,
}

/// Where a run left what it gave.
pub struct Places<'a> {
    /// The address of the store, without credentials.
    pub store: &'a str,
    /// The page of its report, where one was written.
    pub page: Option<&'a Path>,
}

pub fn text(record: &RunRecord, places: &Places<'_>, hint: &LogHint, screen: &Screen) -> String {
    let layout = Layout::Terminal {
        width: screen.width,
    };
    let mut text = supermoe_report::summary(record, layout);
    let metrics = metrics_text(record, screen, Metrics::Headline);
    if !metrics.is_empty() {
        text.push_str(&format!("\n{metrics}"));
    }
    text.push_str(&format!("\noutputs are in {}\n", places.store));
    if let Some(page) = places.page {
        text.push_str(&format!("report is in {}\n", page.display()));
    }
    if let Some(advice) = advice(record, hint) {
        text.push_str(&screen.dim(&advice));
        text.push('\n');
    }
    text
}

/// The metrics of a run as tables, one empty line between them; nothing where there are none.
pub fn metrics_text(record: &RunRecord, screen: &Screen, shown: Metrics) -> String {
    let layout = Layout::Terminal {
        width: screen.width,
    };
    let mut tables = metric_tables(record);
    let all = tables.len();
    let of_test = |table: &MetricTable| table.title.starts_with(TEST_METRICS);
    if shown == Metrics::Headline && tables.iter().any(of_test) {
        tables.retain(of_test);
    }
    let left_out = tables.len() < all;
    let mut texts: Vec<String> = tables
        .into_iter()
        .map(|table| table_text(table, record, layout, shown))
        .collect();
    if left_out {
        texts.push(format!("all other metrics: supermoe show {}\n", record.run));
    }
    texts.join("\n")
}

fn table_text(
    mut table: MetricTable,
    record: &RunRecord,
    layout: Layout,
    shown: Metrics,
) -> String {
    let hidden = table.rows.len().saturating_sub(MOST_ROWS);
    table.rows.truncate(MOST_ROWS);
    let hidden_columns = match shown {
        Metrics::Headline => table.cut_columns(MOST_COLUMNS),
        Metrics::All => 0,
    };
    let mut text = table.render(layout);
    let run = record.run;
    if hidden_columns > 0 {
        text.push_str(&format!(
            "… and {hidden_columns} more: supermoe show {run}\n"
        ));
    }
    if hidden > 0 {
        text.push_str(&format!(
            "… and {hidden} more: supermoe show {run} --json\n"
        ));
    }
    text
}

/// The command that a user is likely to want next.
fn advice(record: &RunRecord, hint: &LogHint) -> Option<String> {
    let run = record.run;
    match record.outcome {
        Outcome::Succeeded => {
            let stage = record
                .stages
                .iter()
                .rev()
                .find(|stage| !stage.outputs.is_empty())?;
            let port = stage.outputs.keys().next()?;
            Some(format!(
                "fetch one: supermoe get {run} {} --to DIR{}",
                quoted(&format!("{}.{port}", stage.cell())),
                hint.arguments
            ))
        }
        Outcome::Failed => Some(format!(
            "look into it: supermoe show {run}{}",
            hint.arguments
        )),
        Outcome::Cancelled | Outcome::Interrupted | Outcome::Running => {
            Some("run the same command again to go on".to_owned())
        }
    }
}
