//! Plugin `abtest`: from the log of an experiment to the lift of each bucket over the control.
//!
//! `log` reads rows, `users` brings them together user by user, `experiment` and
//! `metric` estimate and compare, `report` is what is written, `markdown` its tables for people.

mod columns;
mod csv_log;
mod error;
mod experiment;
mod log;
mod markdown;
mod metric;
mod params;
mod parquet_log;
mod plugin;
mod report;
mod users;

pub use error::AbtestError;
pub use experiment::analyse;
pub use params::{Correction, MetricParams, Params, Ratio};
pub use plugin::{REVISION, plugin};
pub use report::{
    Bounds, Bucket, Estimate, Experiment, Lift, LiftNumbers, Metric, MetricKind, SampleRatio,
};
pub use users::{User, Users};
