//! Losses and what goes with them, by step, of each stage that trained.

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;
use supermoe_plugin::matrix_text::matrix_text;

use crate::chart::line_chart::{Extent, HUES, Legend, Line, LineChart, Reference, Stroke, legend};
use crate::content::{Found, Report, Training};
use crate::page::html::Html;
use crate::page::table::{Cell, Table};
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};
use crate::time_text::metric_text;

/// Charts of single tasks or channels.
const MOST_PARTS: usize = 36;
/// Cells that differ in their seed alone, and share a colour.
const MOST_SEEDS: usize = 3;
const SEED_AXIS: &str = "seed";

/// Charts that stand open; the others can be opened.
const OPEN_CHARTS: usize = 3;

/// What every training has, with titles and labels.
const STEADY: [(&str, &str, &str); 2] = [
    ("train/gradient_norm", "Gradient norm", "norm"),
    ("train/learning_rate", "Learning rate", "rate"),
];

type Points = Vec<(f64, f64)>;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    let mut stages: IndexMap<&str, Vec<&Found<Training>>> = IndexMap::new();
    for training in &report.training {
        if !training.content.series.is_empty() {
            stages.entry(&training.stage).or_default().push(training);
        }
    }
    if stages.is_empty() {
        nothing(
            html,
            "No stage of this run gave a metric stream that could be read.",
        );
        return;
    }
    for (stage, cells) in stages {
        html.element("h3", &[], stage).raw("\n");
        let charts = match cells.as_slice() {
            [cell] => charts_of_cell(&cell.content),
            cells => charts_of_cells(cells, html),
        };
        let (open, folded) = charts.split_at(charts.len().min(OPEN_CHARTS));
        draw_charts(open, html);
        if let [cell] = cells.as_slice() {
            accuracy_table(&cell.content, html);
        }
        if let Some(cell) = cells.first() {
            rest(folded, cell, cells.len(), html);
        }
    }
}

fn line(name: impl Into<String>, points: &[(f64, f64)], hue: usize, stroke: Stroke) -> Line {
    Line {
        name: name.into(),
        points: points.to_vec(),
        hue,
        stroke,
    }
}

/// None where there are no lines.
fn by_step(
    title: impl Into<String>,
    y_label: &'static str,
    legend: Legend,
    lines: Vec<Line>,
) -> Option<LineChart> {
    (!lines.is_empty()).then(|| LineChart {
        title: title.into(),
        x_label: "step",
        y_label,
        x: Extent::Fitted,
        y: Extent::Fitted,
        reference: Reference::None,
        legend,
        lines,
    })
}

fn draw_charts(charts: &[LineChart], html: &mut Html) {
    html.raw("<div class=\"charts\">\n");
    charts.iter().for_each(|chart| chart.render(html));
    html.raw("</div>\n");
}

/// A line for each of train and valid, for each task, for each channel.
fn charts_of_cell(training: &Training) -> Vec<LineChart> {
    let train = training.points("train/loss");
    let train = train.map(|points| line("train", points, 0, Stroke::Solid));
    let valid = valid_loss(training).map(|(name, points)| line(name, &points, 1, Stroke::Dashed));
    let losses = train.into_iter().chain(valid).collect();
    let auc = training.by_part("valid", "auc").take(HUES).enumerate();
    let auc = auc.map(|(hue, (task, points))| line(task, points, hue, Stroke::Solid));
    let mut charts = vec![
        by_step("Loss", "loss", Legend::Own, losses),
        by_step("Validation AUC", "AUC", Legend::Own, auc.collect()),
    ];
    if !is_measured_once(training) {
        charts.push(accuracy_chart(training));
    }
    let weights = training.by_part("train", "lambda").take(HUES).enumerate();
    let weights = weights.map(|(hue, (task, points))| line(task, points, hue, Stroke::Solid));
    let weights = weights.collect();
    charts.push(by_step("Task weights", "weight", Legend::Own, weights));
    charts.extend(STEADY.map(|(name, title, label)| {
        let points = training.points(name);
        let lines = points.map(|points| line("train", points, 0, Stroke::Solid));
        by_step(title, label, Legend::Own, lines.into_iter().collect())
    }));
    charts.into_iter().flatten().collect()
}

/// Where channels were only measured at the end, a table says more than a picture of points.
fn is_measured_once(training: &Training) -> bool {
    let mut parts = training.by_part("valid", "accuracy");
    parts.all(|(_, points)| points.len() == 1)
}

/// Named by what it is: the objective's loss, or where it is not told, the mean over the tasks.
fn valid_loss(training: &Training) -> Option<(&'static str, Points)> {
    match training.points("valid/loss") {
        Some(points) => Some(("valid", points.to_vec())),
        None => {
            let means = mean_of_parts(training, "valid", "logloss")?;
            Some(("valid, mean log-loss", means))
        }
    }
}

/// By step, where every part has a value.
fn mean_of_parts(training: &Training, split: &str, metric: &str) -> Option<Points> {
    let parts: Vec<&[(f64, f64)]> = training.by_part(split, metric).map(|part| part.1).collect();
    let (first, others) = parts.split_first()?;
    let means = first
        .iter()
        .enumerate()
        .filter_map(|(place, (step, value))| {
            let mut sum = *value;
            for other in others {
                sum += other.get(place).filter(|(at, _)| at == step)?.1;
            }
            Some((*step, sum / parts.len() as f64))
        });
    Some(means.collect::<Points>()).filter(|means| !means.is_empty())
}

/// How often the hidden value of a channel is found, beside copying that of the step before.
fn accuracy_chart(training: &Training) -> Option<LineChart> {
    let parts = |metric: &'static str| training.by_part("valid", metric).take(HUES).enumerate();
    let found = parts("accuracy");
    let found = found.map(|(hue, (channel, points))| line(channel, points, hue, Stroke::Solid));
    let copied = parts("copy_accuracy").map(|(hue, (channel, points))| {
        line(format!("{channel}, copied"), points, hue, Stroke::Dashed)
    });
    let lines = found.chain(copied).collect();
    by_step("Hidden channels found", "accuracy", Legend::Own, lines)
}

fn accuracy_table(training: &Training, html: &mut Html) {
    if !is_measured_once(training) {
        return;
    }
    let mut table = Table::new("How often the hidden value of a channel is found, on valid")
        .fitted()
        .left("channel")
        .right("found")
        .right("by copying the step before")
        .right("by the most frequent value");
    let value = |points: Option<&[(f64, f64)]>| {
        let last = points.and_then(<[_]>::last);
        last.map_or_else(Cell::none, |(_, value)| Cell::number(metric_text(*value)))
    };
    for (channel, points) in training.by_part("valid", "accuracy").take(MOST_PARTS) {
        let of = |metric: &str| training.points(&format!("valid/{channel}/{metric}"));
        table.row(vec![
            Cell::text(channel),
            value(Some(points)),
            value(of("copy_accuracy")),
            value(of("frequent_accuracy")),
        ]);
    }
    if table.len() > 0 {
        table.render(html);
    }
}

/// Cells that differ in their seed alone.
type Group<'a> = (String, Vec<&'a Found<Training>>);

/// A colour for each group of cells; their legend is drawn at once.
fn charts_of_cells(cells: &[&Found<Training>], html: &mut Html) -> Vec<LineChart> {
    let shown: Vec<Group<'_>> = groups(cells)
        .into_iter()
        .take(HUES)
        .map(|(name, cells)| (name, cells.into_iter().take(MOST_SEEDS).collect()))
        .collect();
    let drawn: usize = shown.iter().map(|(_, cells)| cells.len()).sum();
    cut_note(html, drawn, cells.len(), "cells");
    let keys = shown.iter().enumerate();
    let keys = keys.map(|(hue, (name, _))| (name.as_str(), hue, Stroke::Solid));
    legend(keys, html);
    let lines = |points: &dyn Fn(&Training) -> Option<Points>, stroke: Stroke| {
        let cells = shown.iter().enumerate();
        let cells = cells.flat_map(|(hue, (_, cells))| cells.iter().map(move |cell| (hue, *cell)));
        let lines = cells
            .filter_map(|(hue, cell)| Some(line(&cell.cell, &points(&cell.content)?, hue, stroke)));
        lines.collect::<Vec<Line>>()
    };
    let named =
        |name: &'static str| move |training: &Training| training.points(name).map(<[_]>::to_vec);
    let mut losses = lines(&named("train/loss"), Stroke::Solid);
    let valid = |training: &Training| valid_loss(training).map(|(_, points)| points);
    losses.extend(lines(&valid, Stroke::Dashed));
    let mut charts = vec![by_step(
        "Loss; dashed: valid",
        "loss",
        Legend::Shared,
        losses,
    )];
    let scores = ("valid/mean_auc", "Mean validation AUC", "AUC");
    for (name, title, label) in [scores].into_iter().chain(STEADY) {
        let lines = lines(&named(name), Stroke::Solid);
        charts.push(by_step(title, label, Legend::Shared, lines));
    }
    for task in weighted_tasks(&shown) {
        let name = format!("train/{task}/lambda");
        let points = |training: &Training| training.points(&name).map(<[_]>::to_vec);
        let title = format!("Task weight, {task}");
        let lines = lines(&points, Stroke::Solid);
        charts.push(by_step(title, "weight", Legend::Shared, lines));
    }
    charts.into_iter().flatten().collect()
}

/// Tasks whose weight changes in any of these cells.
fn weighted_tasks<'a>(shown: &[Group<'a>]) -> IndexSet<&'a str> {
    let cells = shown.iter().flat_map(|(_, cells)| cells);
    let tasks = cells.flat_map(|cell| cell.content.by_part("train", "lambda"));
    tasks.map(|part| part.0).take(MOST_PARTS).collect()
}

fn groups<'a>(cells: &[&'a Found<Training>]) -> Vec<Group<'a>> {
    let mut groups: IndexMap<String, Vec<&Found<Training>>> = IndexMap::new();
    for cell in cells {
        let matrix: IndexMap<String, Value> = cell
            .matrix
            .iter()
            .filter(|(axis, _)| *axis != SEED_AXIS)
            .map(|(axis, value)| (axis.clone(), value.clone()))
            .collect();
        let name = match matrix.is_empty() {
            true => cell.stage.clone(),
            false => matrix_text(&matrix),
        };
        groups.entry(name).or_default().push(cell);
    }
    groups.into_iter().collect()
}

/// What is opened by hand: further charts, and a loss for each task or channel; of several cells,
/// of the first.
fn rest(charts: &[LineChart], cell: &Found<Training>, cells: usize, html: &mut Html) {
    let training = &cell.content;
    let names: IndexSet<&str> = training
        .by_part("train", "loss")
        .chain(training.by_part("valid", "loss"))
        .map(|part| part.0)
        .collect();
    let mut summary: Vec<String> = charts.iter().map(|chart| chart.title.clone()).collect();
    match (names.len(), cells) {
        (0 | 1, _) => {}
        (_, 1) => summary.push("Loss, one by one".to_owned()),
        _ => summary.push(format!("Loss, one by one, of {}", cell.cell)),
    }
    if summary.is_empty() {
        return;
    }
    let mut charts = charts.to_vec();
    if names.len() > 1 {
        let parts = names.iter().take(MOST_PARTS);
        charts.extend(parts.filter_map(|name| part_chart(training, name)));
    }
    open_fold(html, summary.join(" · "), Fold::Closed);
    draw_charts(&charts, html);
    cut_note(html, names.len().min(MOST_PARTS), names.len(), "losses");
    close_fold(html);
}

fn part_chart(training: &Training, name: &str) -> Option<LineChart> {
    let train = training.points(&format!("train/{name}/loss"));
    let valid = training
        .points(&format!("valid/{name}/loss"))
        .or_else(|| training.points(&format!("valid/{name}/logloss")));
    let train = train.map(|points| line("train", points, 0, Stroke::Solid));
    let valid = valid.map(|points| line("valid", points, 1, Stroke::Dashed));
    let lines = train.into_iter().chain(valid).collect();
    by_step(name, "loss", Legend::Own, lines)
}
