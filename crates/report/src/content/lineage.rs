//! Stages of a run: what each was made from, by digest, and what it gave.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};
use supermoe_engine::{RunRecord, StageRecord, StageState};
use supermoe_plugin::ports::PortType;
use supermoe_store::{Digest, StageKey};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportedStage {
    pub stage: String,
    /// `finetune[model=ple,seed=1]`
    pub cell: String,
    pub matrix: IndexMap<String, Value>,
    pub plugin: String,
    /// The plugin's revision, or the digest of its code; none where its result could not be read.
    pub revision: Option<String>,
    pub state: StageState,
    /// Why it ran, or did not.
    pub reason: Option<String>,
    pub error: Option<String>,
    pub log_tail: Vec<String>,
    /// Wall time; of a cached stage, when it ran.
    pub seconds: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    pub sequences_per_second: Option<f64>,
    pub tokens_per_second: Option<f64>,
    pub key: Option<StageKey>,
    /// As resolved, without what equals a default.
    pub params: Map<String, Value>,
    pub inputs: IndexMap<String, Vec<ReportedInput>>,
    pub outputs: IndexMap<String, ReportedOutput>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportedInput {
    /// `prepare.dataset`, or the name of a file from outside.
    pub source: String,
    /// The stage that it comes from; none from outside.
    pub stage: Option<String>,
    pub digest: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportedOutput {
    #[serde(rename = "type")]
    pub port_type: Option<PortType>,
    pub digest: Digest,
}

/// Of a port that takes very many artifacts, so many are named.
const MOST_SOURCES: usize = 64;

/// Finds what the sources of inputs are.
pub(crate) struct Sources<'a> {
    cells: HashMap<&'a str, &'a StageRecord>,
    record: &'a RunRecord,
}

impl<'a> Sources<'a> {
    pub(crate) fn of(record: &'a RunRecord) -> Sources<'a> {
        let cells = record.stages.iter().map(|stage| (&*stage.label, stage));
        Sources {
            cells: cells.collect(),
            record,
        }
    }

    fn find(&self, source: &str) -> ReportedInput {
        let upstream = source
            .rsplit_once('.')
            .and_then(|(cell, port)| Some((*self.cells.get(cell)?, port)));
        match upstream {
            Some((stage, port)) => ReportedInput {
                source: source.to_owned(),
                stage: Some(stage.name.to_string()),
                digest: stage.outputs.get(port).copied(),
            },
            None => ReportedInput {
                source: file_name(source),
                stage: None,
                digest: self
                    .record
                    .inputs
                    .get(std::path::Path::new(source))
                    .copied(),
            },
        }
    }

    pub(crate) fn stage(&self, stage: &StageRecord, revision: Option<String>) -> ReportedStage {
        let inputs = stage.inputs.iter().map(|(port, sources)| {
            let found = sources.iter().take(MOST_SOURCES);
            (
                port.clone(),
                found.map(|source| self.find(source)).collect(),
            )
        });
        let outputs = stage.outputs.iter().map(|(port, digest)| {
            let output = ReportedOutput {
                port_type: stage.output_types.get(port).copied(),
                digest: *digest,
            };
            (port.clone(), output)
        });
        let metric = |name: &str| stage.metrics.get(name).copied();
        ReportedStage {
            stage: stage.name.to_string(),
            cell: stage.label.to_string(),
            matrix: (*stage.matrix).clone(),
            plugin: stage.plugin.clone(),
            revision,
            state: stage.state,
            reason: stage.reason.as_ref().map(ToString::to_string),
            error: stage.error.as_ref().map(|error| match error.attempts {
                0 | 1 => error.message.clone(),
                attempts => format!("{} ({attempts} attempts)", error.message),
            }),
            log_tail: stage
                .error
                .as_ref()
                .map(|error| error.log_tail.clone())
                .unwrap_or_default(),
            seconds: stage.seconds,
            peak_memory_bytes: stage.peak_memory_bytes,
            sequences_per_second: metric("sequences_per_second"),
            tokens_per_second: metric("tokens_per_second"),
            key: stage.key,
            params: stage.params.clone(),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
        }
    }
}

/// Where a file lies says nothing to others, and is not theirs to know.
fn file_name(path: &str) -> String {
    let name = path.trim_end_matches('/').rsplit('/').next();
    name.unwrap_or(path).to_owned()
}
