//! `evaluate` as a stage runs it: artifacts in, a report and metrics out.

mod binary;
mod golden;
mod kinds;
mod probe;
mod segments;
mod stage;
#[path = "../../../../crates/trainer/tests/tiny_retail/mod.rs"]
mod tiny_retail;
mod uncertainty;
