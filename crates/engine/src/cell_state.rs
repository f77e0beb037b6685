//! What the decider knows of each cell while a run goes on.

use std::sync::Arc;

use supermoe_store::{StageKey, StageResult};
use supermoe_workflow::CellId;

use crate::rerun_reason::RerunReason;
use crate::stage_key::CanonicalManifest;
use crate::worker_message::AttemptFailure;

/// How a cell ended, for those that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its outputs are there.
    Good,
    /// It has none and wants none: `when` is false, or it is not selected and was never run.
    Absent,
    /// It, or the cell given, failed.
    Failed(CellId),
    /// It, or the cell given, was cancelled.
    Cancelled(CellId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For cells before it.
    Waiting,
    /// For slots.
    Ready,
    Running,
    /// For its next attempt.
    Backoff,
    /// For another cell with the same key.
    Twin,
    Ended(End),
}

/// What a cell needs to run.
#[derive(Debug)]
pub(crate) struct Job {
    pub key: StageKey,
    pub manifest: Arc<CanonicalManifest>,
    pub reason: RerunReason,
    /// The next or running attempt, from 1.
    pub attempt: u32,
    pub expected_seconds: Option<f64>,
    /// Of an attempt after which another was to follow.
    pub last_failure: Option<AttemptFailure>,
}

#[derive(Debug)]
pub(crate) struct CellState {
    pub phase: Phase,
    /// How many cells it still waits for.
    pub waits_for: u32,
    pub result: Option<Arc<StageResult>>,
    pub job: Option<Box<Job>>,
    /// Whether those after it were told of its end.
    pub released: bool,
    /// Those that wait for it to be made again.
    pub remake_waiters: Vec<CellId>,
    pub remakes: u8,
}

/// Why nothing more is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    Failure(CellId),
    Stop,
}

impl CellState {
    pub(crate) fn waiting(waits_for: u32) -> CellState {
        CellState {
            phase: Phase::Waiting,
            waits_for,
            result: None,
            job: None,
            released: false,
            remake_waiters: Vec::new(),
            remakes: 0,
        }
    }
}
