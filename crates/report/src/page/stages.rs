//! What became of each stage, and what it took.

use supermoe_engine::StageState;
use supermoe_plugin::size::size_text;

use crate::content::{Report, ReportedStage};
use crate::page::html::Html;
use crate::page::number_text::count_text;
use crate::page::table::{Cell, Table};
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};
use crate::time_text::{metric_text, seconds_text};

/// Rows that stand open, and rows at all.
const OPEN_ROWS: usize = 40;
const MOST_ROWS: usize = 400;
const MOST_FAILURES: usize = 20;
const MOST_SPEEDS: usize = 60;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    if report.stages.is_empty() {
        nothing(html, "No stage has ended.");
        return;
    }
    failures(report, html);
    let shown = &report.stages[..report.stages.len().min(MOST_ROWS)];
    let (open, folded) = shown.split_at(shown.len().min(OPEN_ROWS));
    table(open, html);
    if !folded.is_empty() {
        open_fold(
            html,
            format_args!("{} more stages", folded.len()),
            Fold::Closed,
        );
        table(folded, html);
        close_fold(html);
    }
    cut_note(
        html,
        shown.len(),
        report.run.counts.total().max(report.stages.len()),
        "stages",
    );
}

fn table(stages: &[ReportedStage], html: &mut Html) {
    let mut table = Table::new("Stages in the order of the workflow")
        .left("stage")
        .left("state")
        .right("time")
        .right("peak memory")
        .left("why");
    for stage in stages {
        let why = stage.error.as_ref().or(stage.reason.as_ref());
        table.row(vec![
            Cell::text(&stage.cell),
            state_cell(stage.state),
            stage
                .seconds
                .map_or_else(Cell::none, |seconds| Cell::number(seconds_text(seconds))),
            stage
                .peak_memory_bytes
                .map_or_else(Cell::none, |bytes| Cell::number(size_text(bytes))),
            Cell::text(why.map_or("", String::as_str)),
        ]);
    }
    table.render(html);
}

/// Told by a sign and a word, not by colour alone.
fn state_cell(state: StageState) -> Cell {
    let (class, sign) = match state {
        StageState::Ran => ("state good", "✓"),
        StageState::Cached => ("state quiet", "○"),
        StageState::Failed => ("state bad", "✕"),
        StageState::Skipped => ("state odd", "–"),
        StageState::Cancelled => ("state odd", "■"),
    };
    let mut markup = Html::new();
    markup
        .open("span", &[("class", &class)])
        .raw("<span aria-hidden=\"true\">")
        .text(sign)
        .raw("</span> ")
        .text(state)
        .raw("</span>");
    Cell::Markup(markup)
}

fn failures(report: &Report, html: &mut Html) {
    let failed = || report.stages.iter().filter(|stage| stage.error.is_some());
    for stage in failed().take(MOST_FAILURES) {
        let Some(error) = &stage.error else { continue };
        html.raw("<aside class=\"notice bad\">")
            .element("h3", &[], format_args!("{} failed", stage.cell))
            .element("p", &[], error);
        if !stage.log_tail.is_empty() {
            html.raw("<pre tabindex=\"0\" aria-label=\"The end of its log\">")
                .passage(&stage.log_tail.join("\n"))
                .raw("</pre>");
        }
        html.raw("</aside>\n");
    }
    cut_note(
        html,
        failed().count().min(MOST_FAILURES),
        failed().count(),
        "failures",
    );
}

/// What the run ran on, and how fast it was there: it says nothing of the results.
pub(crate) fn draw_machine(report: &Report, html: &mut Html) {
    match &report.machine {
        None => nothing(html, "The journal does not say what the run ran on."),
        Some(machine) => {
            let mut table = Table::new("Machine").fitted().left("what").left("value");
            let mut row = |name: &str, value: String| {
                table.row(vec![Cell::text(name), Cell::text(value)]);
            };
            row(
                "Processor",
                machine
                    .processor
                    .clone()
                    .unwrap_or_else(|| "not known".to_owned()),
            );
            row("Cores", machine.cpus.to_string());
            row("Memory", size_text(machine.memory_bytes));
            row("System", machine.system.clone());
            row("Instructions", machine.instruction_set.clone());
            table.render(html);
        }
    }
    let fast = report
        .stages
        .iter()
        .filter(|stage| stage.sequences_per_second.is_some() || stage.tokens_per_second.is_some());
    let fast: Vec<&ReportedStage> = fast.collect();
    if fast.is_empty() {
        return;
    }
    let mut table = Table::new("Throughput; of a cached stage, when it ran")
        .fitted()
        .left("stage")
        .right("sequences per second")
        .right("tokens per second");
    let speed = |value: Option<f64>| match value {
        Some(value) if (0.0..1e15).contains(&value) && value >= 100.0 => {
            Cell::number(count_text(value as u64))
        }
        Some(value) => Cell::number(metric_text(value)),
        None => Cell::none(),
    };
    for stage in fast.iter().take(MOST_SPEEDS) {
        table.row(vec![
            Cell::text(&stage.cell),
            speed(stage.sequences_per_second),
            speed(stage.tokens_per_second),
        ]);
    }
    table.render(html);
    cut_note(html, table.len(), fast.len(), "stages");
}
