//! A report as Markdown: the tables of test metrics, for a change request or a wiki.

use supermoe_plugin::markdown_text::markdown_text;

use crate::content::{EvaluatedGroup, Evaluation, Report};
use crate::metric_name::{metric_name, summary_text};
use crate::text_table::{Align, Layout, TextTable};
use crate::time_text::seconds_text;

/// Rows of a table, and tables of an evaluation.
const MOST_ROWS: usize = 200;
const MOST_COLUMNS: usize = 60;

/// The whole text.
pub fn markdown(report: &Report) -> String {
    let run = &report.run;
    let time = match run.seconds {
        Some(seconds) => format!(" in {}", seconds_text(seconds)),
        None => String::new(),
    };
    let mut text = format!(
        "# {}\n\nRun `{}` of {}: {}{time}.\n",
        markdown_text(&run.workflow),
        run.id,
        run.started.strftime("%Y-%m-%d %H:%M UTC"),
        run.outcome
    );
    for evaluation in &report.evaluations {
        tables(&evaluation.cell, &evaluation.content, &mut text);
    }
    if report.evaluations.is_empty() {
        for table in &report.metrics {
            text.push('\n');
            text.push_str(&table.render(Layout::Markdown));
        }
    }
    let problems = report
        .problems
        .iter()
        .map(|p| format!("{}: {}", p.what, p.why));
    list("Could not be read", problems, &mut text);
    let left_out = report
        .left_out
        .iter()
        .map(|left| format!("{} of {} {}", left.shown, left.of, left.what));
    list("Only a part is in this report", left_out, &mut text);
    text
}

fn list(title: &str, items: impl Iterator<Item = String>, text: &mut String) {
    let items: Vec<String> = items
        .map(|item| format!("- {}\n", markdown_text(&item)))
        .collect();
    if !items.is_empty() {
        text.push_str(&format!("\n## {title}\n\n{}", items.concat()));
    }
}

fn tables(cell: &str, evaluation: &Evaluation, text: &mut String) {
    let mut metrics: Vec<&str> = Vec::new();
    for metric in evaluation
        .groups
        .iter()
        .flat_map(|group| group.tasks.values())
        .flat_map(|metrics| metrics.keys())
    {
        if !metrics.contains(&metric.as_str()) {
            metrics.push(metric);
        }
    }
    text.push_str(&format!("\n## {}\n", markdown_text(cell)));
    for metric in metrics {
        let has = |group: &EvaluatedGroup, task: &str| group.metric(task, metric).is_some();
        let tasks = evaluation.tasks.iter().map(|task| task.name.as_str());
        let tasks = tasks.filter(|task| evaluation.groups.iter().any(|group| has(group, task)));
        let tasks: Vec<&str> = tasks.take(MOST_COLUMNS).collect();
        if tasks.is_empty() {
            continue;
        }
        let with_mean = metric == "auc" && tasks.len() > 1;
        let mut heads = vec![("model".to_owned(), Align::Left)];
        heads.extend(tasks.iter().map(|task| ((*task).to_owned(), Align::Right)));
        if with_mean {
            heads.push(("mean".to_owned(), Align::Right));
        }
        let rows = evaluation.groups.iter().take(MOST_ROWS).map(|group| {
            let mut row = vec![match group.cells {
                0 | 1 => group.name(),
                cells => format!("{} ({cells} cells)", group.name()),
            }];
            let mean = with_mean.then_some(group.mean_auc);
            let values = tasks
                .iter()
                .map(|task| group.metric(task, metric))
                .chain(mean);
            row.extend(values.map(|value| match value {
                Some(value) => summary_text(value.mean, value.deviation),
                None => "-".to_owned(),
            }));
            row
        });
        let table = TextTable {
            heads,
            rows: rows.collect(),
        };
        let title = metric_name(metric).title;
        text.push_str(&format!("\n### {}\n\n", markdown_text(title)));
        text.push_str(&table.render(Layout::Markdown));
    }
}
