//! Evaluation metrics as pure functions of scores and labels.
//!
//! Each takes `scores[i]` and `labels[i]` of sample i, exact for any number of samples and free of
//! their order. Labels are binary, but for `regression` and `concordance`. NaN is refused: it has no
//! rank, and hides a broken model.

mod auc;
mod calibration;
mod concordance;
mod curves;
mod delong;
mod error;
mod experiment;
mod interval;
mod log_loss;
mod mean;
mod ranking;
mod recall;
mod regression;
mod resampled;
mod resampling;
mod significance;

pub use auc::auc;
pub use calibration::{
    CALIBRATION_BINS, CalibrationBin, calibration_curve, calibration_error, regression_curve,
};
pub use concordance::concordance;
pub use curves::{precision_recall_curve, roc_curve};
pub use delong::{Comparison, Placements};
pub use error::{LARGEST_NUMBER, MetricError};
pub use experiment::{Arm, Lift, SampleRatio, cuped_coefficient};
pub use interval::Interval;
pub use log_loss::{log_loss, log_loss_of_true_class};
pub use recall::recall_at_precision;
pub use regression::{mae, r2, rmse};
pub use resampled::Resampled;
pub use resampling::{draws, percentile_interval, percentile_p_value};
pub use significance::{
    FEWEST_PAIRS, FEWEST_RANKED_PAIRS, Significance, SignificanceError, holm, paired_t_test,
    wilcoxon_signed_rank,
};
