//! `evaluate` as a stage runs it: artifacts in, a report and metrics out.

mod binary;
mod golden;
mod kinds;
mod probe;
mod segments;
mod stage;
mod uncertainty;

use supermoe_model_conformance::tiny_retail;
