//! A table of the headline metrics for each expression of `segments`.

use std::fmt::Write as _;

use supermoe_plugin::markdown_text::markdown_text;

use crate::groups::{Group, Summary};
use crate::markdown::{bounds, headline, row_name, table};
use crate::report::{Report, Task};
use crate::segments::{Segment, Segmentation};

pub fn write(report: &Report, text: &mut String) {
    for segmentation in &report.segments {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n## Segments: {}\n\nBy `{}`.\n\n",
            markdown_text(&segmentation.name),
            code(&segmentation.sql)
        );
        segment_table(report, segmentation, text);
        notes(segmentation, text);
    }
}

/// What stands between the backticks of code is text already, but for backticks and ends of lines.
fn code(sql: &str) -> String {
    sql.replace(char::is_control, " ").replace('`', "'")
}

fn segment_table(report: &Report, segmentation: &Segmentation, text: &mut String) {
    let groups = report.groups.iter().map(row_name);
    let head: Vec<String> = ["value", "entities", "task", "samples", "positive"]
        .map(str::to_owned)
        .into_iter()
        .chain(groups)
        .collect();
    let rows = segmentation.segments.iter().flat_map(|segment| {
        let tasks = segment.tasks.iter();
        tasks.map(move |task| row(segment, task))
    });
    table(&head, rows.collect(), text);
}

fn row(segment: &Segment, task: &Task) -> Vec<String> {
    let metric = headline(task.kind);
    let value = |group: &Group| written(group.tasks[&task.name][&metric]);
    let positives = task.positives.map(|positives| positives.to_string());
    let first = [
        value_name(segment),
        segment.entities.to_string(),
        format!("{} {}", markdown_text(&task.name), metric.title()),
        task.samples.to_string(),
        positives.unwrap_or_else(|| "-".to_owned()),
    ];
    first
        .into_iter()
        .chain(segment.groups.iter().map(value))
        .collect()
}

fn value_name(segment: &Segment) -> String {
    segment
        .value
        .as_deref()
        .map_or_else(|| "(none)".to_owned(), markdown_text)
}

/// `0.7231 [0.7012, 0.7450]`
fn written(summary: Option<Summary>) -> String {
    match summary {
        None => "-".to_owned(),
        Some(summary) => match summary.interval {
            None => format!("{:.4}", summary.mean),
            interval => format!("{:.4} {}", summary.mean, bounds(interval)),
        },
    }
}

fn notes(segmentation: &Segmentation, text: &mut String) {
    let notes = segmentation.segments.iter().flat_map(|segment| {
        let notes = segment.notes.iter();
        notes.map(move |note| format!("- {}: {}\n", value_name(segment), markdown_text(note)))
    });
    let notes: String = notes.collect();
    if !notes.is_empty() {
        text.push_str(&format!("\n{notes}"));
    }
}
