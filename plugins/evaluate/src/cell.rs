//! One row of the table to be: a cell's test predictions, wherever they came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use supermoe_channels::TaskKind;
use supermoe_plugin::matrix_text::matrix_text;

/// Scores and labels of one cell on the test split.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    pub source: Source,
    /// The cell's matrix values; empty where there is one cell.
    pub matrix: IndexMap<String, Value>,
    /// By name.
    pub tasks: BTreeMap<String, TaskPredictions>,
}

/// Where a cell's scores come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A predictions artifact.
    Predictions,
    /// A probe fitted on an embeddings artifact.
    Embeddings,
}

/// The test set of a task, and what was predicted of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPredictions {
    pub kind: TaskKind,
    /// Ascending, each once.
    pub samples: Vec<Sample>,
    /// One for each class of a multiclass task, by name; one without a name for the other kinds.
    pub columns: Vec<Column>,
}

/// What makes a sample one: entity, and milliseconds from 1970-01-01 UTC of the snapshot.
pub type Sample = (Arc<str>, i64);

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub class: Option<String>,
    /// By sample; none where it has no label for the task.
    pub labels: Vec<Option<f32>>,
    /// By sample.
    pub scores: Vec<f64>,
}

impl Cell {
    /// As in messages: `model=ple, seed=1`.
    pub fn name(&self) -> String {
        match (self.source, self.matrix.is_empty()) {
            (Source::Predictions, true) => "predictions".to_owned(),
            (Source::Embeddings, true) => "embeddings".to_owned(),
            (Source::Predictions, false) => matrix_text(&self.matrix),
            (Source::Embeddings, false) => format!("embeddings, {}", matrix_text(&self.matrix)),
        }
    }
}

impl TaskPredictions {
    /// Class names, in the order of the columns.
    pub fn classes(&self) -> Vec<&str> {
        let columns = self.columns.iter();
        columns
            .filter_map(|column| column.class.as_deref())
            .collect()
    }
}
