//! `report.md`: the report's tables for people.

use std::fmt::Write as _;

use crate::report::{Group, Report, Summary, name};
use crate::score::Metric;

/// One table of AUC, one of every metric by task.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from("# Evaluation\n\n## Test AUC\n\n");
    auc_table(report, &mut text);
    for task in &report.tasks {
        let rate = task.positives as f64 / task.samples.max(1) as f64;
        // Writing to a String does not fail; so below.
        let _ = write!(
            text,
            "\n## {}\n\n{} test samples with a label, {rate:.3} of them positive",
            escaped(&task.name),
            task.samples
        );
        if task.unlabelled > 0 {
            let _ = write!(text, "; {} have no label", task.unlabelled);
        }
        text.push_str(".\n\n");
        task_table(report, &task.name, &mut text);
    }
    if !report.warnings.is_empty() {
        text.push_str("\n## Warnings\n\n");
        report
            .warnings
            .iter()
            .for_each(|warning| text.push_str(&format!("- {warning}\n")));
    }
    text
}

fn auc_table(report: &Report, text: &mut String) {
    let tasks = report.tasks.iter().map(|task| escaped(&task.name));
    let head: Vec<String> = [cell_head(report)]
        .into_iter()
        .chain(tasks)
        .chain(["mean".to_owned()])
        .collect();
    let rows = report.groups.iter().map(|group| {
        let tasks = report
            .tasks
            .iter()
            .map(|task| written(group.tasks[task.name.as_str()][Metric::Auc.name()]));
        [row_name(group)]
            .into_iter()
            .chain(tasks)
            .chain([written(group.mean_auc)])
            .collect()
    });
    table(&head, rows.collect(), text);
}

fn task_table(report: &Report, task: &str, text: &mut String) {
    let titles = Metric::ALL
        .into_iter()
        .map(|metric| metric.title().to_owned());
    let head: Vec<String> = [cell_head(report)].into_iter().chain(titles).collect();
    let rows = report.groups.iter().map(|group| {
        let values = Metric::ALL
            .into_iter()
            .map(|metric| written(group.tasks[task][metric.name()]));
        [row_name(group)].into_iter().chain(values).collect()
    });
    table(&head, rows.collect(), text);
}

/// The axes that the rows differ in.
fn cell_head(report: &Report) -> String {
    let axes = report.groups.first().map(|group| {
        group
            .matrix
            .keys()
            .map(|axis| escaped(axis))
            .collect::<Vec<_>>()
    });
    axes.filter(|axes| !axes.is_empty())
        .map_or_else(|| "cell".to_owned(), |axes| axes.join(", "))
}

fn row_name(group: &Group) -> String {
    let name = if group.matrix.is_empty() {
        "predictions".to_owned()
    } else {
        escaped(&name(&group.matrix))
    };
    if group.cells > 1 {
        format!("{name} ({} cells)", group.cells)
    } else {
        name
    }
}

fn written(summary: Option<Summary>) -> String {
    match summary {
        None => "-".to_owned(),
        Some(Summary {
            mean,
            deviation: None,
        }) => format!("{mean:.4}"),
        Some(Summary {
            mean,
            deviation: Some(deviation),
        }) => format!("{mean:.4} ± {deviation:.4}"),
    }
}

fn table(head: &[String], rows: Vec<Vec<String>>, text: &mut String) {
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "| --- |{}", " ---: |".repeat(head.len() - 1));
    rows.iter()
        .for_each(|row| text.push_str(&format!("| {} |\n", row.join(" | "))));
}

/// Names come from the user; a bar would begin another column, a line break another row.
fn escaped(name: &str) -> String {
    name.replace('|', "\\|").replace(['\n', '\r'], " ")
}
