//! What the caller of `run` and `plan` chooses.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use supermoe_plugin::machine_memory;

use crate::selection::Selection;

/// What the stages of a run may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Processor cores (`--jobs`).
    pub cpus: u32,
    pub memory_bytes: u64,
    pub gpus: u32,
}

impl Slots {
    /// All cores and all memory of this machine, no GPU.
    pub fn of_this_machine() -> Slots {
        static SLOTS: OnceLock<Slots> = OnceLock::new();
        *SLOTS.get_or_init(|| Slots {
            cpus: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
            memory_bytes: machine_memory::memory_bytes().unwrap_or(u64::MAX),
            gpus: 0,
        })
    }
}

/// What happens to the rest when a stage fails. Stages that run are always waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Nothing more is started.
    #[default]
    StopStarting,
    /// All that does not depend on the failed stage still runs (`--keep-going`).
    KeepGoing,
}

#[derive(Debug, Clone)]
pub struct RunOptions {
    pub slots: Slots,
    pub on_failure: OnFailure,
    pub selection: Selection,
    /// The `supermoe` program: serves built-in plugins (`worker NAME`) and the watcher (`watcher`).
    pub program: PathBuf,
    /// The project's root; `.supermoe/work` and published outputs are in it.
    pub project: PathBuf,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Where the values of secrets are taken from.
    pub environment: BTreeMap<OsString, OsString>,
    /// Workers tell in their log where the time goes.
    pub profile: bool,
    /// Least time between two checkpoints of a stage that are kept in the store.
    pub checkpoint_interval: Duration,
}

impl RunOptions {
    /// All stages, with this process's environment.
    pub fn new(program: PathBuf, project: PathBuf, slots: Slots) -> RunOptions {
        RunOptions {
            slots,
            on_failure: OnFailure::default(),
            selection: Selection::default(),
            program,
            project,
            grace: Duration::from_secs(10),
            environment: std::env::vars_os().collect(),
            profile: false,
            checkpoint_interval: Duration::from_secs(5),
        }
    }

    /// What `plan` needs to foretell this run.
    pub fn plan_options(&self) -> PlanOptions {
        PlanOptions {
            selection: self.selection.clone(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    pub selection: Selection,
}
