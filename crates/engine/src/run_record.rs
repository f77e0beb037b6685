//! A run as its journal tells it: what `show`, `diff` and the tables need.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use supermoe_plugin::ports::PortType;
use supermoe_store::{Digest, RunId, StageKey, Store, StoreError};

use crate::event::{
    CellName, Counts, NotStored, Outcome, RunEvent, SkipCause, StageFailure, StageState,
};
use crate::journal::{RunDocument, StageDocument};
use crate::machine::Machine;
use crate::rerun_reason::RerunReason;

/// In JSON, the document of `show RUN --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRecord {
    pub run: RunId,
    pub workflow: String,
    /// The workflow's file as the user named it.
    pub file: PathBuf,
    pub outcome: Outcome,
    pub started: jiff::Timestamp,
    /// None while it runs, and where it died.
    pub seconds: Option<f64>,
    pub counts: Counts,
    /// Stages that ended, every cell one, in the order of the workflow.
    pub stages: Vec<StageRecord>,
    /// Cells that run at this moment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<String>,
    /// Computed and not kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_stored: Vec<NotStored>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_published: Vec<String>,
    /// Files and folders from outside, with their digests.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<PathBuf, Digest>,
    /// The workflow's params after overrides.
    #[serde(skip)]
    pub params: Map<String, Value>,
    /// What it ran on; none where an older program wrote the journal.
    #[serde(skip)]
    pub machine: Option<Machine>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageRecord {
    pub name: Arc<str>,
    pub matrix: Arc<IndexMap<String, Value>>,
    /// The cell as the workflow spells it: `finetune[model=ple,seed=1]`.
    pub label: Arc<str>,
    pub state: StageState,
    /// Why it ran, or did not.
    pub reason: Option<StageReason>,
    pub key: Option<StageKey>,
    /// Of the attempt that ended it; of a cached stage, how long it took when it ran.
    pub seconds: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    pub metrics: IndexMap<String, f64>,
    pub outputs: IndexMap<String, Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StageFailure>,
    /// `with` as written, without what equals a default.
    #[serde(skip)]
    pub params: Map<String, Value>,
    /// Sources of inputs by port: `prepare.dataset`, `./data/2010.parquet`.
    #[serde(skip)]
    pub inputs: IndexMap<String, Vec<String>>,
    #[serde(skip)]
    pub plugin: String,
    /// What its output ports hold, those that were left unwritten too.
    #[serde(skip)]
    pub output_types: IndexMap<String, PortType>,
}

/// In JSON `{"kind", ...}`, whichever it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StageReason {
    Ran(RerunReason),
    Skipped(SkipCause),
}

impl std::fmt::Display for StageReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StageReason::Ran(reason) => reason.fmt(f),
            StageReason::Skipped(cause) => cause.fmt(f),
        }
    }
}

/// Why a run cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("there is no run {run} in {store}")]
    NoSuchRun { run: RunId, store: String },
    #[error("run {run} in {store} is damaged: {what}")]
    Damaged {
        run: RunId,
        store: String,
        what: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StageRecord {
    pub fn cell(&self) -> CellName {
        CellName {
            stage: self.name.clone(),
            matrix: self.matrix.clone(),
            label: self.label.clone(),
        }
    }

    /// From an event by which a stage ends; none from others.
    pub(crate) fn from_event(event: RunEvent) -> Option<StageRecord> {
        match event {
            RunEvent::StageCached {
                cell,
                key,
                seconds,
                outputs,
                metrics,
            } => Some(StageRecord {
                seconds: Some(seconds),
                key: Some(key),
                outputs,
                metrics,
                ..StageRecord::blank(cell, StageState::Cached)
            }),
            RunEvent::StageFinished {
                cell,
                state,
                reason,
                skipped,
                key,
                seconds,
                peak_memory_bytes,
                outputs,
                metrics,
                error,
                at: _,
            } => Some(StageRecord {
                reason: reason
                    .map(StageReason::Ran)
                    .or(skipped.map(StageReason::Skipped)),
                key,
                seconds,
                peak_memory_bytes,
                outputs,
                metrics,
                error,
                ..StageRecord::blank(cell, state)
            }),
            _ => None,
        }
    }

    fn blank(cell: CellName, state: StageState) -> StageRecord {
        let label = match &*cell.label {
            "" => Arc::from(cell.json_spelling()),
            _ => cell.label,
        };
        StageRecord {
            name: cell.stage,
            matrix: cell.matrix,
            label,
            state,
            reason: None,
            key: None,
            seconds: None,
            peak_memory_bytes: None,
            metrics: IndexMap::new(),
            outputs: IndexMap::new(),
            error: None,
            params: Map::new(),
            inputs: IndexMap::new(),
            plugin: String::new(),
            output_types: IndexMap::new(),
        }
    }
}

impl RunRecord {
    /// Reads a run's journal. A run without an outcome is `running` while its process lives on
    /// this machine, and `interrupted` otherwise.
    pub async fn read(store: &Store, run: RunId) -> Result<RunRecord, RecordError> {
        let damaged = |what: String| RecordError::Damaged {
            run,
            store: store.url().to_string(),
            what,
        };
        let Some(document) = store.run_document(&run).await? else {
            return Err(RecordError::NoSuchRun {
                run,
                store: store.url().to_string(),
            });
        };
        let document: RunDocument =
            serde_json::from_value(document).map_err(|error| damaged(error.to_string()))?;
        let events = store.run_events(&run).await?;
        let outcome = store.run_outcome(&run).await?;
        let mut record = RunRecord::begin(run, &document);
        let mut told = Telling::new(document.stages);
        for line in events
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(event) => told.hear(event, &mut record),
                Err(error) => tracing::warn!(%run, %error, "a line of the journal cannot be read"),
            }
        }
        if let Some(outcome) = outcome {
            let finished =
                serde_json::from_value(outcome).map_err(|error| damaged(error.to_string()))?;
            record.finish(finished);
        } else if document.process.is_alive_here() {
            record.outcome = Outcome::Running;
        }
        told.end(&mut record);
        Ok(record)
    }

    pub(crate) fn begin(run: RunId, document: &RunDocument) -> RunRecord {
        RunRecord {
            run,
            workflow: document.workflow.clone(),
            file: document.file.clone(),
            outcome: Outcome::Interrupted,
            started: document.started,
            seconds: None,
            counts: Counts::default(),
            stages: Vec::new(),
            running: Vec::new(),
            not_stored: Vec::new(),
            published: Vec::new(),
            not_published: Vec::new(),
            inputs: IndexMap::new(),
            params: document.params.clone(),
            machine: document.machine.clone(),
        }
    }

    /// Takes over what the last event says; others say nothing here.
    pub(crate) fn finish(&mut self, event: RunEvent) {
        if let RunEvent::RunFinished {
            outcome,
            seconds,
            not_stored,
            published,
            not_published,
            ..
        } = event
        {
            self.outcome = outcome;
            self.seconds = Some(seconds);
            self.not_stored = not_stored;
            self.published = published;
            self.not_published = not_published;
        }
    }

    /// The stage's cell of that name: `prepare`, `finetune[model=ple,seed=1]`.
    pub fn stage(&self, label: &str) -> Option<&StageRecord> {
        self.stages.iter().find(|stage| *stage.label == *label)
    }

    /// All stages that ended in one state.
    pub fn in_state(&self, state: StageState) -> impl Iterator<Item = &StageRecord> {
        self.stages.iter().filter(move |stage| stage.state == state)
    }
}

/// Puts events together to stages, in the order of the workflow.
struct Telling {
    places: HashMap<String, usize>,
    documents: Vec<StageDocument<'static>>,
    ended: Vec<Option<StageRecord>>,
    started: Vec<Option<(CellName, StageKey, RerunReason)>>,
}

impl Telling {
    fn new(documents: Vec<StageDocument<'static>>) -> Telling {
        let places = documents
            .iter()
            .enumerate()
            .map(|(place, stage)| (stage.cell.to_string(), place))
            .collect();
        let (mut ended, mut started) = (Vec::new(), Vec::new());
        ended.resize_with(documents.len(), || None);
        started.resize_with(documents.len(), || None);
        Telling {
            places,
            documents,
            ended,
            started,
        }
    }

    fn hear(&mut self, event: RunEvent, record: &mut RunRecord) {
        match event {
            RunEvent::StageStarted {
                cell, key, reason, ..
            } => {
                if let Some(place) = self.places.get(&cell.to_string()) {
                    self.started[*place] = Some((cell, key, reason));
                }
            }
            RunEvent::InputRead { path, digest } => {
                record.inputs.insert(path, digest);
            }
            RunEvent::RunFinished { .. } => record.finish(event),
            event => {
                let Some(stage) = StageRecord::from_event(event) else {
                    return;
                };
                if let Some(place) = self.places.get(&stage.cell().to_string()) {
                    self.started[*place] = None;
                    self.ended[*place] = Some(stage);
                }
            }
        }
    }

    /// What had started and never ended runs now, or died with its run.
    fn end(mut self, record: &mut RunRecord) {
        for (place, started) in self.started.iter_mut().enumerate() {
            let Some((cell, key, reason)) = started.take() else {
                continue;
            };
            if record.outcome == Outcome::Running {
                record.running.push(cell.to_string());
                continue;
            }
            let mut stage = StageRecord::blank(cell, StageState::Cancelled);
            stage.key = Some(key);
            stage.reason = Some(StageReason::Ran(reason));
            self.ended[place] = Some(stage);
        }
        for (stage, document) in self.ended.into_iter().zip(self.documents) {
            let Some(mut stage) = stage else { continue };
            record.counts.add(stage.state);
            stage.params = document.params.into_owned();
            stage.inputs = document.inputs;
            stage.plugin = document.plugin.into_owned();
            stage.output_types = document.outputs;
            record.stages.push(stage);
        }
    }
}
