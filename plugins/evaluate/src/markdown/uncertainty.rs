//! Intervals of the headline metrics, and every row against the reference.

use std::fmt::Write as _;

use supermoe_plugin::markdown_text::markdown_text;

use crate::groups::{Group, Summary};
use crate::markdown::{bounds, cell_head, headline, row_name, table};
use crate::report::Report;
use crate::score::Metric;
use crate::uncertainty::{Comparisons, Difference, Interval, Method};

pub fn write(report: &Report, text: &mut String) {
    intervals(report, text);
    if let Some(comparisons) = &report.comparisons {
        compared(report, comparisons, text);
    }
}

fn intervals(report: &Report, text: &mut String) {
    let uncertainty = &report.uncertainty;
    let _ = write!(
        text,
        "\n## Confidence intervals\n\nOf {} %, over other test sets of the same kind, for the models as they were \
         trained; {} entities, {} resamples, seed {}.\n\n",
        percent(uncertainty.confidence),
        uncertainty.entities,
        uncertainty.resamples,
        uncertainty.seed
    );
    let said = uncertainty.notes.iter().chain(&uncertainty.too_few);
    let said: String = said
        .map(|note| format!("- {}\n", markdown_text(note)))
        .collect();
    if !said.is_empty() {
        text.push_str(&format!("{said}\n"));
    }
    let head = [
        "task",
        &cell_head(report),
        "metric",
        "value",
        "interval",
        "by",
    ]
    .map(str::to_owned);
    let of_tasks = report.tasks.iter().flat_map(|task| {
        let metric = headline(task.kind);
        let name = markdown_text(&task.name);
        let groups = report.groups.iter();
        groups.filter_map(move |group| {
            let summary = group.tasks[&task.name][&metric]?;
            Some(interval_row(name.clone(), group, metric, summary))
        })
    });
    let means = report.groups.iter().filter_map(|group| {
        let summary = group.mean_auc.filter(|_| report.tasks.len() > 1)?;
        Some(interval_row("mean".to_owned(), group, Metric::Auc, summary))
    });
    table(&head, of_tasks.chain(means).collect(), text);
}

fn interval_row(task: String, group: &Group, metric: Metric, summary: Summary) -> Vec<String> {
    vec![
        task,
        row_name(group),
        metric.title().to_owned(),
        format!("{:.4}", summary.mean),
        bounds(summary.interval),
        method(summary.interval),
    ]
}

fn compared(report: &Report, comparisons: &Comparisons, text: &mut String) {
    let is_reference = |group: &&Group| {
        let name = &comparisons.reference;
        (group.source, &group.matrix, group.input) == (name.source, &name.matrix, name.input)
    };
    let reference = report.groups.iter().find(is_reference);
    let _ = write!(
        text,
        "\n## Against {}\n\nPaired differences of rows on the same samples; p-values are two-sided, and adjusted by Holm's \
         method for their number, {}.\n\n",
        reference.map(row_name).unwrap_or_default(),
        comparisons.rows.len()
    );
    let head = [
        "task",
        &cell_head(report),
        "metric",
        "difference",
        "interval",
        "p",
        "adjusted p",
        "by",
    ]
    .map(str::to_owned);
    let others: Vec<&Group> = report
        .groups
        .iter()
        .filter(|group| !is_reference(group))
        .collect();
    let of_tasks = report.tasks.iter().flat_map(|task| {
        let metric = headline(task.kind);
        let rows = comparisons.rows.iter().zip(&others);
        rows.filter_map(move |(row, group)| {
            let difference = row.tasks.get(&task.name)?.get(&metric)?;
            Some(compared_row(
                markdown_text(&task.name),
                group,
                metric,
                *difference,
            ))
        })
    });
    let means = comparisons
        .rows
        .iter()
        .zip(&others)
        .filter_map(|(row, group)| {
            let difference = row.mean_auc.filter(|_| report.tasks.len() > 1)?;
            Some(compared_row(
                "mean".to_owned(),
                group,
                Metric::Auc,
                difference,
            ))
        });
    table(&head, of_tasks.chain(means).collect(), text);
}

fn compared_row(task: String, group: &Group, metric: Metric, found: Difference) -> Vec<String> {
    vec![
        task,
        row_name(group),
        metric.title().to_owned(),
        format!("{:+.4}", found.difference),
        bounds(found.interval),
        p_value(found.p_value),
        p_value(found.p_adjusted),
        method(found.interval),
    ]
}

fn method(interval: Option<Interval>) -> String {
    let name = match interval.map(|interval| interval.method) {
        None => "-",
        Some(Method::Delong) => "DeLong",
        Some(Method::Bootstrap) => "bootstrap",
    };
    name.to_owned()
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.0001 => "<0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

/// `95`, `99.9`
fn percent(confidence: f64) -> f64 {
    (confidence * 1e6).round() / 1e4
}
