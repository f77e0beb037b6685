//! What is said of an attempt that did not succeed.

use supermoe_plugin::host::{StopLevel, WorkerExit, WorkerOutcome};
use supermoe_workflow::Cell;

use crate::attempt_folders::AttemptFolders;
use crate::launch;
use crate::log_tail::log_tail;
use crate::retry::is_worth_another;
use crate::worker::Doer;
use crate::worker_message::{AttemptEnd, AttemptFailure};

/// The end of an attempt whose worker did not succeed; none for one that did.
pub(crate) fn unsuccessful(
    doer: &Doer,
    cell: &Cell,
    outcome: &WorkerOutcome,
    folders: &AttemptFolders,
) -> Option<AttemptEnd> {
    let cancelled = AttemptEnd::Cancelled {
        seconds: Some(outcome.seconds),
    };
    match outcome.exit {
        WorkerExit::Success => return None,
        WorkerExit::Stopped => return Some(cancelled),
        _ if doer.stop.level() > StopLevel::Running => return Some(cancelled),
        _ => {}
    }
    Some(AttemptEnd::Failed(failure(
        message(doer, cell, outcome),
        outcome,
        folders,
    )))
}

fn message(doer: &Doer, cell: &Cell, outcome: &WorkerOutcome) -> String {
    match (&outcome.exit, &outcome.error) {
        (WorkerExit::TimedOut, _) => {
            let limit = cell
                .timeout
                .map_or(outcome.seconds, |limit| limit.as_secs_f64());
            format!("timed out after {limit} s (`timeout`)")
        }
        (WorkerExit::NotStarted(error), _) => {
            format!(
                "its worker `{}` could not be started: {error}",
                launch::program_name(doer, cell)
            )
        }
        (_, Some(error)) => error.message.clone(),
        (WorkerExit::Code(code), None) => format!("exited with code {code}"),
        (WorkerExit::Signal(9), None) => {
            "killed by signal 9 (SIGKILL), often the kernel's when memory runs out".to_owned()
        }
        (WorkerExit::Signal(signal), None) => format!("killed by signal {signal}"),
        (WorkerExit::Stopped, None) => "stopped".to_owned(),
        (WorkerExit::Success, None) => "ended well".to_owned(),
    }
}

/// A failure with what the worker cost and the end of its log.
pub(crate) fn failure(
    message: String,
    outcome: &WorkerOutcome,
    folders: &AttemptFolders,
) -> AttemptFailure {
    AttemptFailure {
        message,
        retry: is_worth_another(outcome),
        log_tail: log_tail(&folders.log),
        seconds: Some(outcome.seconds),
        peak_memory_bytes: outcome.peak_memory_bytes,
    }
}
