//! The metrics of one task of one cell.

use indexmap::IndexMap;
use serde::Serialize;
use supermoe_metrics::{
    MetricError, auc, calibration_error, concordance, log_loss, log_loss_of_true_class, mae, r2,
    recall_at_precision, rmse,
};

use supermoe_channels::TaskKind;

use crate::cell::{Column, TaskPredictions};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Auc,
    Logloss,
    CalibrationError,
    #[serde(rename = "recall_at_p85")]
    RecallAtPrecision85,
    #[serde(rename = "recall_at_p50")]
    RecallAtPrecision50,
    Mae,
    Rmse,
    R2,
    Concordance,
}

/// By metric; none where the test set does not define one.
pub type Values = IndexMap<Metric, Option<f64>>;

impl Metric {
    /// Those of a kind of task, in the order of tables.
    pub fn of(kind: TaskKind) -> &'static [Metric] {
        match kind {
            TaskKind::Binary | TaskKind::Multiclass => &[
                Metric::Auc,
                Metric::Logloss,
                Metric::CalibrationError,
                Metric::RecallAtPrecision85,
                Metric::RecallAtPrecision50,
            ],
            TaskKind::Regression => &[Metric::Mae, Metric::Rmse, Metric::R2, Metric::Concordance],
        }
    }

    /// As in the names of events and in report.json.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Auc => "auc",
            Metric::Logloss => "logloss",
            Metric::CalibrationError => "calibration_error",
            Metric::RecallAtPrecision85 => "recall_at_p85",
            Metric::RecallAtPrecision50 => "recall_at_p50",
            Metric::Mae => "mae",
            Metric::Rmse => "rmse",
            Metric::R2 => "r2",
            Metric::Concordance => "concordance",
        }
    }

    /// As in a table's head.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Auc => "AUC",
            Metric::Logloss => "log-loss",
            Metric::CalibrationError => "calibration error",
            Metric::RecallAtPrecision85 => "Recall@P85",
            Metric::RecallAtPrecision50 => "Recall@P50",
            Metric::Mae => "MAE",
            Metric::Rmse => "RMSE",
            Metric::R2 => "R²",
            Metric::Concordance => "concordance",
        }
    }

    /// Of a binary task, or of one class against the rest.
    fn of_probabilities(self, scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
        match self {
            Metric::Logloss => log_loss(scores, labels),
            Metric::CalibrationError => calibration_error(scores, labels),
            Metric::RecallAtPrecision85 => recall_at_precision(scores, labels, 0.85),
            Metric::RecallAtPrecision50 => recall_at_precision(scores, labels, 0.5),
            // The others are of numbers; `Metric::of` keeps them apart.
            _ => auc(scores, labels),
        }
    }

    fn of_numbers(self, scores: &[f64], labels: &[f64]) -> Result<f64, MetricError> {
        match self {
            Metric::Rmse => rmse(scores, labels),
            Metric::R2 => r2(scores, labels),
            Metric::Concordance => concordance(scores, labels),
            // The others are of probabilities; `Metric::of` keeps them apart.
            _ => mae(scores, labels),
        }
    }
}

/// The metrics over the samples that have a label.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskScore {
    pub values: Values,
    /// Of each class of a multiclass task against the rest, by name.
    pub classes: IndexMap<String, Values>,
}

/// A multiclass task has the mean over the classes that have a value, but for log-loss: there it is
/// that of the true class.
///
/// # Errors
/// A score that is no probability or no number.
pub fn score(predictions: &TaskPredictions) -> Result<TaskScore, MetricError> {
    let kind = predictions.kind;
    let columns = predictions.columns.iter();
    let of_columns: Vec<Values> = columns
        .map(|column| match kind {
            TaskKind::Regression => score_numbers(column),
            TaskKind::Binary | TaskKind::Multiclass => score_probabilities(column),
        })
        .collect::<Result<_, _>>()?;
    if kind != TaskKind::Multiclass {
        return Ok(TaskScore {
            values: of_columns.into_iter().next().unwrap_or_default(),
            classes: IndexMap::new(),
        });
    }
    let means = Metric::of(kind).iter().map(|&metric| {
        let known: Vec<f64> = of_columns
            .iter()
            .filter_map(|values| values[&metric])
            .collect();
        let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        (metric, mean)
    });
    let mut values: Values = means.collect();
    values.insert(
        Metric::Logloss,
        defined(log_loss_of_true_class(&of_true_class(predictions)))?,
    );
    let names = predictions.classes().into_iter().map(str::to_owned);
    Ok(TaskScore {
        values,
        classes: names.zip(of_columns).collect(),
    })
}

fn score_probabilities(column: &Column) -> Result<Values, MetricError> {
    let (scores, labels) = labelled(column);
    let labels: Vec<bool> = labels.into_iter().map(|label| label == 1.0).collect();
    Metric::of(TaskKind::Binary)
        .iter()
        .map(|&metric| Ok((metric, defined(metric.of_probabilities(&scores, &labels))?)))
        .collect()
}

fn score_numbers(column: &Column) -> Result<Values, MetricError> {
    let (scores, labels) = labelled(column);
    Metric::of(TaskKind::Regression)
        .iter()
        .map(|&metric| Ok((metric, defined(metric.of_numbers(&scores, &labels))?)))
        .collect()
}

/// Scores and labels of the samples that have one.
pub(crate) fn labelled(column: &Column) -> (Vec<f64>, Vec<f64>) {
    let pairs = column.scores.iter().zip(&column.labels);
    pairs
        .filter_map(|(score, label)| Some((*score, f64::from((*label)?))))
        .unzip()
}

/// The probability of each sample's true class.
fn of_true_class(predictions: &TaskPredictions) -> Vec<f64> {
    let columns = &predictions.columns;
    (0..predictions.samples.len())
        .filter_map(|i| {
            let column = columns
                .iter()
                .find(|column| column.labels[i] == Some(1.0))?;
            Some(column.scores[i])
        })
        .collect()
}

fn defined(value: Result<f64, MetricError>) -> Result<Option<f64>, MetricError> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(
            MetricError::OneClass { .. }
            | MetricError::NoSamples
            | MetricError::ConstantLabels { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}
