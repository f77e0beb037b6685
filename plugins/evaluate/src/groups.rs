//! Mean and deviation over the cells that differ in their seed alone.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use supermoe_plugin::matrix_text::matrix_text;

use crate::cell::Source;
use crate::report::Row;
use crate::score::{Metric, Values};
use crate::uncertainty::Interval;

/// The matrix axis that repeats a cell rather than making it another.
const SEED_AXIS: &str = "seed";

pub type Summaries = IndexMap<Metric, Option<Summary>>;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    pub source: Source,
    /// The matrix values without the seed.
    pub matrix: IndexMap<String, Value>,
    /// As in [`Row::input`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    pub cells: u64,
    pub tasks: IndexMap<String, Summaries>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub classes: IndexMap<String, IndexMap<String, Summaries>>,
    pub mean_auc: Option<Summary>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    pub mean: f64,
    /// Sample standard deviation (n - 1); null for one cell.
    pub deviation: Option<f64>,
    /// Of the mean, over other test sets of the same kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// The places of each group's rows, in the order of their first.
pub fn members(rows: &[Row]) -> Vec<Vec<usize>> {
    let mut members: IndexMap<(Source, String, Option<u64>), Vec<usize>> = IndexMap::new();
    for (place, row) in rows.iter().enumerate() {
        let matrix = matrix_text(&without_seed(&row.matrix));
        let key = (row.source, matrix, row.input);
        members.entry(key).or_default().push(place);
    }
    members.into_values().collect()
}

/// One of each list of members.
pub fn groups(rows: &[Row], members: &[Vec<usize>]) -> Vec<Group> {
    let groups = members.iter().map(|places| {
        let rows: Vec<&Row> = places.iter().map(|&place| &rows[place]).collect();
        group(&rows)
    });
    groups.collect()
}

fn group(rows: &[&Row]) -> Group {
    // A group is made with its first cell, and all cells have the same tasks and classes.
    let first = rows[0];
    let tasks = first.tasks.keys().map(|task| {
        let values: Vec<&Values> = rows.iter().map(|row| &row.tasks[task]).collect();
        (task.clone(), summaries(&values))
    });
    let classes = first.classes.iter().map(|(task, classes)| {
        let of_task = classes.keys().map(|class| {
            let values: Vec<&Values> = rows.iter().map(|row| &row.classes[task][class]).collect();
            (class.clone(), summaries(&values))
        });
        (task.clone(), of_task.collect())
    });
    Group {
        source: first.source,
        matrix: without_seed(&first.matrix),
        input: first.input,
        cells: rows.len() as u64,
        tasks: tasks.collect(),
        classes: classes.collect(),
        mean_auc: summary(rows.iter().map(|row| row.mean_auc)),
    }
}

fn summaries(cells: &[&Values]) -> Summaries {
    let metrics = cells[0].keys();
    metrics
        .map(|metric| (*metric, summary(cells.iter().map(|values| values[metric]))))
        .collect()
}

/// None where a cell has no value.
fn summary(values: impl Iterator<Item = Option<f64>>) -> Option<Summary> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (!values.is_empty()).then_some(Summary {
        mean,
        deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        interval: None,
    })
}

fn without_seed(matrix: &IndexMap<String, Value>) -> IndexMap<String, Value> {
    let others = matrix.iter().filter(|(axis, _)| *axis != SEED_AXIS);
    others
        .map(|(axis, value)| (axis.clone(), value.clone()))
        .collect()
}

impl Group {
    /// What tells its row from others of the same source; empty where there is nothing to tell.
    pub fn name(&self) -> String {
        let input = self.input.map(|place| format!("input {place}"));
        let matrix = Some(matrix_text(&self.matrix)).filter(|text| !text.is_empty());
        let parts: Vec<String> = matrix.into_iter().chain(input).collect();
        parts.join(", ")
    }
}
