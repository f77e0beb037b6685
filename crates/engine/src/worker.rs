//! The doer: carries one attempt of one cell from its inputs to its stored result.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use indexmap::IndexMap;
use serde_json::Value;
use supermoe_plugin::event::Event;
use supermoe_plugin::host::{
    StopLevel, StopSignal, Watcher, WorkerExit, WorkerOutcome, WorkerSpec, run_worker,
};
use supermoe_plugin::ports::PortType;
use supermoe_store::{Digest, Durability, RESULT_VERSION, RunId, StageKey, StageResult, Store};
use supermoe_workflow::{Cell, CellId, RunFacts, Workflow};
use tokio::sync::{OnceCell, mpsc};

use crate::attempt_failure::{failure, unsuccessful};
use crate::attempt_folders::AttemptFolders;
use crate::checkpoint_keeper::{CheckpointKeeper, LastCheckpoint};
use crate::input_copy::{CopyError, InputCopies, InputCopy, InputOrigin};
use crate::launch;
use crate::log_note::note_in_log;
use crate::outputs::{self, OutputError};
use crate::scheduler::Grant;
use crate::stage_key::CanonicalManifest;
use crate::work_folder::{WorkFolder, remove_folder};
use crate::worker_message::{AttemptEnd, AttemptFailure, WorkerMessage};

/// A stage whose work may be lost in a power cut must be shorter than this.
const SYNC_AFTER_SECONDS: f64 = 1.0;
/// Logs of stages that run go to the store this often, for whoever looks meanwhile.
const LOG_INTERVAL: Duration = Duration::from_secs(20);

/// What all attempts of a run share.
pub(crate) struct Doer {
    pub workflow: Arc<Workflow>,
    pub store: Store,
    pub run: RunId,
    pub facts: RunFacts,
    /// The run's work folder.
    pub work: WorkFolder,
    /// The `supermoe` program.
    pub program: PathBuf,
    /// Where the values of secrets come from.
    pub environment: BTreeMap<OsString, OsString>,
    pub copies: InputCopies,
    pub watcher: OnceCell<Watcher>,
    /// Attempts started so far: names their folders.
    pub started: AtomicU64,
    pub stop: StopSignal,
    pub grace: Duration,
    pub profile: bool,
    pub checkpoint_interval: Duration,
    pub instruction_set: String,
}

/// One attempt of one cell.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub cell: CellId,
    /// From 1.
    pub number: u32,
    pub key: StageKey,
    pub manifest: Arc<CanonicalManifest>,
    pub grant: Grant,
    pub inputs: Vec<GivenInput>,
}

#[derive(Debug)]
pub(crate) struct GivenInput {
    pub port: String,
    pub digest: Digest,
    pub origin: InputOrigin,
    /// The cell whose output it is.
    pub maker: Option<CellId>,
    pub extension: Option<String>,
    pub matrix: IndexMap<String, Value>,
}

/// What a worker that has ended leaves.
struct Worked {
    outcome: WorkerOutcome,
    /// The last value of each.
    metrics: IndexMap<String, f64>,
    /// Why its last checkpoint could not be kept.
    lost_checkpoint: Option<String>,
}

/// An input as it lies before the worker.
pub(crate) struct LaidInput {
    pub port: String,
    pub copy: Arc<InputCopy>,
    pub matrix: IndexMap<String, Value>,
}

impl Doer {
    /// Carries out an attempt and says how it ended; says so too if it panics. Blocks where it works
    /// on files: it has a thread of its own.
    pub(crate) async fn carry_out(
        self: Arc<Self>,
        attempt: Attempt,
        messages: mpsc::UnboundedSender<WorkerMessage>,
    ) {
        let stages = self.work.stages();
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let base = stages.join(number.to_string());
        let log = stages.join(format!("{}.log", attempt.cell.index()));
        let work = AssertUnwindSafe(self.attempt(&attempt, &base, &log, &messages)).catch_unwind();
        let end = work.await.unwrap_or_else(|_| {
            AttemptEnd::Failed(AttemptFailure::plain(
                "supermoe itself failed at this stage; please report it",
            ))
        });
        // A next attempt goes on in the same log.
        if !matches!(&end, AttemptEnd::Failed(failure) if failure.retry) {
            let _ = fs::remove_file(log);
        }
        let _ = messages.send(WorkerMessage::Ended(attempt.cell, attempt.grant, end));
        clear(&base);
    }

    async fn attempt(
        &self,
        attempt: &Attempt,
        base: &Path,
        log: &Path,
        messages: &mpsc::UnboundedSender<WorkerMessage>,
    ) -> AttemptEnd {
        let cell = self.workflow.cell(attempt.cell);
        if let Err(message) = self.work.make() {
            return AttemptEnd::Failed(AttemptFailure::plain(message));
        }
        let inputs = match self.lay_inputs_out(attempt).await {
            Ok(inputs) => inputs,
            Err(end) => return end,
        };
        let prepared = match self.prepare(cell, attempt, &inputs, base, log).await {
            Ok(prepared) => prepared,
            Err(message) => return AttemptEnd::Failed(AttemptFailure::plain(message)),
        };
        let (folders, spec) = prepared;
        let worked = match self.work(cell, attempt, &folders, spec, messages).await {
            Ok(worked) => worked,
            Err(message) => return AttemptEnd::Failed(AttemptFailure::plain(message)),
        };
        let tell_kept = |what, lost: Option<String>| {
            // Says of a retry too that what was lost before is kept now.
            if lost.is_some() || attempt.number > 1 {
                let _ = messages.send(WorkerMessage::Kept(attempt.cell, what, lost));
            }
        };
        tell_kept("log", self.put_log(cell, &folders.log).await);
        let end = self.end(cell, attempt, &folders, &inputs, &worked).await;
        let is_done = matches!(end, AttemptEnd::Done { .. });
        // What has a result needs no checkpoint any more.
        tell_kept("checkpoint", worked.lost_checkpoint.filter(|_| !is_done));
        end
    }

    /// What comes of an attempt whose worker has ended.
    async fn end(
        &self,
        cell: &Cell,
        attempt: &Attempt,
        folders: &AttemptFolders,
        inputs: &[LaidInput],
        worked: &Worked,
    ) -> AttemptEnd {
        let outcome = &worked.outcome;
        if let Some(end) = unsuccessful(self, cell, outcome, folders) {
            return end;
        }
        if let Some(input) = self.changed_input(inputs).await {
            let message = format!(
                "its input `{input}` was written to while it ran, by it or by a stage beside it: inputs are read-only"
            );
            return AttemptEnd::Failed(failure(message, outcome, folders));
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            end = self.store_result(cell, attempt, folders, worked) => end,
            () = stop.reached(StopLevel::Now) => AttemptEnd::Cancelled { seconds: Some(outcome.seconds) },
        }
    }

    async fn lay_inputs_out(&self, attempt: &Attempt) -> Result<Vec<LaidInput>, AttemptEnd> {
        let mut laid = Vec::with_capacity(attempt.inputs.len());
        for input in &attempt.inputs {
            let copy = self
                .copies
                .get(input.digest, &input.origin, input.extension.as_deref())
                .await;
            let copy = copy.map_err(|error| match (error, input.maker) {
                (CopyError::Damaged(what), Some(maker)) => AttemptEnd::InputDamaged {
                    maker,
                    digest: input.digest,
                    what,
                },
                (error, _) => AttemptEnd::Failed(AttemptFailure::plain(format!(
                    "input `{}`: {error}",
                    input.port
                ))),
            })?;
            laid.push(LaidInput {
                port: input.port.clone(),
                copy,
                matrix: input.matrix.clone(),
            });
        }
        Ok(laid)
    }

    /// Folders, request file and command of the attempt.
    async fn prepare(
        &self,
        cell: &Cell,
        attempt: &Attempt,
        inputs: &[LaidInput],
        base: &Path,
        log: &Path,
    ) -> Result<(AttemptFolders, WorkerSpec), String> {
        let folders = AttemptFolders::make(cell, base, log).map_err(|error| {
            format!(
                "its work folder could not be made in `{}`: {error}",
                self.work.path().display()
            )
        })?;
        if let Some(checkpoint) = &folders.checkpoint {
            self.bring_checkpoint(attempt, checkpoint).await?;
        }
        let request = launch::request(self, cell, attempt, inputs, &folders);
        let text = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
        fs::write(&folders.request, text).map_err(|error| {
            format!(
                "`{}` could not be written: {error}",
                folders.request.display()
            )
        })?;
        let spec = launch::spec(self, cell, inputs, &folders)?;
        Ok((folders, spec))
    }

    async fn bring_checkpoint(&self, attempt: &Attempt, folder: &Path) -> Result<(), String> {
        match self.store.newest_checkpoint(&attempt.key, folder).await {
            Ok(found) => {
                for damaged in found.iter().flat_map(|checkpoint| &checkpoint.damaged) {
                    tracing::warn!(key = %attempt.key, damaged, "a checkpoint was passed over");
                }
                Ok(())
            }
            Err(error) => Err(format!("its checkpoint could not be read: {error}")),
        }
    }

    /// Runs the worker and passes on what it says.
    async fn work(
        &self,
        cell: &Cell,
        attempt: &Attempt,
        folders: &AttemptFolders,
        spec: WorkerSpec,
        messages: &mpsc::UnboundedSender<WorkerMessage>,
    ) -> Result<Worked, String> {
        let watcher = self.watcher().await?;
        let keeper = folders.checkpoint.as_ref().map(|folder| {
            let writer = format!("{}-{}-{}", self.run, attempt.cell.index(), attempt.number);
            CheckpointKeeper::start(
                self.store.clone(),
                attempt.key,
                writer,
                folder.clone(),
                self.checkpoint_interval,
            )
        });
        let mut metrics = IndexMap::new();
        let mut hear = |event: Event| {
            match &event {
                Event::Metric { name, value, .. } if value.is_finite() => {
                    metrics.insert(name.clone(), *value);
                }
                Event::Checkpoint { .. } => keeper.iter().for_each(CheckpointKeeper::announce),
                Event::Log { level, message } => note_in_log(&folders.log, *level, message),
                _ => {}
            }
            let _ = messages.send(WorkerMessage::Event(attempt.cell, event));
        };
        let (told, mut heard) = mpsc::unbounded_channel();
        let worker = run_worker(spec, self.stop.clone(), told, &watcher);
        tokio::pin!(worker);
        let mut log_put =
            tokio::time::interval_at(tokio::time::Instant::now() + LOG_INTERVAL, LOG_INTERVAL);
        let outcome = loop {
            tokio::select! {
                outcome = &mut worker => break outcome,
                Some(event) = heard.recv() => hear(event),
                _ = log_put.tick() => {
                    self.put_log(cell, &folders.log).await;
                }
            }
        };
        while let Ok(event) = heard.try_recv() {
            hear(event);
        }
        let mut lost_checkpoint = None;
        if let Some(keeper) = keeper {
            let left_in_order = matches!(outcome.exit, WorkerExit::Code(_) | WorkerExit::Stopped);
            lost_checkpoint = keeper
                .finish(if left_in_order {
                    LastCheckpoint::Keep
                } else {
                    LastCheckpoint::Drop
                })
                .await;
        }
        Ok(Worked {
            outcome,
            metrics,
            lost_checkpoint,
        })
    }

    /// Started with the first worker; a run of cached stages has none.
    async fn watcher(&self) -> Result<Watcher, String> {
        self.watcher
            .get_or_try_init(|| async { self.start_watcher() })
            .await
            .cloned()
            .map_err(|error| {
                format!(
                    "the watcher `{} watcher` could not be started: {error}",
                    self.program.display()
                )
            })
    }

    fn start_watcher(&self) -> io::Result<Watcher> {
        let watcher = Watcher::start(&self.program, &self.run.to_string())?;
        watcher.remove_at_end(self.work.path());
        Ok(watcher)
    }

    /// Why the log could not be kept.
    async fn put_log(&self, cell: &Cell, log: &Path) -> Option<String> {
        if !fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0) {
            return None;
        }
        let error = self
            .store
            .put_log(&self.run, &cell.label, log)
            .await
            .err()?;
        tracing::warn!(stage = %cell.label, %error, "the log could not be kept");
        Some(error.to_string())
    }

    async fn changed_input<'a>(&self, inputs: &'a [LaidInput]) -> Option<&'a str> {
        let mut changed = None;
        for input in inputs {
            if !self.copies.is_intact(&input.copy).await {
                changed = Some(input.port.as_str());
            }
        }
        changed
    }

    async fn store_result(
        &self,
        cell: &Cell,
        attempt: &Attempt,
        folders: &AttemptFolders,
        worked: &Worked,
    ) -> AttemptEnd {
        let outcome = &worked.outcome;
        let outputs = match outputs::collect(&self.store, &cell.outputs, &folders.outputs).await {
            Ok(outputs) => outputs,
            Err(error @ OutputError::NotStored { .. }) => {
                return AttemptEnd::NotStored(failure(error.to_string(), outcome, folders));
            }
            Err(error) => return AttemptEnd::Failed(failure(error.to_string(), outcome, folders)),
        };
        let result = StageResult {
            version: RESULT_VERSION,
            key: attempt.key,
            manifest: attempt.manifest.value().into(),
            outputs,
            metrics: worked.metrics.clone(),
            seconds: outcome.seconds,
            peak_memory_bytes: outcome.peak_memory_bytes,
            run: self.run,
            instruction_set: self.instruction_set.clone(),
        };
        let durability = if outcome.seconds > SYNC_AFTER_SECONDS {
            Durability::Sync
        } else {
            Durability::NoSync
        };
        let recorded = self.store.put_result(&result, durability).await;
        if recorded.is_ok()
            && folders.checkpoint.is_some()
            && let Err(error) = self.store.remove_checkpoints(&attempt.key).await
        {
            tracing::warn!(stage = %cell.label, %error, "checkpoints of a finished stage could not be removed");
        }
        AttemptEnd::Done {
            result: Arc::new(result),
            not_recorded: recorded.err().map(|error| error.to_string()),
        }
    }
}

/// On the attempt's own thread: the next stage runs already.
fn clear(folder: &Path) {
    if let Err(error) = remove_folder(folder) {
        tracing::debug!(%error, "a stage's folder could not be removed yet");
    }
}

/// The type that a plugin is told for an input: the port's, and for `any` what lies there.
pub(crate) fn told_type(cell: &Cell, input: &LaidInput) -> PortType {
    let inputs = &cell.plugin.manifest.inputs;
    let declared = inputs
        .get(&input.port)
        .or_else(|| inputs.get(supermoe_plugin::manifest::WILDCARD_PORT));
    match declared.map(|declared| declared.port_type) {
        Some(PortType::Any) | None => match input.copy.kind {
            supermoe_store::ArtifactKind::File => PortType::File,
            supermoe_store::ArtifactKind::Folder => PortType::Folder,
        },
        Some(port_type) => port_type,
    }
}
