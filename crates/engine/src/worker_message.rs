//! What the doer says to the decider.

use std::sync::Arc;

use supermoe_plugin::event::Event;
use supermoe_store::{Digest, StageResult};
use supermoe_workflow::CellId;

use crate::scheduler::Grant;

#[derive(Debug)]
pub(crate) enum WorkerMessage {
    /// A worker's event, secrets replaced.
    Event(CellId, Event),
    /// Whether what belongs to a cell besides its result, a `log` or a `checkpoint`, could be
    /// kept; why not.
    Kept(CellId, &'static str, Option<String>),
    /// An attempt is over; its slots come back.
    Ended(CellId, Grant, AttemptEnd),
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum AttemptEnd {
    Done {
        result: Arc<StageResult>,
        /// Why the result could not be recorded, though its outputs are in the store.
        not_recorded: Option<String>,
    },
    Failed(AttemptFailure),
    /// It ran, and its outputs could not be stored.
    NotStored(AttemptFailure),
    Cancelled {
        seconds: Option<f64>,
    },
    /// An input's objects in the store are missing or damaged.
    InputDamaged {
        maker: CellId,
        digest: Digest,
        what: String,
    },
}

#[derive(Debug, Default)]
pub(crate) struct AttemptFailure {
    pub message: String,
    /// Whether another attempt may succeed.
    pub retry: bool,
    pub log_tail: Vec<String>,
    pub seconds: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
}

impl AttemptFailure {
    /// A failure before or beside the worker, which another attempt would not change.
    pub(crate) fn plain(message: impl Into<String>) -> AttemptFailure {
        AttemptFailure {
            message: message.into(),
            ..AttemptFailure::default()
        }
    }
}
