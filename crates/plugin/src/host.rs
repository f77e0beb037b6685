//! The host's side of the contract: starts a worker, listens to it, and ends it with everything
//! that it started.

mod event_reader;
mod log;
mod marked;
mod process_group;
mod redact;
mod stop;
mod watcher;
mod watcher_process;
mod worker;

pub use marked::{end_marked, signal_marked};
pub use redact::Redactor;
pub use stop::{StopLevel, StopSender, StopSignal, stop_channel};
pub use watcher::Watcher;
pub use watcher_process::watcher_main;
pub use worker::{
    ReportedError, STAGE_VARIABLE, WorkerExit, WorkerOutcome, WorkerSpec, base_environment,
    run_worker,
};
