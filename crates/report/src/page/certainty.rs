//! Intervals of the metrics that stand open, each model against the reference, and parts of the test set.

use crate::content::{
    Comparisons, Difference, EvaluatedGroup, EvaluatedInterval, EvaluatedTask, Evaluation,
    Segmentation, Summary, TaskKind, Uncertainty,
};
use crate::metric_name::{metric_name, summary_text};
use crate::page::html::Html;
use crate::page::number_text::{count_text, p_value_text};
use crate::page::table::{Cell, Table};
use crate::page::{Fold, close_fold, cut_note, open_fold};
use crate::time_text::metric_text;

/// Rows of one table.
const MOST_ROWS: usize = 240;
/// Models that stand side by side.
const MOST_MODELS: usize = 12;
const MOST_SEGMENTATIONS: usize = 24;
const MOST_NOTES: usize = 24;

pub(super) fn draw(evaluation: &Evaluation, html: &mut Html) {
    if let Some(uncertainty) = &evaluation.uncertainty {
        open_fold(
            html,
            format_args!("Confidence intervals, {} %", percent(uncertainty)),
            Fold::Closed,
        );
        intervals(evaluation, html);
        notes(uncertainty.notes.iter().chain(&uncertainty.too_few), html);
        close_fold(html);
    }
    if let Some(comparisons) = &evaluation.comparisons {
        open_fold(
            html,
            format_args!("Against {}", comparisons.reference.text()),
            Fold::Open,
        );
        compared(evaluation, comparisons, html);
        close_fold(html);
    }
    for segmentation in evaluation.segments.iter().take(MOST_SEGMENTATIONS) {
        open_fold(
            html,
            format_args!("Segments: {}", segmentation.name),
            Fold::Open,
        );
        segments(segmentation, html);
        close_fold(html);
    }
    let all = evaluation.segments.len();
    cut_note(html, all.min(MOST_SEGMENTATIONS), all, "segmentations");
}

fn percent(uncertainty: &Uncertainty) -> f64 {
    (uncertainty.confidence * 1e6).round() / 1e4
}

/// What stands for a task where there is room for one number.
fn headline(task: &EvaluatedTask) -> &'static str {
    match task.kind {
        TaskKind::Regression => "rmse",
        _ => "auc",
    }
}

fn intervals(evaluation: &Evaluation, html: &mut Html) {
    let mut table =
        Table::new("Over other test sets of the same kind, for the models as they were trained")
            .left("task")
            .left("model")
            .left("metric")
            .right("value")
            .right("interval")
            .left("by");
    let of_tasks = evaluation.tasks.iter().flat_map(|task| {
        let metric = headline(task);
        let groups = evaluation.groups.iter();
        groups.filter_map(move |group| {
            Some((
                task.name.as_str(),
                group,
                metric,
                group.metric(&task.name, metric)?,
            ))
        })
    });
    let means = evaluation.groups.iter().filter_map(|group| {
        let mean = group.mean_auc.filter(|_| evaluation.tasks.len() > 1)?;
        Some(("mean", group, "auc", mean))
    });
    let rows: Vec<_> = of_tasks.chain(means).collect();
    for (task, group, metric, summary) in rows.iter().take(MOST_ROWS) {
        table.row(vec![
            Cell::text(task),
            Cell::text(group.name()),
            Cell::text(metric_name(metric).title),
            Cell::number(metric_text(summary.mean)),
            bounds(summary.interval),
            method(summary.interval),
        ]);
    }
    table.render(html);
    cut_note(html, table.len(), rows.len(), "rows");
}

fn compared(evaluation: &Evaluation, comparisons: &Comparisons, html: &mut Html) {
    let mut table = Table::new("Paired differences on the same samples")
        .left("task")
        .left("model")
        .left("metric")
        .right("difference")
        .right("interval")
        .right("p")
        .right("adjusted p")
        .left("by");
    let of_tasks = evaluation.tasks.iter().flat_map(|task| {
        let metric = headline(task);
        comparisons.rows.iter().filter_map(move |row| {
            let found = row.tasks.get(&task.name)?.get(metric)?;
            Some((task.name.as_str(), row.name.text(), metric, *found))
        })
    });
    let means = comparisons.rows.iter().filter_map(|row| {
        let mean = row.mean_auc.filter(|_| evaluation.tasks.len() > 1)?;
        Some(("mean", row.name.text(), "auc", mean))
    });
    let rows: Vec<_> = of_tasks.chain(means).collect();
    for (task, model, metric, found) in rows.iter().take(MOST_ROWS) {
        table.row(compared_row(task, model, metric, *found));
    }
    table.render(html);
    cut_note(html, table.len(), rows.len(), "rows");
    html.raw(
        "<p class=\"note\">Two-sided p-values of no difference; adjusted by Holm’s method for the number of \
         models.</p>\n",
    );
}

fn compared_row(task: &str, model: &str, metric: &str, found: Difference) -> Vec<Cell> {
    vec![
        Cell::text(task),
        Cell::text(model),
        Cell::text(metric_name(metric).title),
        Cell::number(format_args!("{:+.4}", found.difference)),
        bounds(found.interval),
        p_value(found.p_value),
        p_value(found.p_adjusted),
        method(found.interval),
    ]
}

fn segments(segmentation: &Segmentation, html: &mut Html) {
    let groups = segmentation.segments.first().map(|segment| &segment.groups);
    let groups: Vec<&EvaluatedGroup> = groups.into_iter().flatten().collect();
    let mut table = Table::new(format_args!("By {}", segmentation.sql))
        .left("value")
        .left("task")
        .right("entities")
        .right("samples")
        .right("positive");
    for group in groups.iter().take(MOST_MODELS) {
        table = table.right(group.name());
    }
    let rows = segmentation
        .segments
        .iter()
        .flat_map(|segment| segment.tasks.iter().map(move |task| (segment, task)));
    for (segment, task) in rows.clone().take(MOST_ROWS) {
        let metric = headline(task);
        let value = segment.value.as_deref().unwrap_or("(none)");
        let mut cells = vec![
            Cell::text(value),
            Cell::text(format_args!("{}, {}", task.name, metric_name(metric).title)),
            Cell::number(count_text(segment.entities)),
            Cell::number(count_text(task.samples)),
            task.positives
                .map_or_else(Cell::none, |positives| Cell::number(count_text(positives))),
        ];
        let of_groups = segment.groups.iter().take(MOST_MODELS);
        cells.extend(of_groups.map(|group| with_interval(group.metric(&task.name, metric))));
        table.row(cells);
    }
    table.render(html);
    cut_note(html, table.len(), rows.count(), "rows");
    cut_note(html, groups.len().min(MOST_MODELS), groups.len(), "models");
    let said = segmentation.segments.iter().flat_map(|segment| {
        let value = segment.value.as_deref().unwrap_or("(none)");
        segment
            .notes
            .iter()
            .map(move |note| format!("{value}: {note}"))
    });
    let said: Vec<String> = said.collect();
    notes(said.iter(), html);
}

fn notes<'a>(notes: impl Iterator<Item = &'a String>, html: &mut Html) {
    let notes: Vec<&String> = notes.collect();
    for note in notes.iter().take(MOST_NOTES) {
        html.element("p", &[("class", &"note")], note).raw("\n");
    }
    cut_note(html, notes.len().min(MOST_NOTES), notes.len(), "notes");
}

fn with_interval(summary: Option<Summary>) -> Cell {
    match summary {
        None => Cell::none(),
        Some(Summary {
            mean,
            deviation,
            interval: None,
        }) => Cell::number(summary_text(mean, deviation)),
        Some(Summary {
            mean,
            interval: Some(interval),
            ..
        }) => Cell::number(format_args!(
            "{} {}",
            metric_text(mean),
            bounds_text(interval)
        )),
    }
}

fn bounds(interval: Option<EvaluatedInterval>) -> Cell {
    interval.map_or_else(Cell::none, |interval| Cell::number(bounds_text(interval)))
}

/// `[0.7012, 0.7450]`
fn bounds_text(interval: EvaluatedInterval) -> String {
    format!(
        "[{}, {}]",
        metric_text(interval.low),
        metric_text(interval.high)
    )
}

fn method(interval: Option<EvaluatedInterval>) -> Cell {
    Cell::text(interval.map_or("", |interval| interval.method.name()))
}

fn p_value(p: Option<f64>) -> Cell {
    p.map_or_else(Cell::none, |p| Cell::number(p_value_text(p)))
}
