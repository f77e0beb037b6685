//! What earlier runs tell of this one: the newest result of each stage, whether it is still whole,
//! and how long is left.

use std::collections::HashMap;
use std::sync::Arc;

use supermoe_store::{HitState, StageKey, StageResult, Store};
use supermoe_workflow::{CellId, Workflow};

use crate::cell_key::{identity, identity_start};
use crate::graph::Graph;
use crate::selection::Role;

/// Stands for the time of a stage of which nothing is known.
const UNKNOWN_SECONDS: f64 = 1.0;

/// Begins to look for what earlier runs tell of a workflow, before its stages are known. Blocks.
pub fn read_ahead(workflow: &str, store: &Store) {
    store.read_ahead(&identity_start(workflow));
}

#[derive(Debug)]
pub(crate) struct History {
    /// By cell.
    nearest: Vec<Option<Arc<StageResult>>>,
    /// What stands under the keys of the newest results. A run in which nothing changed finds all
    /// of its hits here, in one batch instead of one for each level of its graph.
    states: HashMap<StageKey, HitState>,
}

impl History {
    /// Reads what is known of every cell that has a part in the run.
    pub(crate) async fn read(workflow: &Workflow, roles: &[Role], store: &Store) -> History {
        let cells: Vec<CellId> = workflow
            .cells
            .iter()
            .map(|cell| cell.id)
            .filter(|id| roles[id.index()] != Role::Outside)
            .collect();
        let identities: Vec<String> = cells
            .iter()
            .map(|id| identity(workflow, workflow.cell(*id)))
            .collect();
        let newest = store.newest(identities).await;
        let mut nearest = vec![None; workflow.cells.len()];
        for (id, result) in cells.into_iter().zip(newest.results) {
            nearest[id.index()] = result;
        }
        // A store that fails here fails again where a key is asked for, and is reported there.
        let states = newest.states.unwrap_or_default();
        for result in nearest.iter_mut().flatten() {
            let result: &mut Arc<StageResult> = result;
            if let Some(HitState::Hit(hit)) = states.get(&result.key) {
                *result = Arc::clone(hit);
            }
        }
        History { nearest, states }
    }

    pub(crate) fn nearest(&self, cell: CellId) -> Option<&Arc<StageResult>> {
        self.nearest[cell.index()].as_ref()
    }

    /// What stands under a key, where that was looked up already.
    pub(crate) fn state(&self, key: &StageKey) -> Option<HitState> {
        self.states.get(key).cloned()
    }

    /// What was looked up is no longer so.
    pub(crate) fn forget(&mut self, key: &StageKey) {
        self.states.remove(key);
    }

    pub(crate) fn expected_seconds(&self, cell: CellId) -> Option<f64> {
        self.nearest(cell).map(|result| result.seconds)
    }

    /// By cell: the seconds from its start to the end of the longest path that begins with it.
    /// `open`: the cells that may still run.
    pub(crate) fn remaining_seconds(
        &self,
        workflow: &Workflow,
        graph: &Graph,
        open: &[CellId],
    ) -> Vec<f64> {
        graph.remaining_path(&self.all_expected_seconds(workflow, open))
    }

    /// By cell: its own last time, else the mean of its stage's other cells, else one second;
    /// nothing for cells that have ended.
    fn all_expected_seconds(&self, workflow: &Workflow, open: &[CellId]) -> Vec<f64> {
        let mut by_stage: HashMap<&str, (f64, f64)> = HashMap::new();
        for cell in open {
            if let Some(seconds) = self.expected_seconds(*cell) {
                let sum = by_stage
                    .entry(workflow.cell(*cell).stage.as_str())
                    .or_default();
                *sum = (sum.0 + seconds, sum.1 + 1.0);
            }
        }
        let mut all = vec![0.0; workflow.cells.len()];
        for cell in open {
            let stage = by_stage
                .get(workflow.cell(*cell).stage.as_str())
                .map(|(sum, count)| sum / count);
            all[cell.index()] = self
                .expected_seconds(*cell)
                .or(stage)
                .unwrap_or(UNKNOWN_SECONDS);
        }
        all
    }
}
