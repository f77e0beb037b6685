//! The curves of a cell, so that a report can be drawn without its predictions.

use serde::Serialize;
use supermoe_metrics::{
    CalibrationBin, MetricError, calibration_curve, precision_recall_curve, regression_curve,
    roc_curve,
};

use supermoe_channels::TaskKind;

use crate::cell::{Column, TaskPredictions};
use crate::score::labelled;

/// The most points of a curve.
const POINTS: usize = 200;

/// Of one task, or of one class of a multiclass task against the rest. A curve that the test set does
/// not define is empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curves {
    pub task: String,
    pub class: Option<String>,
    /// (false positive rate, true positive rate); empty for regression.
    pub roc: Vec<[f64; 2]>,
    /// (recall, precision); empty for regression.
    pub precision_recall: Vec<[f64; 2]>,
    /// (mean score, share of positives or mean label, samples) of samples with like scores.
    pub calibration: Vec<(f64, f64, u64)>,
}

/// # Errors
/// A score that is no probability or no number.
pub fn curves(task: &str, predictions: &TaskPredictions) -> Result<Vec<Curves>, MetricError> {
    let columns = predictions.columns.iter();
    columns
        .map(|column| of_column(task, predictions.kind, column))
        .collect()
}

fn of_column(task: &str, kind: TaskKind, column: &Column) -> Result<Curves, MetricError> {
    let (scores, labels) = labelled(column);
    let (task, class) = (task.to_owned(), column.class.clone());
    if kind == TaskKind::Regression {
        return Ok(Curves {
            task,
            class,
            roc: Vec::new(),
            precision_recall: Vec::new(),
            calibration: points(defined(regression_curve(&scores, &labels))?),
        });
    }
    let labels: Vec<bool> = labels.into_iter().map(|label| label == 1.0).collect();
    Ok(Curves {
        task,
        class,
        roc: defined(roc_curve(&scores, &labels, POINTS))?,
        precision_recall: defined(precision_recall_curve(&scores, &labels, POINTS))?,
        calibration: points(defined(calibration_curve(&scores, &labels))?),
    })
}

fn points(bins: Vec<CalibrationBin>) -> Vec<(f64, f64, u64)> {
    let bins = bins.into_iter();
    bins.map(|bin| (bin.mean_score, bin.mean_label, bin.samples))
        .collect()
}

fn defined<P>(curve: Result<Vec<P>, MetricError>) -> Result<Vec<P>, MetricError> {
    match curve {
        Err(MetricError::OneClass { .. } | MetricError::NoSamples) => Ok(Vec::new()),
        other => other,
    }
}
