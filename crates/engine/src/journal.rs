//! What a run leaves in the store: the workflow as resolved, its events in segments, its outcome.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use supermoe_plugin::ports::PortType;
use supermoe_store::{RunId, Store, StoreError};
use supermoe_workflow::{Cell, CellInput, Workflow};
use tokio::task::JoinHandle;

use crate::event::{CellName, RunEvent};
use crate::key_change::source_name;
use crate::machine::Machine;
use crate::selection::Role;
use crate::work_folder::ProcessMark;

const DOCUMENT_VERSION: u32 = 1;

/// `runs/<run>/workflow.json`. Secrets stand in it by name only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunDocument {
    pub version: u32,
    pub workflow: String,
    pub file: PathBuf,
    pub started: jiff::Timestamp,
    pub process: ProcessMark,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    pub params: Map<String, Value>,
    /// Cells that are selected, or that a selected one needs, in the order of the workflow.
    #[serde(skip_serializing)]
    pub stages: Vec<StageDocument<'static>>,
}

/// The whole document as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    head: Map<String, Value>,
    stages: WrittenStages<'a>,
}

/// Cells become text one by one: of ten thousand, no second copy stands in memory.
struct WrittenStages<'a> {
    workflow: &'a Workflow,
    names: &'a [CellName],
    roles: &'a [Role],
}

impl Serialize for WrittenStages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let with_a_part = self
            .workflow
            .cells
            .iter()
            .filter(|cell| self.roles[cell.id.index()] != Role::Outside);
        serializer.collect_seq(with_a_part.map(|cell| {
            StageDocument::new(self.workflow, cell, self.names[cell.id.index()].clone())
        }))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StageDocument<'a> {
    #[serde(flatten)]
    pub cell: CellName,
    pub plugin: Cow<'a, str>,
    #[serde(default)]
    pub params: Cow<'a, Map<String, Value>>,
    #[serde(default)]
    pub inputs: IndexMap<String, Vec<String>>,
    /// What its output ports hold.
    #[serde(default)]
    pub outputs: IndexMap<String, PortType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl RunDocument {
    /// What is said of the whole run; its stages are still to be added.
    pub(crate) fn head(workflow: &Workflow, started: jiff::Timestamp) -> RunDocument {
        RunDocument {
            version: DOCUMENT_VERSION,
            workflow: workflow.name.clone(),
            file: workflow.source.path().to_owned(),
            started,
            process: ProcessMark::own(),
            machine: None,
            params: workflow.params.clone(),
            stages: Vec::new(),
        }
    }

    /// The whole document as JSON text.
    fn text(
        &self,
        workflow: &Workflow,
        names: &[CellName],
        roles: &[Role],
    ) -> Result<Vec<u8>, serde_json::Error> {
        let written = Written {
            // A file whose name is no text leaves a document that cannot be read back, and a run.
            head: match serde_json::to_value(self) {
                Ok(Value::Object(head)) => head,
                _ => Map::new(),
            },
            stages: WrittenStages {
                workflow,
                names,
                roles,
            },
        };
        let mut text = serde_json::to_vec(&written)?;
        text.push(b'\n');
        Ok(text)
    }
}

impl<'a> StageDocument<'a> {
    fn new(workflow: &Workflow, cell: &'a Cell, name: CellName) -> StageDocument<'a> {
        StageDocument {
            cell: name,
            plugin: Cow::Borrowed(&cell.plugin.manifest.name),
            params: Cow::Borrowed(&cell.explicit_params),
            inputs: input_sources(workflow, cell),
            outputs: output_types(cell),
            needs: cell
                .needs
                .iter()
                .map(|needed| workflow.cell(*needed).label.to_string())
                .collect(),
            env: cell.env.clone(),
            secrets: cell.secrets.clone(),
        }
    }
}

fn output_types(cell: &Cell) -> IndexMap<String, PortType> {
    let outputs = cell.outputs.iter();
    outputs
        .map(|(port, output)| (port.clone(), output.port_type))
        .collect()
}

/// Where a cell's inputs come from, by port: `prepare.dataset`, a path.
fn input_sources(workflow: &Workflow, cell: &Cell) -> IndexMap<String, Vec<String>> {
    let sources = |inputs: &Vec<CellInput>| {
        inputs
            .iter()
            .map(|input| source_name(workflow, &input.source))
            .collect()
    };
    cell.inputs
        .iter()
        .map(|(port, inputs)| (port.clone(), sources(inputs)))
        .collect()
}

/// Writes events as they come, a segment at a time, beside the run.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Store,
    run: RunId,
    pending: Vec<u8>,
    next_segment: u64,
    /// Until the document is written.
    opening: Option<JoinHandle<Result<(), StoreError>>>,
    writing: Option<JoinHandle<Result<(), StoreError>>>,
    failure: Option<String>,
}

fn not_opened(store: &Store, run: RunId, cause: String) -> StoreError {
    StoreError::Failed {
        store: store.url().to_string(),
        object: format!("the workflow of run {run}"),
        cause,
    }
}

impl Journal {
    /// Begins to write the document: the first thing that a run writes, and the proof that it can.
    /// Nothing may be started before [`Journal::open`] has said so.
    pub(crate) fn begin(
        store: &Store,
        run: RunId,
        head: &RunDocument,
        workflow: &Arc<Workflow>,
        names: &Arc<[CellName]>,
        roles: &Arc<[Role]>,
    ) -> Journal {
        let (mut head, workflow) = (head.clone(), Arc::clone(workflow));
        let (names, roles) = (Arc::clone(names), Arc::clone(roles));
        let text = tokio::task::spawn_blocking(move || {
            head.machine = Some(Machine::this());
            head.text(&workflow, &names, &roles)
        });
        let to = store.clone();
        let opening = tokio::spawn(async move {
            let text = match text.await {
                Ok(text) => text.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let text = text.map_err(|cause| not_opened(&to, run, cause))?;
            to.create_run_from_text(&run, text.into()).await
        });
        Journal {
            store: store.clone(),
            run,
            pending: Vec::new(),
            next_segment: 0,
            opening: Some(opening),
            writing: None,
            failure: None,
        }
    }

    /// Waits until the document is written.
    pub(crate) async fn open(&mut self) -> Result<(), StoreError> {
        match self.opening.take() {
            None => Ok(()),
            Some(opening) => match opening.await {
                Ok(opened) => opened,
                Err(error) => Err(not_opened(&self.store, self.run, error.to_string())),
            },
        }
    }

    /// Progress is for the moment; everything else is kept.
    pub(crate) fn record(&mut self, event: &RunEvent) {
        if matches!(event, RunEvent::StageProgress { .. }) {
            return;
        }
        let length = self.pending.len();
        match serde_json::to_writer(&mut self.pending, event) {
            Ok(()) => self.pending.push(b'\n'),
            Err(error) => {
                self.pending.truncate(length);
                self.failure = Some(error.to_string());
            }
        }
    }

    /// Starts to write what is pending, unless a segment is still being written.
    pub(crate) fn write_beside(&mut self) {
        if self.pending.is_empty()
            || self
                .writing
                .as_ref()
                .is_some_and(|writing| !writing.is_finished())
        {
            return;
        }
        // Whatever the segment before it came to is asked for in `settle`.
        let before = self.writing.take();
        let (store, run, segment) = (self.store.clone(), self.run, self.next_segment);
        let bytes = Bytes::from(std::mem::take(&mut self.pending));
        self.next_segment += 1;
        self.writing = Some(tokio::spawn(async move {
            if let Some(before) = before {
                before.await.unwrap_or(Ok(()))?;
            }
            store.append_events(&run, segment, bytes).await
        }));
    }

    /// Waits until all that was recorded is written.
    pub(crate) async fn settle(&mut self) -> Result<(), String> {
        if let Some(writing) = self.writing.take() {
            match writing.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.failure = Some(error.to_string()),
                Err(error) => self.failure = Some(error.to_string()),
            }
        }
        if !self.pending.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.pending));
            let written = self
                .store
                .append_events(&self.run, self.next_segment, bytes)
                .await;
            self.next_segment += 1;
            if let Err(error) = written {
                self.failure = Some(error.to_string());
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Writes the last event and the outcome.
    pub(crate) async fn finish(&mut self, finished: &RunEvent) -> Result<(), String> {
        self.record(finished);
        self.settle().await?;
        let outcome = serde_json::to_value(finished).map_err(|error| error.to_string())?;
        self.store
            .finish_run(&self.run, &outcome)
            .await
            .map_err(|error| error.to_string())
    }
}
