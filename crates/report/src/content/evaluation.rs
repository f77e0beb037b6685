//! The `report.json` of an evaluation, as far as a report shows it. Fields that are not known are
//! passed over, and those that are missing are empty.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supermoe_plugin::matrix_text::matrix_text;

use crate::content::certainty::{Comparisons, EvaluatedInterval, Segmentation, Uncertainty};
use crate::content::experiment::Experiment;

/// Values by metric; null where a metric is not defined.
pub type Metrics<T> = IndexMap<String, Option<T>>;
/// Values by class, by task.
pub type ClassMetrics<T> = IndexMap<String, IndexMap<String, Metrics<T>>>;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    pub metric_version: u64,
    /// The test set of each task, the same for all cells.
    pub tasks: Vec<EvaluatedTask>,
    pub cells: Vec<EvaluatedCell>,
    /// Cells that differ in their seed alone.
    pub groups: Vec<EvaluatedGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparisons: Option<Comparisons>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segmentation>,
    /// Of buckets of users, in the place of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    #[default]
    Binary,
    Multiclass,
    Regression,
    /// Of a newer program.
    #[serde(other)]
    Other,
}

impl TaskKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            TaskKind::Binary => "binary",
            TaskKind::Multiclass => "multiclass",
            TaskKind::Regression => "regression",
            TaskKind::Other => "of another kind",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluatedTask {
    pub name: String,
    pub kind: TaskKind,
    pub samples: u64,
    pub unlabelled: u64,
    /// The same for the same test samples, and for the same labels of them.
    pub split_digest: Option<String>,
    pub labels_digest: Option<String>,
    pub positives: Option<u64>,
    pub classes: Vec<EvaluatedClass>,
    /// Of the labels of a regression task.
    pub mean: Option<f64>,
    pub deviation: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluatedClass {
    pub name: String,
    pub positives: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluatedCell {
    /// `predictions`, or `embeddings` for a probe.
    pub source: String,
    pub matrix: IndexMap<String, Value>,
    /// The place among the inputs of its port, where several have the same matrix values.
    pub input: Option<u64>,
    pub tasks: IndexMap<String, Metrics<f64>>,
    pub classes: ClassMetrics<f64>,
    pub mean_auc: Option<f64>,
    pub curves: Vec<Curve>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluatedGroup {
    pub source: String,
    /// Without the seed.
    pub matrix: IndexMap<String, Value>,
    pub cells: u64,
    pub tasks: IndexMap<String, Metrics<Summary>>,
    pub classes: ClassMetrics<Summary>,
    pub mean_auc: Option<Summary>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub mean: f64,
    /// None for one cell.
    #[serde(default)]
    pub deviation: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<EvaluatedInterval>,
}

/// Curves of one task, or of one class of it against the rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Curve {
    pub task: String,
    pub class: Option<String>,
    /// False and true positive rate.
    pub roc: Vec<(f64, f64)>,
    /// Recall and precision.
    pub precision_recall: Vec<(f64, f64)>,
    /// Mean score, share of positives (regression: mean label), samples.
    pub calibration: Vec<(f64, f64, f64)>,
}

/// Where `source` says nothing, the cell is of predictions.
const PROBE: &str = "embeddings";

impl EvaluatedCell {
    /// `model=ple, seed=1`; nothing without a matrix.
    pub(crate) fn name(&self) -> String {
        row_name(&self.source, &self.matrix)
    }

    pub(crate) fn is_probe(&self) -> bool {
        self.source == PROBE
    }

    pub(crate) fn source_name(&self) -> &'static str {
        match self.is_probe() {
            true => PROBE,
            false => "predictions",
        }
    }

    pub(crate) fn belongs_to(&self, group: &EvaluatedGroup) -> bool {
        let is_probe = |source: &str| source == PROBE;
        is_probe(&self.source) == is_probe(&group.source)
            && group
                .matrix
                .iter()
                .all(|(axis, value)| self.matrix.get(axis) == Some(value))
    }
}

impl EvaluatedGroup {
    pub(crate) fn name(&self) -> String {
        row_name(&self.source, &self.matrix)
    }

    pub(crate) fn metric(&self, task: &str, metric: &str) -> Option<Summary> {
        self.tasks.get(task)?.get(metric).copied().flatten()
    }
}

pub(super) fn row_name(source: &str, matrix: &IndexMap<String, Value>) -> String {
    let values = matrix_text(matrix);
    match (source == PROBE, values.is_empty()) {
        (false, true) => "predictions".to_owned(),
        (false, false) => values,
        (true, true) => "probe of embeddings".to_owned(),
        (true, false) => format!("{values} · probe of embeddings"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_empty_and_what_is_unknown_passed_over() {
        let read: Evaluation = serde_json::from_value(json!({
            "metric_version": 3,
            "tasks": [{ "name": "buy", "kind": "ranking", "future": 1 }],
            "groups": [{ "tasks": { "buy": { "auc": { "mean": 0.7 }, "logloss": null } } }],
        }))
        .expect("it is read");
        assert_eq!(read.tasks[0].kind, TaskKind::Other);
        let group = &read.groups[0];
        assert_eq!(group.metric("buy", "auc").map(|auc| auc.mean), Some(0.7));
        assert_eq!(group.metric("buy", "logloss"), None);
        assert_eq!(group.name(), "predictions");
        assert_eq!(
            serde_json::from_str::<Evaluation>("{}").expect("it is read"),
            Evaluation::default()
        );
    }

    #[test]
    fn probes_are_told_from_predictions() {
        let matrix = IndexMap::from([("model".to_owned(), json!("ple"))]);
        let group = EvaluatedGroup {
            source: "embeddings".to_owned(),
            matrix: matrix.clone(),
            ..EvaluatedGroup::default()
        };
        assert_eq!(group.name(), "model=ple · probe of embeddings");
        let mut cell = EvaluatedCell {
            source: "embeddings".to_owned(),
            matrix,
            ..EvaluatedCell::default()
        };
        cell.matrix.insert("seed".to_owned(), json!(1));
        assert!(cell.belongs_to(&group));
        cell.source = "predictions".to_owned();
        assert!(!cell.belongs_to(&group));
    }
}
