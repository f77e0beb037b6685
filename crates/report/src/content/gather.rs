//! Reads what a report needs from the store. Whatever is missing or damaged becomes a problem that
//! the report tells; the rest stands.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use supermoe_engine::{RunRecord, StageRecord, StageState};
use supermoe_plugin::ports::PortType;
use supermoe_store::{Digest, Store};

use crate::content::lineage::Sources;
use crate::content::{
    Evaluation, Found, LeftOut, Problem, REPORT_VERSION, Report, RunFacts, Training,
};
use crate::metric_table::metric_tables;

/// So many of each are read.
const MOST_EVALUATIONS: usize = 24;
const MOST_STREAMS: usize = 48;
/// Once so many series were read, further streams are left out.
const MOST_SERIES: usize = 8000;
const MOST_DATASETS: usize = 8;
/// Stages with all that is known of them, and of those, results that are looked up.
const MOST_STAGES: usize = 2000;
const MOST_RESULTS: usize = 400;
/// Cells in a table of metrics.
const MOST_METRIC_ROWS: usize = 200;
/// A file that is read whole.
const LARGEST_FILE_BYTES: u64 = 64 * 1024 * 1024;
const RESULTS_AT_ONCE: usize = 16;

/// The file of an evaluation within its artifact.
const EVALUATION_FILE: &str = "report.json";

/// What a trainer calls its metric stream; its type is that of any file.
const HISTORY_PORT: &str = "history";

/// Whether a run gave what a report is looked at for: an evaluation.
pub fn has_results(record: &RunRecord) -> bool {
    record
        .stages
        .iter()
        .any(|stage| ports_of(stage, PortType::Report).next().is_some())
}

/// Reads every evaluation of a run, in the order of the workflow.
///
/// # Errors
/// Those that are missing, damaged or of another form.
pub async fn read_evaluations(
    store: &Store,
    record: &RunRecord,
) -> Result<Vec<Found<Evaluation>>, Vec<Problem>> {
    let (mut evaluations, mut problems) = (Vec::new(), Vec::new());
    for place in all_places(record, PortType::Report) {
        match place.json(store, EVALUATION_FILE).await {
            Ok(found) => evaluations.push(found),
            Err(problem) => problems.push(problem),
        }
    }
    match problems.is_empty() {
        true => Ok(evaluations),
        false => Err(problems),
    }
}

/// Reads a run's journal and the artifacts that it names.
pub async fn gather(store: &Store, record: &RunRecord) -> Report {
    let mut report = Report {
        version: REPORT_VERSION,
        run: facts(record),
        evaluations: Vec::new(),
        metrics: Vec::new(),
        training: Vec::new(),
        data: Vec::new(),
        params: record.params.clone(),
        stages: Vec::new(),
        machine: record.machine.clone(),
        problems: Vec::new(),
        left_out: Vec::new(),
    };
    for place in places(record, PortType::Report, MOST_EVALUATIONS, &mut report) {
        match place.json(store, EVALUATION_FILE).await {
            Ok(found) => report.evaluations.push(found),
            Err(problem) => report.problems.push(problem),
        }
    }
    let streams = places(record, PortType::File, MOST_STREAMS, &mut report);
    let (all, mut read, mut series) = (streams.len(), 0, 0);
    for place in streams {
        if series > MOST_SERIES {
            continue;
        }
        read += 1;
        if let Some(found) = place.stream(store, &mut report).await {
            series += found.content.series.len();
            report.training.push(found);
        }
    }
    report.leave_out("metric streams of very many metrics", read, all);
    for place in places(record, PortType::Dataset, MOST_DATASETS, &mut report) {
        match place.json(store, "card.json").await {
            Ok(found) => report.data.push(found),
            Err(problem) => report.problems.push(problem),
        }
    }
    metrics(record, &mut report);
    stages(store, record, &mut report).await;
    report
}

fn facts(record: &RunRecord) -> RunFacts {
    let not_stored = record
        .not_stored
        .iter()
        .map(|lost| format!("{}: {}", lost.what, lost.why));
    RunFacts {
        id: record.run,
        workflow: record.workflow.clone(),
        file: record.file.clone(),
        outcome: record.outcome,
        started: record.started,
        seconds: record.seconds,
        counts: record.counts,
        not_stored: not_stored
            .chain(record.not_published.iter().cloned())
            .collect(),
    }
}

/// The ports of a stage that hold something of a type.
fn ports_of(stage: &StageRecord, wanted: PortType) -> impl Iterator<Item = (&str, Digest)> {
    stage
        .outputs
        .iter()
        .filter(move |(port, _)| {
            stage.output_types.get(*port) == Some(&wanted)
                && (wanted != PortType::File || *port == HISTORY_PORT)
        })
        .map(|(port, digest)| (port.as_str(), *digest))
}

/// Each artifact of a type once, up to `most`.
fn places(record: &RunRecord, wanted: PortType, most: usize, report: &mut Report) -> Vec<Place> {
    let mut places = all_places(record, wanted);
    let what = match wanted {
        PortType::Report => "evaluations",
        PortType::Dataset => "data cards",
        _ => "metric streams",
    };
    report.leave_out(what, places.len().min(most), places.len());
    places.truncate(most);
    places
}

fn all_places(record: &RunRecord, wanted: PortType) -> Vec<Place> {
    let mut seen = HashSet::new();
    let mut places = Vec::new();
    for stage in &record.stages {
        for (port, digest) in ports_of(stage, wanted) {
            if seen.insert(digest) {
                places.push(Place {
                    stage: stage.name.to_string(),
                    cell: stage.label.to_string(),
                    matrix: (*stage.matrix).clone(),
                    port: port.to_owned(),
                    digest,
                });
            }
        }
    }
    places
}

impl Report {
    fn leave_out(&mut self, what: &str, shown: usize, of: usize) {
        if shown < of {
            self.left_out.push(LeftOut {
                what: what.to_owned(),
                shown,
                of,
            });
        }
    }
}

/// An output of a cell.
struct Place {
    stage: String,
    cell: String,
    matrix: IndexMap<String, Value>,
    port: String,
    digest: Digest,
}

impl Place {
    async fn json<T: DeserializeOwned>(
        self,
        store: &Store,
        file: &str,
    ) -> Result<Found<T>, Problem> {
        let bytes = match self.bytes(store, file).await {
            Ok(bytes) => bytes,
            Err(why) => return Err(self.problem(why)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(content) => Ok(self.found(content)),
            Err(error) => Err(self.problem(format!("its {file} cannot be read: {error}"))),
        }
    }

    async fn stream(self, store: &Store, report: &mut Report) -> Option<Found<Training>> {
        let text = match self.bytes(store, "").await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(why) => {
                report.problems.push(self.problem(why));
                return None;
            }
        };
        let (training, problem) = Training::read(&text);
        if let Some(why) = problem {
            report.problems.push(self.problem(why));
        }
        Some(self.found(training))
    }

    async fn bytes(&self, store: &Store, file: &str) -> Result<bytes::Bytes, String> {
        let read = store
            .read_file(&self.digest, file, LARGEST_FILE_BYTES)
            .await;
        match read {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(format!("it has no {file}")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn problem(&self, why: String) -> Problem {
        Problem {
            what: format!("{}.{}", self.cell, self.port),
            why,
        }
    }

    fn found<T>(self, content: T) -> Found<T> {
        Found {
            cell: self.cell,
            stage: self.stage,
            matrix: self.matrix,
            port: self.port,
            digest: self.digest,
            content,
        }
    }
}

fn metrics(record: &RunRecord, report: &mut Report) {
    report.metrics = metric_tables(record);
    let rows = report.metrics.iter().map(|table| table.rows.len()).max();
    let rows = rows.unwrap_or(0);
    report.leave_out("rows of metrics", rows.min(MOST_METRIC_ROWS), rows);
    for table in &mut report.metrics {
        table.rows.truncate(MOST_METRIC_ROWS);
    }
}

async fn stages(store: &Store, record: &RunRecord, report: &mut Report) {
    let mut chosen: Vec<(usize, &StageRecord)> = record.stages.iter().enumerate().collect();
    if chosen.len() > MOST_STAGES {
        chosen.sort_by_key(|(place, stage)| (urgency(stage.state), *place));
        chosen.truncate(MOST_STAGES);
        chosen.sort_by_key(|(place, _)| *place);
    }
    report.leave_out("stages", chosen.len(), record.stages.len());
    let revisions: Vec<Option<String>> = stream::iter(chosen.iter().take(MOST_RESULTS))
        .map(|(_, stage)| revision(store, stage))
        .buffered(RESULTS_AT_ONCE)
        .collect()
        .await;
    let sources = Sources::of(record);
    report.stages = chosen
        .iter()
        .enumerate()
        .map(|(place, (_, stage))| {
            let revision = revisions.get(place).cloned().flatten();
            sources.stage(stage, revision)
        })
        .collect();
}

fn urgency(state: StageState) -> u8 {
    match state {
        StageState::Failed => 0,
        StageState::Cancelled => 1,
        StageState::Ran => 2,
        StageState::Cached => 3,
        StageState::Skipped => 4,
    }
}

/// From the manifest that is kept with the result.
async fn revision(store: &Store, stage: &StageRecord) -> Option<String> {
    let result = store.result(&stage.key?).await.ok().flatten()?;
    let manifest = result.manifest.value();
    let revision = manifest["plugin"]["revision"].as_str()?;
    Some(match manifest["variant"]["revision"].as_str() {
        Some(variant) => format!("{revision}, {variant}"),
        None => revision.to_owned(),
    })
}
