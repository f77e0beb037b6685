//! What a run leaves in the store: the workflow as resolved, its events in segments, its outcome.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use supermoe_store::{RunId, Store, StoreError};
use supermoe_workflow::Workflow;
use tokio::task::JoinHandle;

use crate::event::{CellName, RunEvent};
use crate::key_change::source_name;
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
    pub params: Map<String, Value>,
    /// Selected cells in the order of the workflow.
    pub stages: Vec<StageDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StageDocument {
    #[serde(flatten)]
    pub cell: CellName,
    pub plugin: String,
    #[serde(default)]
    pub params: Map<String, Value>,
    #[serde(default)]
    pub inputs: IndexMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl RunDocument {
    pub(crate) fn new(
        workflow: &Workflow,
        names: &[CellName],
        roles: &[Role],
        started: jiff::Timestamp,
    ) -> RunDocument {
        let stages = workflow
            .cells
            .iter()
            .filter(|cell| roles[cell.id.index()].is_selected())
            .map(|cell| StageDocument {
                cell: names[cell.id.index()].clone(),
                plugin: cell.plugin.manifest.name.clone(),
                params: cell.explicit_params.clone(),
                inputs: cell
                    .inputs
                    .iter()
                    .map(|(port, inputs)| {
                        (
                            port.clone(),
                            inputs
                                .iter()
                                .map(|input| source_name(workflow, &input.source))
                                .collect(),
                        )
                    })
                    .collect(),
                needs: cell
                    .needs
                    .iter()
                    .map(|needed| workflow.cell(*needed).label.to_string())
                    .collect(),
                env: cell.env.clone(),
                secrets: cell.secrets.clone(),
            })
            .collect();
        RunDocument {
            version: DOCUMENT_VERSION,
            workflow: workflow.name.clone(),
            file: workflow.source.path().to_owned(),
            started,
            process: ProcessMark::own(),
            params: workflow.params.clone(),
            stages,
        }
    }
}

/// Writes events as they come, a segment at a time, beside the run.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Store,
    run: RunId,
    pending: Vec<u8>,
    next_segment: u64,
    writing: Option<JoinHandle<Result<(), StoreError>>>,
    failure: Option<String>,
}

impl Journal {
    /// Writes the document: the first thing that a run writes, and the proof that it can.
    pub(crate) async fn create(
        store: &Store,
        run: RunId,
        document: &RunDocument,
    ) -> Result<Journal, StoreError> {
        let document = serde_json::to_value(document).unwrap_or(Value::Null);
        store.create_run(&run, &document).await?;
        Ok(Journal {
            store: store.clone(),
            run,
            pending: Vec::new(),
            next_segment: 0,
            writing: None,
            failure: None,
        })
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
