//! The `select` plugin: reads the histories of trainings that differ in some params, and puts out the params of
//! the best one as a `choice`, which `pretrain` and `finetune` take in place of their own.

mod candidate;
mod error;
mod history_metric;
mod params;
mod plugin;
mod ranking;

pub use plugin::{REVISION, plugin};
