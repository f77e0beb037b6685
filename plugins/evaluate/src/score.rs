//! The metrics of one task of one cell.

use serde::Serialize;
use supermoe_metrics::{MetricError, auc, calibration_error, log_loss, recall_at_precision};

use crate::predictions::TaskPredictions;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Auc,
    Logloss,
    CalibrationError,
    RecallAtPrecision85,
    RecallAtPrecision50,
}

impl Metric {
    pub const ALL: [Metric; 5] = [
        Metric::Auc,
        Metric::Logloss,
        Metric::CalibrationError,
        Metric::RecallAtPrecision85,
        Metric::RecallAtPrecision50,
    ];

    /// As in the names of events and in report.json.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Auc => "auc",
            Metric::Logloss => "logloss",
            Metric::CalibrationError => "calibration_error",
            Metric::RecallAtPrecision85 => "recall_at_p85",
            Metric::RecallAtPrecision50 => "recall_at_p50",
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
        }
    }
}

/// The metrics over the samples that have a label.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskScore {
    pub samples: u64,
    pub positives: u64,
    /// Samples without a label.
    pub unlabelled: u64,
    /// In the order of [`Metric::ALL`]; none where one class makes a metric undefined.
    pub values: [Option<f64>; 5],
}

/// # Errors
/// A score that is NaN or no probability.
pub fn score(predictions: &TaskPredictions) -> Result<TaskScore, MetricError> {
    let labelled = predictions
        .rows
        .iter()
        .filter_map(|row| Some((row.score, row.label? == 1.0)));
    let (scores, labels): (Vec<f64>, Vec<bool>) = labelled.unzip();
    let mut values = [None; 5];
    for (value, metric) in values.iter_mut().zip(Metric::ALL) {
        *value = defined(match metric {
            Metric::Auc => auc(&scores, &labels),
            Metric::Logloss => log_loss(&scores, &labels),
            Metric::CalibrationError => calibration_error(&scores, &labels),
            Metric::RecallAtPrecision85 => recall_at_precision(&scores, &labels, 0.85),
            Metric::RecallAtPrecision50 => recall_at_precision(&scores, &labels, 0.5),
        })?;
    }
    Ok(TaskScore {
        samples: labels.len() as u64,
        positives: labels.iter().filter(|&&label| label).count() as u64,
        unlabelled: (predictions.rows.len() - labels.len()) as u64,
        values,
    })
}

fn defined(value: Result<f64, MetricError>) -> Result<Option<f64>, MetricError> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(MetricError::OneClass { .. } | MetricError::NoSamples) => Ok(None),
        Err(error) => Err(error),
    }
}
