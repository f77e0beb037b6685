//! `report.json`: the metrics of every cell, and their mean and deviation over seeds.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use supermoe_channels::TaskKind;
use supermoe_metrics::MetricError;
use supermoe_plugin::matrix_text::matrix_text;

use crate::cell::{Cell, Column, Source, TaskPredictions};
use crate::comparable::check_comparable;
use crate::curves::{Curves, curves};
use crate::error::EvaluateError;
use crate::groups::{Group, groups, members};
use crate::score::{Metric, Values, score};
use crate::segments::{Segmentation, Segments};
use crate::test_set_digest::{labels_digest, split_digest};
use crate::uncertainty::{Compare, Comparisons, Settings, Stop, Uncertainty, judge};

/// Raised when a metric is defined in another way: reports of two versions are not to be compared.
pub const METRIC_VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub metric_version: u32,
    /// Of the test split.
    pub tasks: Vec<Task>,
    /// One per input, in the workflow's order; predictions first.
    pub cells: Vec<Row>,
    /// Cells that differ in their seed alone, in the order of their first.
    pub groups: Vec<Group>,
    pub uncertainty: Uncertainty,
    /// Each group against the reference; none where there is one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparisons: Option<Comparisons>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segmentation>,
    pub warnings: Vec<String>,
}

/// The test set of a task, which all cells share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    pub name: String,
    pub kind: TaskKind,
    /// Samples with a label.
    pub samples: u64,
    pub unlabelled: u64,
    /// Two reports are of one test set where this is the same: of its entities and snapshots.
    pub split_digest: String,
    /// And of one truth where this is: of the samples' classes and labels.
    pub labels_digest: String,
    /// Of a binary task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positives: Option<u64>,
    /// Of a multiclass task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// Mean label of a regression task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Standard deviation of a regression task's labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    pub name: String,
    pub positives: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub source: Source,
    pub matrix: IndexMap<String, Value>,
    /// The place among the inputs of its port, from 1, where several have the same matrix values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// By task, then by metric; null where the metric is not defined.
    pub tasks: IndexMap<String, Values>,
    /// By multiclass task, by class, by metric.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub classes: IndexMap<String, IndexMap<String, Values>>,
    /// Mean AUC over the tasks that have one.
    pub mean_auc: Option<f64>,
    pub curves: Vec<Curves>,
}

/// What some cells give: the numbers without what is said about them.
pub struct Measured {
    pub tasks: Vec<Task>,
    pub rows: Vec<Row>,
    pub groups: Vec<Group>,
    /// The places of each group's rows.
    pub members: Vec<Vec<usize>>,
}

/// # Errors
/// Cells that cannot be compared, a score that is no probability or no number, a reference or segments
/// that do not fit the cells.
pub fn report(
    cells: &[Cell],
    settings: &Settings,
    segments: Option<&Segments>,
    stop: Stop<'_>,
) -> Result<Report, EvaluateError> {
    check_comparable(cells)?;
    let mut measured = measure(cells)?;
    for (row, cell) in measured.rows.iter_mut().zip(cells) {
        row.curves = curves_of(cell)?;
    }
    let (uncertainty, comparisons) = judge(
        cells,
        &mut measured.groups,
        &measured.members,
        settings,
        Compare::WithReference,
        stop,
    )?;
    let segments = segments.map(|segments| segments.measure(cells, settings, stop));
    Ok(Report {
        metric_version: METRIC_VERSION,
        warnings: measured.tasks.iter().filter_map(undefined).collect(),
        groups: measured.groups,
        tasks: measured.tasks,
        cells: measured.rows,
        uncertainty,
        comparisons,
        segments: segments.transpose()?.unwrap_or_default(),
    })
}

/// The metrics of cells that can be compared.
///
/// # Errors
/// A score that is no probability or no number.
pub fn measure(cells: &[Cell]) -> Result<Measured, EvaluateError> {
    // The test sets are the same, so the first cell speaks for all.
    let tests = cells.iter().take(1).flat_map(|cell| &cell.tasks);
    let mut rows = cells.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    number_the_alike(&mut rows);
    let members = members(&rows);
    Ok(Measured {
        tasks: tests.map(|(name, task)| test_set(name, task)).collect(),
        groups: groups(&rows, &members),
        rows,
        members,
    })
}

fn test_set(name: &str, task: &TaskPredictions) -> Task {
    let labels = |column: &Column| {
        column
            .labels
            .iter()
            .flatten()
            .copied()
            .collect::<Vec<f32>>()
    };
    let positives =
        |column: &Column| labels(column).iter().filter(|label| **label == 1.0).count() as u64;
    let first = task.columns.first();
    let of_first = first.map(labels).unwrap_or_default();
    let numbers = (task.kind == TaskKind::Regression && !of_first.is_empty())
        .then(|| mean_and_deviation(&of_first));
    Task {
        name: name.to_owned(),
        kind: task.kind,
        samples: of_first.len() as u64,
        unlabelled: (task.samples.len() - of_first.len()) as u64,
        split_digest: split_digest(task),
        labels_digest: labels_digest(task),
        positives: first
            .filter(|_| task.kind == TaskKind::Binary)
            .map(positives),
        classes: task
            .columns
            .iter()
            .filter_map(|column| {
                Some(Class {
                    name: column.class.clone()?,
                    positives: positives(column),
                })
            })
            .collect(),
        mean: numbers.map(|(mean, _)| mean),
        deviation: numbers.map(|(_, deviation)| deviation),
    }
}

fn mean_and_deviation(labels: &[f32]) -> (f64, f64) {
    let count = labels.len() as f64;
    let mean = labels.iter().map(|label| f64::from(*label)).sum::<f64>() / count;
    let squares = labels
        .iter()
        .map(|label| (f64::from(*label) - mean).powi(2));
    (mean, (squares.sum::<f64>() / count).sqrt())
}

/// What a test set does not let be measured, in words.
pub fn undefined(task: &Task) -> Option<String> {
    let (name, samples) = (&task.name, task.samples);
    if samples == 0 {
        return Some(format!(
            "task `{name}` has no labelled test sample: it has no metrics"
        ));
    }
    let one_class = |positives: u64| positives == 0 || positives == samples;
    match task.kind {
        TaskKind::Binary => task.positives.filter(|&count| one_class(count)).map(|count| {
            let label = u64::from(count > 0);
            format!("task `{name}` has one class in test: all {samples} labels are {label}; it has no AUC")
        }),
        TaskKind::Multiclass => {
            let classes = task.classes.iter().filter(|class| one_class(class.positives));
            let names: Vec<String> = classes.map(|class| format!("`{}`", class.name)).collect();
            (!names.is_empty()).then(|| {
                format!(
                    "task `{name}`: of the test samples none or all are of class {}: no AUC there, and the mean over \
                     classes leaves it out",
                    names.join(", ")
                )
            })
        }
        TaskKind::Regression => task.deviation.filter(|&deviation| deviation == 0.0).map(|_| {
            format!("task `{name}`: all {samples} test labels are equal; it has no R² and no concordance")
        }),
    }
}

fn row(cell: &Cell) -> Result<Row, EvaluateError> {
    let mut row = Row {
        source: cell.source,
        matrix: cell.matrix.clone(),
        input: None,
        tasks: IndexMap::new(),
        classes: IndexMap::new(),
        mean_auc: None,
        curves: Vec::new(),
    };
    for (task, predictions) in &cell.tasks {
        let found = score(predictions).map_err(|error| failed(cell, task, error))?;
        row.tasks.insert(task.clone(), found.values);
        if predictions.kind == TaskKind::Multiclass {
            row.classes.insert(task.clone(), found.classes);
        }
    }
    let known: Vec<f64> = row
        .tasks
        .values()
        .filter_map(|values| *values.get(&Metric::Auc)?)
        .collect();
    row.mean_auc = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    Ok(row)
}

fn curves_of(cell: &Cell) -> Result<Vec<Curves>, EvaluateError> {
    let mut all = Vec::new();
    for (task, predictions) in &cell.tasks {
        all.extend(curves(task, predictions).map_err(|error| failed(cell, task, error))?);
    }
    Ok(all)
}

fn failed(cell: &Cell, task: &str, error: MetricError) -> EvaluateError {
    EvaluateError::Metric {
        cell: cell.name(),
        task: task.to_owned(),
        problem: error.to_string(),
    }
}

/// Cells with the same matrix values are no repetition of each other: they are told apart by their
/// place.
fn number_the_alike(rows: &mut [Row]) {
    let mut places: IndexMap<(Source, String), Vec<usize>> = IndexMap::new();
    for (i, row) in rows.iter().enumerate() {
        let key = (row.source, matrix_text(&row.matrix));
        places.entry(key).or_default().push(i);
    }
    let first_of = |source: Source, rows: &[Row]| {
        rows.iter()
            .position(|row| row.source == source)
            .unwrap_or(0)
    };
    for alike in places.into_values().filter(|alike| alike.len() > 1) {
        for i in alike {
            let first = first_of(rows[i].source, rows);
            rows[i].input = Some((i - first) as u64 + 1);
        }
    }
}
