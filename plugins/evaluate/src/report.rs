//! `report.json`: the metrics of every cell, and their mean and deviation over seeds.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use crate::comparable::check_comparable;
use crate::error::EvaluateError;
use crate::predictions::{PredictionFile, plain};
use crate::score::{Metric, score};

/// Raised when a metric is defined in another way: reports of two versions are not to be compared.
pub const METRIC_VERSION: u32 = 1;

/// The matrix axis that repeats a cell rather than making it another.
const SEED_AXIS: &str = "seed";

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub metric_version: u32,
    /// Of the test split.
    pub tasks: Vec<Task>,
    /// One per input, in the workflow's order.
    pub cells: Vec<Row>,
    /// Cells that differ in their seed alone, in the order of their first.
    pub groups: Vec<Group>,
    pub warnings: Vec<String>,
}

/// The test set of a task, which all cells share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    pub name: String,
    pub samples: u64,
    pub positives: u64,
    pub unlabelled: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub matrix: IndexMap<String, Value>,
    /// By task, then by metric; null where the metric is not defined.
    pub tasks: IndexMap<String, IndexMap<&'static str, Option<f64>>>,
    /// Mean AUC over the tasks that have one.
    pub mean_auc: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The matrix values without the seed.
    pub matrix: IndexMap<String, Value>,
    pub cells: u64,
    pub tasks: IndexMap<String, IndexMap<&'static str, Option<Summary>>>,
    pub mean_auc: Option<Summary>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    pub mean: f64,
    /// Sample standard deviation (n - 1); null for one cell.
    pub deviation: Option<f64>,
}

/// # Errors
/// Cells that cannot be compared, no test predictions, a score that is no probability.
pub fn report(inputs: &[PredictionFile]) -> Result<Report, EvaluateError> {
    check_comparable(inputs)?;
    let mut tasks = Vec::new();
    let mut warnings = Vec::new();
    let mut cells = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.iter().enumerate() {
        let mut row = Row {
            matrix: input.matrix.clone(),
            tasks: IndexMap::new(),
            mean_auc: None,
        };
        for (task, predictions) in input.tests() {
            let found = score(predictions).map_err(|error| EvaluateError::Metric {
                cell: input.cell(),
                task: task.to_owned(),
                problem: error.to_string(),
            })?;
            let values = Metric::ALL
                .into_iter()
                .zip(found.values)
                .map(|(metric, value)| (metric.name(), value));
            row.tasks.insert(task.to_owned(), values.collect());
            // The test sets are the same, so the first cell speaks for all.
            if i == 0 {
                let (samples, positives) = (found.samples, found.positives);
                if positives == 0 || positives == samples {
                    warnings.push(one_class(task, samples, positives));
                }
                tasks.push(Task {
                    name: task.to_owned(),
                    samples,
                    positives,
                    unlabelled: found.unlabelled,
                });
            }
        }
        row.mean_auc = mean(
            row.tasks
                .values()
                .filter_map(|metrics| metrics[Metric::Auc.name()])
                .collect(),
        );
        cells.push(row);
    }
    if tasks.is_empty() {
        return Err(EvaluateError::NoTest {
            cell: inputs[0].cell(),
        });
    }
    let groups = groups(&cells);
    Ok(Report {
        metric_version: METRIC_VERSION,
        tasks,
        cells,
        groups,
        warnings,
    })
}

fn one_class(task: &str, samples: u64, positives: u64) -> String {
    if samples == 0 {
        return format!("task `{task}` has no labelled test sample: it has no metrics");
    }
    let label = u64::from(positives > 0);
    format!("task `{task}` has one class in test: all {samples} labels are {label}; it has no AUC")
}

fn mean(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn groups(cells: &[Row]) -> Vec<Group> {
    let mut members: IndexMap<String, Vec<&Row>> = IndexMap::new();
    for cell in cells {
        members
            .entry(name(&without_seed(&cell.matrix)))
            .or_default()
            .push(cell);
    }
    members.into_values().map(|cells| group(&cells)).collect()
}

fn group(cells: &[&Row]) -> Group {
    // A group is made with its first cell.
    let first = cells[0];
    let tasks = first.tasks.iter().map(|(task, metrics)| {
        let summaries = metrics.keys().map(|&metric| {
            (
                metric,
                summary(
                    cells
                        .iter()
                        .map(|cell| cell.tasks[task.as_str()][metric])
                        .collect(),
                ),
            )
        });
        (task.clone(), summaries.collect())
    });
    Group {
        matrix: without_seed(&first.matrix),
        cells: cells.len() as u64,
        tasks: tasks.collect(),
        mean_auc: summary(cells.iter().map(|cell| cell.mean_auc).collect()),
    }
}

/// None where a cell has no value.
fn summary(values: Vec<Option<f64>>) -> Option<Summary> {
    let values: Vec<f64> = values.into_iter().collect::<Option<_>>()?;
    let count = values.len() as f64;
    let mean = mean(values.clone())?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some(Summary {
        mean,
        deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
    })
}

fn without_seed(matrix: &IndexMap<String, Value>) -> IndexMap<String, Value> {
    let others = matrix.iter().filter(|(axis, _)| *axis != SEED_AXIS);
    others
        .map(|(axis, value)| (axis.clone(), value.clone()))
        .collect()
}

/// A row's name in a table.
pub(crate) fn name(matrix: &IndexMap<String, Value>) -> String {
    let values = matrix
        .iter()
        .map(|(axis, value)| format!("{axis}={}", plain(value)));
    values.collect::<Vec<_>>().join(", ")
}
