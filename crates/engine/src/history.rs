//! What earlier runs tell of this one: the newest result of each stage, and how long is left.

use std::collections::HashMap;
use std::sync::Arc;

use supermoe_store::{StageResult, Store};
use supermoe_workflow::{CellId, Workflow};

use crate::cell_key::identity;
use crate::graph::Graph;

/// Stands for the time of a stage of which nothing is known.
const UNKNOWN_SECONDS: f64 = 1.0;

#[derive(Debug)]
pub(crate) struct History {
    nearest: HashMap<CellId, Arc<StageResult>>,
    /// By cell: seconds from its start to the end of the longest path that begins with it.
    remaining: Vec<f64>,
}

impl History {
    /// Reads the newest results of `open`: the cells that may still run.
    pub(crate) async fn read(
        workflow: &Workflow,
        graph: &Graph,
        store: &Store,
        open: &[CellId],
    ) -> History {
        let identities: Vec<String> = open
            .iter()
            .map(|cell| identity(workflow, workflow.cell(*cell)))
            .collect();
        let found = store.nearest_results(&identities).await;
        let nearest: HashMap<CellId, Arc<StageResult>> = open
            .iter()
            .zip(found)
            .filter_map(|(cell, result)| Some((*cell, result?)))
            .collect();
        let seconds = expected_seconds(workflow, open, &nearest);
        History {
            remaining: graph.remaining_path(&seconds),
            nearest,
        }
    }

    pub(crate) fn nearest(&self, cell: CellId) -> Option<&Arc<StageResult>> {
        self.nearest.get(&cell)
    }

    pub(crate) fn expected_seconds(&self, cell: CellId) -> Option<f64> {
        self.nearest(cell).map(|result| result.seconds)
    }

    pub(crate) fn remaining_seconds(&self, cell: CellId) -> f64 {
        self.remaining[cell.index()]
    }
}

/// By cell: its own last time, else the mean of its stage's other cells, else one second; nothing
/// for cells that have ended.
fn expected_seconds(
    workflow: &Workflow,
    open: &[CellId],
    nearest: &HashMap<CellId, Arc<StageResult>>,
) -> Vec<f64> {
    let mut by_stage: HashMap<&str, (f64, f64)> = HashMap::new();
    for (cell, result) in nearest {
        let sum = by_stage
            .entry(workflow.cell(*cell).stage.as_str())
            .or_default();
        *sum = (sum.0 + result.seconds, sum.1 + 1.0);
    }
    let mut seconds = vec![0.0; workflow.cells.len()];
    for cell in open {
        let own = nearest.get(cell).map(|result| result.seconds);
        let stage = by_stage
            .get(workflow.cell(*cell).stage.as_str())
            .map(|(sum, count)| sum / count);
        seconds[cell.index()] = own.or(stage).unwrap_or(UNKNOWN_SECONDS);
    }
    seconds
}
