//! What a run comes to, told at its end: stages, metrics, where the outputs are.

use supermoe_engine::{Outcome, RunRecord};
use supermoe_report::{Layout, metric_tables};

use crate::progress::LogHint;
use crate::run_name::quoted;
use crate::screen::Screen;

/// A table of metrics with more rows is cut.
const MOST_ROWS: usize = 60;

/// Of a table of metrics with a column a name, the summary of a run shows so many columns.
const MOST_COLUMNS: usize = 12;

/// `store`: the address of the store, without credentials.
pub fn text(record: &RunRecord, store: &str, hint: &LogHint, screen: &Screen) -> String {
    let layout = Layout::Terminal {
        width: screen.width,
    };
    let mut text = supermoe_report::summary(record, layout);
    let metrics = metrics_text(record, screen, MOST_COLUMNS);
    if !metrics.is_empty() {
        text.push_str(&format!("\n{metrics}"));
    }
    text.push_str(&format!("\noutputs are in {store}\n"));
    if let Some(advice) = advice(record, hint) {
        text.push_str(&screen.dim(&advice));
        text.push('\n');
    }
    text
}

/// The metrics of a run as tables, one empty line between them; nothing where there are none.
/// Of metrics without a task, `most_columns` are shown.
pub fn metrics_text(record: &RunRecord, screen: &Screen, most_columns: usize) -> String {
    let layout = Layout::Terminal {
        width: screen.width,
    };
    let tables: Vec<String> = metric_tables(record)
        .into_iter()
        .map(|mut table| {
            let hidden = table.rows.len().saturating_sub(MOST_ROWS);
            table.rows.truncate(MOST_ROWS);
            let hidden_columns = table.cut_columns(most_columns);
            let mut text = table.render(layout);
            if hidden_columns > 0 {
                text.push_str(&format!(
                    "… and {hidden_columns} more: supermoe show {}\n",
                    record.run
                ));
            }
            if hidden > 0 {
                text.push_str(&format!(
                    "… and {hidden} more: supermoe show {} --json\n",
                    record.run
                ));
            }
            text
        })
        .collect();
    tables.join("\n")
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
