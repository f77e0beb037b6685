//! The evaluations of a run, each with the stages whose outputs it measured.

use std::collections::HashMap;

use supermoe_engine::{RunRecord, StageRecord};
use supermoe_plugin::matrix_text::matrix_text;
use supermoe_store::{RunId, StageKey, Store};

use crate::content::{EvaluatedCell, Evaluation, Found, Problem, read_evaluations};

/// What a run evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedRun {
    pub run: RunId,
    pub evaluations: Vec<SourcedEvaluation>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SourcedEvaluation {
    pub found: Found<Evaluation>,
    /// By cell of the evaluation: the stage whose output it is, where the journal tells.
    pub stages: Vec<Option<EvaluatedStage>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedStage {
    pub name: String,
    /// Of the one result that was measured; none where several might be meant.
    pub key: Option<StageKey>,
}

impl EvaluatedRun {
    /// Reads every evaluation that a run's journal names.
    ///
    /// # Errors
    /// Those that are missing, damaged or of another form.
    pub async fn read(store: &Store, record: &RunRecord) -> Result<EvaluatedRun, Vec<Problem>> {
        let found = read_evaluations(store, record).await?;
        let sources = Sources::of(record);
        let evaluations = found.into_iter().map(|found| SourcedEvaluation {
            stages: sources.of_cells(&found),
            found,
        });
        Ok(EvaluatedRun {
            run: record.run,
            evaluations: evaluations.collect(),
        })
    }
}

/// The stages of a run by their cells' names.
struct Sources<'a>(HashMap<&'a str, &'a StageRecord>);

impl Sources<'_> {
    fn of(record: &RunRecord) -> Sources<'_> {
        let stages = record.stages.iter();
        Sources(stages.map(|stage| (&*stage.label, stage)).collect())
    }

    fn of_cells(&self, found: &Found<Evaluation>) -> Vec<Option<EvaluatedStage>> {
        let cells = &found.content.cells;
        let key = |cell: &EvaluatedCell| (port_of(cell), matrix_text(&cell.matrix));
        let mut inputs: HashMap<(&str, String), Vec<&StageRecord>> = HashMap::new();
        for port in ["predictions", "embeddings"] {
            for stage in self.inputs(&found.cell, port) {
                let key = (port, matrix_text(&stage.matrix));
                inputs.entry(key).or_default().push(stage);
            }
        }
        let mut counts: HashMap<(&str, String), usize> = HashMap::new();
        for cell in cells {
            *counts.entry(key(cell)).or_default() += 1;
        }
        let mut taken: HashMap<(&str, String), usize> = HashMap::new();
        let stages = cells.iter().map(|cell| {
            let key = key(cell);
            let stages = inputs.get(&key)?;
            let place = taken.entry(key.clone()).or_default();
            *place += 1;
            // Where an evaluation left inputs out, places say nothing.
            let is_told = counts.get(&key) == Some(&stages.len());
            let stage = match is_told {
                true => stages.get(*place - 1)?,
                false => stages.first()?,
            };
            let same = stages.iter().all(|other| other.name == stage.name);
            (is_told || same).then(|| EvaluatedStage {
                name: stage.name.to_string(),
                key: stage.key.filter(|_| is_told),
            })
        });
        stages.collect()
    }

    /// The cells that a port of `evaluation` reads, in its order.
    fn inputs(&self, evaluation: &str, port: &str) -> Vec<&StageRecord> {
        let stage = self.0.get(evaluation);
        let sources = stage.and_then(|stage| stage.inputs.get(port));
        let sources = sources.into_iter().flatten();
        sources
            .filter_map(|source| self.0.get(source.rsplit_once('.')?.0).copied())
            .collect()
    }
}

fn port_of(cell: &EvaluatedCell) -> &'static str {
    match cell.is_probe() {
        true => "embeddings",
        false => "predictions",
    }
}
