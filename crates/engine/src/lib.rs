//! Runs a graph of stages: keys, cache decisions and their reasons, slots, workers, retries, journal.
//!
//! `plan` says what would run and why; `run` does it. In there `dispatch` decides (with `settle`
//! for the cache, `scheduler` for the slots, `cell_end` for what follows), `worker` does, and
//! `worker_message` is what they say to each other. `journal` writes what happened into the
//! store, `run_record` reads it back.

mod attempt_failure;
mod attempt_folders;
mod cell_end;
mod cell_key;
mod cell_state;
mod checkpoint_keeper;
mod device;
mod dispatch;
pub mod event;
mod event_log;
mod graph;
mod history;
mod input_copy;
mod journal;
mod key_change;
mod launch;
mod log_note;
mod log_tail;
mod machine;
mod outputs;
pub mod plan;
mod publish;
mod read_outside;
pub mod rerun_reason;
mod retry;
pub mod run;
pub mod run_options;
pub mod run_record;
mod scheduler;
pub mod selection;
mod settle;
pub mod stage_key;
mod unset_secrets;
mod work_folder;
mod worker;
mod worker_message;

pub use event::{
    CellName, Counts, NotStored, Outcome, RunEvent, SkipCause, StageFailure, StageState,
};
pub use history::read_ahead;
pub use machine::Machine;
pub use plan::{Plan, PlannedCell, PlannedState, plan};
pub use rerun_reason::{PluginChange, ReasonPlace, RerunReason};
pub use run::{EngineError, RunSummary, run};
pub use run_options::{OnFailure, PlanOptions, RunOptions, Slots};
pub use run_record::{RecordError, RunRecord, StageReason, StageRecord};
pub use selection::{Selection, SelectionError, Selector};
pub use unset_secrets::{UnsetSecret, unset_secrets};
