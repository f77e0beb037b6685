//! Evaluation metrics as pure functions of scores and binary labels.
//!
//! Each takes `scores[i]` and `labels[i]` of sample i, exact for any number of samples and free of
//! their order. NaN is refused: it has no rank, and hides a broken model.

mod auc;
mod calibration;
mod error;
mod log_loss;
mod recall;

pub use auc::auc;
pub use calibration::{CALIBRATION_BINS, calibration_error};
pub use error::MetricError;
pub use log_loss::log_loss;
pub use recall::recall_at_precision;
