//! The report of a run as a document: what `report.json` holds, and what the page and the Markdown
//! text are made from.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};
use supermoe_engine::{Counts, Machine, Outcome};
use supermoe_store::{Digest, RunId};

use crate::content::{DataCard, Evaluation, ReportedStage, Training};
use crate::metric_table::MetricTable;

/// Raised when a field of `report.json` changes its meaning or goes; new ones come without.
pub const REPORT_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    pub run: RunFacts,
    /// Evaluations that the run's stages gave.
    pub evaluations: Vec<Found<Evaluation>>,
    /// The run's metrics as its journal has them.
    pub metrics: Vec<MetricTable>,
    /// Metric streams, by the cell that trained.
    pub training: Vec<Found<Training>>,
    pub data: Vec<Found<DataCard>>,
    /// The workflow's params after overrides.
    pub params: Map<String, Value>,
    /// In the order of the workflow; of very many, those that failed or ran before others.
    pub stages: Vec<ReportedStage>,
    pub machine: Option<Machine>,
    /// What was there and could not be read.
    pub problems: Vec<Problem>,
    /// What was there and is not in this report, because it is too much.
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFacts {
    pub id: RunId,
    pub workflow: String,
    /// As the user named it.
    pub file: PathBuf,
    pub outcome: Outcome,
    pub started: jiff::Timestamp,
    /// None while it runs, and where it died.
    pub seconds: Option<f64>,
    pub counts: Counts,
    /// What was computed and could not be kept.
    pub not_stored: Vec<String>,
}

/// What an artifact holds, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found<T> {
    /// The cell whose output it is; of several that share it, the first.
    pub cell: String,
    pub stage: String,
    pub matrix: IndexMap<String, Value>,
    pub port: String,
    pub digest: Digest,
    #[serde(flatten)]
    pub content: T,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `evaluate.report`
    pub what: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// `stages`, `metric streams`
    pub what: String,
    pub shown: usize,
    pub of: usize,
}
