//! `report.md`: the report's tables for people.

mod segments;
mod uncertainty;

use std::fmt::Write as _;

use supermoe_channels::TaskKind;
use supermoe_plugin::markdown_text::markdown_text;

use crate::cell::Source;
use crate::groups::{Group, Summaries, Summary};
use crate::report::{Report, Task};
use crate::score::Metric;
use crate::uncertainty::Interval;

/// One table of AUC, one of every metric by task, then intervals, comparisons and segments.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("# Evaluation\n");
    auc_table(report, &mut text);
    for task in &report.tasks {
        // Writing to a String does not fail; so below.
        let _ = write!(
            text,
            "\n## {}\n\n{}.\n\n",
            markdown_text(&task.name),
            test_set(task)
        );
        metrics_table(report, task, &mut text);
        if !task.classes.is_empty() {
            text.push_str("\nEach class against the rest:\n\n");
            classes_table(report, task, &mut text);
        }
    }
    uncertainty::write(report, &mut text);
    segments::write(report, &mut text);
    if !report.warnings.is_empty() {
        text.push_str("\n## Warnings\n\n");
        report
            .warnings
            .iter()
            .for_each(|warning| text.push_str(&format!("- {}\n", markdown_text(warning))));
    }
    text
}

fn test_set(task: &Task) -> String {
    let mut text = format!("{} test samples with a label", task.samples);
    match (task.positives, task.mean.zip(task.deviation)) {
        (Some(positives), _) => {
            let rate = positives as f64 / task.samples.max(1) as f64;
            let _ = write!(text, ", {rate:.3} of them positive");
        }
        (None, Some((mean, deviation))) => {
            let _ = write!(text, ", their mean {mean:.4}, deviation {deviation:.4}");
        }
        (None, None) if task.kind == TaskKind::Multiclass => {
            let _ = write!(
                text,
                ", of {} classes; log-loss is that of the true class, the others are means over the classes",
                task.classes.len()
            );
        }
        (None, None) => {}
    }
    if task.unlabelled > 0 {
        let _ = write!(text, "; {} have no label", task.unlabelled);
    }
    text
}

fn auc_table(report: &Report, text: &mut String) {
    let tasks = report.tasks.iter();
    let tasks: Vec<&Task> = tasks
        .filter(|task| task.kind != TaskKind::Regression)
        .collect();
    if tasks.is_empty() {
        return;
    }
    text.push_str("\n## Test AUC\n\n");
    let names = tasks.iter().map(|task| markdown_text(&task.name));
    let head: Vec<String> = [cell_head(report)]
        .into_iter()
        .chain(names)
        .chain(["mean".to_owned()])
        .collect();
    let rows = report.groups.iter().map(|group| {
        let of_tasks = tasks
            .iter()
            .map(|task| written(group.tasks[&task.name][&Metric::Auc]));
        [row_name(group)]
            .into_iter()
            .chain(of_tasks)
            .chain([written(group.mean_auc)])
            .collect()
    });
    table(&head, rows.collect(), text);
}

fn metrics_table(report: &Report, task: &Task, text: &mut String) {
    let metrics = Metric::of(task.kind);
    let titles = metrics.iter().map(|metric| metric.title().to_owned());
    let head: Vec<String> = [cell_head(report)].into_iter().chain(titles).collect();
    let rows = report.groups.iter().map(|group| {
        let values = written_all(metrics, &group.tasks[&task.name]);
        [row_name(group)].into_iter().chain(values).collect()
    });
    table(&head, rows.collect(), text);
}

fn classes_table(report: &Report, task: &Task, text: &mut String) {
    let metrics = Metric::of(task.kind);
    let titles = metrics.iter().map(|metric| metric.title().to_owned());
    let head = ["class".to_owned(), cell_head(report), "samples".to_owned()];
    let head: Vec<String> = head.into_iter().chain(titles).collect();
    let rows = task.classes.iter().flat_map(|class| {
        report.groups.iter().map(move |group| {
            let names = [
                markdown_text(&class.name),
                row_name(group),
                class.positives.to_string(),
            ];
            let values = written_all(metrics, &group.classes[&task.name][&class.name]);
            names.into_iter().chain(values).collect()
        })
    });
    table(&head, rows.collect(), text);
}

/// What stands for a task where there is room for one number.
fn headline(kind: TaskKind) -> Metric {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => Metric::Auc,
        TaskKind::Regression => Metric::Rmse,
    }
}

/// `[0.7012, 0.7450]`
fn bounds(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "-".to_owned(),
        |Interval { low, high, .. }| format!("[{low:.4}, {high:.4}]"),
    )
}

fn written_all(metrics: &[Metric], summaries: &Summaries) -> Vec<String> {
    let metrics = metrics.iter();
    metrics.map(|metric| written(summaries[metric])).collect()
}

/// The axes that the rows differ in.
fn cell_head(report: &Report) -> String {
    let axes = report.groups.first().map(|group| {
        group
            .matrix
            .keys()
            .map(|axis| markdown_text(axis))
            .collect::<Vec<_>>()
    });
    axes.filter(|axes| !axes.is_empty())
        .map_or_else(|| "cell".to_owned(), |axes| axes.join(", "))
}

fn row_name(group: &Group) -> String {
    let name = match (group.source, group.name()) {
        (Source::Predictions, name) if name.is_empty() => "predictions".to_owned(),
        (Source::Predictions, name) => name,
        (Source::Embeddings, name) if name.is_empty() => "probe of embeddings".to_owned(),
        (Source::Embeddings, name) => format!("probe of embeddings, {name}"),
    };
    if group.cells > 1 {
        format!("{} ({} cells)", markdown_text(&name), group.cells)
    } else {
        markdown_text(&name)
    }
}

fn written(summary: Option<Summary>) -> String {
    match summary {
        None => "-".to_owned(),
        Some(Summary {
            mean,
            deviation: None,
            ..
        }) => format!("{mean:.4}"),
        Some(Summary {
            mean,
            deviation: Some(deviation),
            ..
        }) => format!("{mean:.4} ± {deviation:.4}"),
    }
}

fn table(head: &[String], rows: Vec<Vec<String>>, text: &mut String) {
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "| --- |{}", " ---: |".repeat(head.len() - 1));
    rows.iter()
        .for_each(|row| text.push_str(&format!("| {} |\n", row.join(" | "))));
}
