//! Plugin `evaluate`: metrics from predictions, one table for all that may stand in one.
//!
//! `predictions` reads them, `comparable` refuses what cannot be compared, `score` measures, `report`
//! groups and writes.

mod comparable;
mod error;
mod markdown;
mod plugin;
mod predictions;
mod report;
mod score;

pub use comparable::check_comparable;
pub use error::EvaluateError;
pub use markdown::markdown;
pub use plugin::plugin;
pub use predictions::{Prediction, PredictionFile, Split, TaskPredictions};
pub use report::{Group, METRIC_VERSION, Report, Row, Summary, report};
pub use score::{Metric, TaskScore, score};
