//! What a run tells while it goes on: to the terminal, to `--json`, and to its journal.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supermoe_plugin::event::{LogLevel, Progress};
use supermoe_store::{Digest, RunId, StageKey};

use crate::rerun_reason::RerunReason;

/// One cell of a stage, as people name it: `prepare`, `finetune[model=ple,seed=1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellName {
    pub stage: Arc<str>,
    #[serde(default)]
    pub matrix: Arc<IndexMap<String, Value>>,
    /// The whole name as the workflow spells it: what is printed, and what its log is kept under.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub label: Arc<str>,
}

fn is_empty(text: &Arc<str>) -> bool {
    text.is_empty()
}

impl CellName {
    /// The name with the values of its axes as JSON writes them, texts without quotes.
    pub fn json_spelling(&self) -> String {
        let mut name = self.stage.to_string();
        for (index, (axis, value)) in self.matrix.iter().enumerate() {
            name.push(if index == 0 { '[' } else { ',' });
            match value {
                Value::String(text) => name.push_str(&format!("{axis}={text}")),
                other => name.push_str(&format!("{axis}={other}")),
            }
        }
        if !self.matrix.is_empty() {
            name.push(']');
        }
        name
    }
}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.label.is_empty() {
            f.write_str(&self.json_spelling())
        } else {
            f.write_str(&self.label)
        }
    }
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    Ran,
    Cached,
    Failed,
    Skipped,
    Cancelled,
}

impl fmt::Display for StageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StageState::Ran => "ran",
            StageState::Cached => "cached",
            StageState::Failed => "failed",
            StageState::Skipped => "skipped",
            StageState::Cancelled => "cancelled",
        })
    }
}

/// How a run ended. A run that died without saying so is `interrupted`; one that is still alive
/// on this machine is `running`. Neither is ever written: both are found when a run is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
    Interrupted,
    Running,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Interrupted => "interrupted",
            Outcome::Running => "running",
        })
    }
}

/// How many stages ended in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub ran: usize,
    pub cached: usize,
    pub failed: usize,
    pub skipped: usize,
    pub cancelled: usize,
}

impl Counts {
    pub fn add(&mut self, state: StageState) {
        match state {
            StageState::Ran => self.ran += 1,
            StageState::Cached => self.cached += 1,
            StageState::Failed => self.failed += 1,
            StageState::Skipped => self.skipped += 1,
            StageState::Cancelled => self.cancelled += 1,
        }
    }

    pub fn total(&self) -> usize {
        self.ran + self.cached + self.failed + self.skipped + self.cancelled
    }
}

/// Why a stage was not started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SkipCause {
    /// `when` came out false.
    Condition { text: String },
    /// Something that it depends on failed.
    UpstreamFailed { stage: String },
    /// Something that it depends on was cancelled.
    UpstreamCancelled { stage: String },
    /// Another stage failed and the run does not keep going.
    RunFailed { stage: String },
    /// The run was stopped before its turn came.
    RunCancelled,
}

impl fmt::Display for SkipCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SkipCause::Condition { text } => f.write_str(text),
            SkipCause::UpstreamFailed { stage } => write!(f, "{stage} failed"),
            SkipCause::UpstreamCancelled { stage } => write!(f, "{stage} was cancelled"),
            SkipCause::RunFailed { stage } => {
                write!(
                    f,
                    "the run stopped when {stage} failed (--keep-going goes on)"
                )
            }
            SkipCause::RunCancelled => f.write_str("the run was stopped before its turn"),
        }
    }
}

/// What went wrong in a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageFailure {
    pub message: String,
    /// The last lines of its log, secrets replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// Attempts made, the failed one included.
    pub attempts: u32,
}

/// Something that was computed and could not be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotStored {
    /// A cell, `log of` or `checkpoint of` one, or `journal`.
    pub what: String,
    pub why: String,
}

/// One line of `--json` and of the journal.
#[expect(clippy::large_enum_variant, reason = "events live one at a time")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    RunStarted {
        run: RunId,
        workflow: String,
        /// How many stages, every cell counted.
        stages: usize,
        at: jiff::Timestamp,
    },
    /// Objects of an input's URL are on their way to this machine.
    InputFetching {
        /// The URL.
        path: PathBuf,
        objects: u64,
        /// Their size, where the server tells.
        bytes: Option<u64>,
    },
    /// A file or folder from outside was read for the keys of the stages that take it.
    InputRead { path: PathBuf, digest: Digest },
    /// Its result was there; nothing ran.
    StageCached {
        #[serde(flatten)]
        cell: CellName,
        key: StageKey,
        /// How long it took when it ran.
        seconds: f64,
        #[serde(default)]
        outputs: IndexMap<String, Digest>,
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        metrics: IndexMap<String, f64>,
    },
    StageStarted {
        #[serde(flatten)]
        cell: CellName,
        key: StageKey,
        /// From 1.
        attempt: u32,
        reason: RerunReason,
        /// From its last run, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_seconds: Option<f64>,
        at: jiff::Timestamp,
    },
    /// Not in the journal.
    StageProgress {
        #[serde(flatten)]
        cell: CellName,
        progress: Progress,
    },
    StageMetric {
        #[serde(flatten)]
        cell: CellName,
        name: String,
        value: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
    },
    StageLog {
        #[serde(flatten)]
        cell: CellName,
        level: LogLevel,
        message: String,
    },
    /// An attempt failed and another will be made.
    StageRetry {
        #[serde(flatten)]
        cell: CellName,
        /// The attempt that failed, from 1.
        attempt: u32,
        error: String,
        /// Until the next attempt.
        delay_seconds: f64,
    },
    StageFinished {
        #[serde(flatten)]
        cell: CellName,
        state: StageState,
        /// Why it ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<RerunReason>,
        /// Why it did not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skipped: Option<SkipCause>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<StageKey>,
        /// Of the last attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peak_memory_bytes: Option<u64>,
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        outputs: IndexMap<String, Digest>,
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        metrics: IndexMap<String, f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<StageFailure>,
        at: jiff::Timestamp,
    },
    RunFinished {
        run: RunId,
        outcome: Outcome,
        counts: Counts,
        seconds: f64,
        #[serde(default)]
        not_stored: Vec<NotStored>,
        /// Outputs laid out in the project, relative to it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        published: Vec<PathBuf>,
        /// Outputs that could not be laid out in the project, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_published: Vec<String>,
    },
}
