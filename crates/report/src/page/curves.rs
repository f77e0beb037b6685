//! ROC, precision over recall, and calibration of each task.

use indexmap::IndexMap;

use crate::chart::line_chart::{Extent, HUES, Legend, Line, LineChart, Reference, Stroke, legend};
use crate::content::{Curve, EvaluatedCell, Evaluation, Report, TaskKind};
use crate::page::html::Html;
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};

/// Tasks whose curves are drawn, and those that stand open.
const MOST_TASKS: usize = 40;
const OPEN_TASKS: usize = 6;
/// Cells of a group, which share its colour.
const MOST_CELLS_OF_GROUP: usize = 3;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    let with_curves =
        |evaluation: &&Evaluation| evaluation.cells.iter().any(|cell| !cell.curves.is_empty());
    let evaluations = report
        .evaluations
        .iter()
        .map(|found| (&found.cell, &found.content));
    let evaluations: Vec<_> = evaluations
        .filter(|(_, content)| with_curves(content))
        .collect();
    if evaluations.is_empty() {
        nothing(html, "No evaluation of this run has curves.");
        return;
    }
    let several = evaluations.len() > 1;
    for (cell, evaluation) in evaluations {
        if several {
            html.element("h3", &[], cell).raw("\n");
        }
        draw_tasks(evaluation, html);
    }
}

fn draw_tasks(evaluation: &Evaluation, html: &mut Html) {
    let tasks = curves_by_task(evaluation);
    let models = evaluation.groups.len();
    if models > HUES {
        cut_note(html, HUES, models, "models");
    }
    for (place, (task, curves)) in tasks.iter().take(MOST_TASKS).enumerate() {
        let fold = if place < OPEN_TASKS {
            Fold::Open
        } else {
            Fold::Closed
        };
        open_fold(html, task, fold);
        let keys: IndexMap<&str, usize> = curves
            .iter()
            .map(|drawn| (drawn.key.as_str(), drawn.hue))
            .collect();
        if keys.len() > 1 {
            let keys = keys.into_iter();
            legend(keys.map(|(key, hue)| (key, hue, Stroke::Solid)), html);
        }
        html.raw("<div class=\"charts\">\n");
        charts(evaluation, task, curves, html);
        html.raw("</div>\n");
        close_fold(html);
    }
    cut_note(html, tasks.len().min(MOST_TASKS), tasks.len(), "tasks");
}

/// A curve, whose it is, and its colour.
struct Drawn<'a> {
    name: String,
    /// The model, or the class; the same for all of one colour.
    key: String,
    hue: usize,
    curve: &'a Curve,
}

/// A line for each model; of a task with several classes, one for each class of the first model.
fn curves_by_task(evaluation: &Evaluation) -> IndexMap<&str, Vec<Drawn<'_>>> {
    let mut tasks: IndexMap<&str, Vec<Drawn<'_>>> = IndexMap::new();
    for (hue, (group, cells)) in cells_by_group(evaluation).into_iter().enumerate() {
        for cell in cells {
            let mut classes: IndexMap<&str, usize> = IndexMap::new();
            for curve in &cell.curves {
                let drawn = tasks.entry(curve.task.as_str()).or_default();
                let class = classes.entry(curve.task.as_str()).or_default();
                match &curve.class {
                    None => drawn.push(Drawn {
                        name: cell.name(),
                        key: group.clone(),
                        hue,
                        curve,
                    }),
                    Some(name) if hue == 0 && *class < HUES => {
                        drawn.push(Drawn {
                            name: name.clone(),
                            key: name.clone(),
                            hue: *class,
                            curve,
                        });
                        *class += 1;
                    }
                    Some(_) => {}
                }
            }
        }
    }
    tasks
}

fn cells_by_group(evaluation: &Evaluation) -> Vec<(String, Vec<&EvaluatedCell>)> {
    if evaluation.groups.is_empty() {
        let cells = evaluation.cells.iter().take(HUES);
        return cells.map(|cell| (cell.name(), vec![cell])).collect();
    }
    let groups = evaluation.groups.iter().take(HUES).map(|group| {
        let cells = evaluation
            .cells
            .iter()
            .filter(|cell| cell.belongs_to(group));
        // Classes have the colours that models have elsewhere: one cell is all that can be told.
        let most = match group.classes.is_empty() {
            true => MOST_CELLS_OF_GROUP,
            false => 1,
        };
        (group.name(), cells.take(most).collect())
    });
    groups.collect()
}

fn charts(evaluation: &Evaluation, task: &str, curves: &[Drawn<'_>], html: &mut Html) {
    let known = evaluation.tasks.iter().find(|known| known.name == task);
    let kind = known.map_or(TaskKind::Binary, |known| known.kind);
    let pairs = |of: fn(&Curve) -> Vec<(f64, f64)>| lines(curves, of);
    let roc = pairs(|curve| curve.roc.clone());
    if !roc.is_empty() {
        LineChart {
            title: "ROC".to_owned(),
            x_label: "false positive rate",
            y_label: "true positive rate",
            x: Extent::Unit,
            y: Extent::Unit,
            reference: Reference::Diagonal,
            legend: Legend::Shared,
            lines: roc,
        }
        .render(html);
    }
    let precision = pairs(|curve| curve.precision_recall.clone());
    if !precision.is_empty() {
        let base_rate = known
            .filter(|known| known.samples > 0)
            .and_then(|known| Some(known.positives? as f64 / known.samples as f64));
        LineChart {
            title: "Precision and recall".to_owned(),
            x_label: "recall",
            y_label: "precision",
            x: Extent::Unit,
            y: Extent::Unit,
            reference: base_rate.map_or(Reference::None, Reference::Level),
            legend: Legend::Shared,
            lines: precision,
        }
        .render(html);
    }
    let calibration = pairs(|curve| {
        let points = curve.calibration.iter();
        points.map(|(score, rate, _)| (*score, *rate)).collect()
    });
    if !calibration.is_empty() {
        LineChart {
            title: "Calibration".to_owned(),
            x_label: "mean score",
            y_label: match kind {
                TaskKind::Regression => "mean label",
                _ => "share of positives",
            },
            x: Extent::Joint,
            y: Extent::Joint,
            reference: Reference::Diagonal,
            legend: Legend::Shared,
            lines: calibration,
        }
        .render(html);
    }
}

fn lines(curves: &[Drawn<'_>], of: fn(&Curve) -> Vec<(f64, f64)>) -> Vec<Line> {
    curves
        .iter()
        .map(|drawn| Line {
            name: drawn.name.clone(),
            points: of(drawn.curve),
            hue: drawn.hue,
            stroke: Stroke::Solid,
        })
        .filter(|line| !line.points.is_empty())
        .collect()
}
