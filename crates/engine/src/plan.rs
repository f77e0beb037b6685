//! What a run would do, cell by cell, and why; nothing is run and nothing written to the store.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use supermoe_store::{HitState, StageKey, StageResult, Store};
use supermoe_workflow::{Cell, CellId, Workflow};

use crate::cell_key::{KeyError, OutsideDigests, Upstream};
use crate::graph::Graph;
use crate::history::History;
use crate::key_change::{key_changes, place};
use crate::rerun_reason::RerunReason;
use crate::run::EngineError;
use crate::run_options::PlanOptions;
use crate::selection::Role;

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Selected cells in the order of the workflow.
    pub cells: Vec<PlannedCell>,
}

/// In JSON: `{"name", "matrix", "state", "reason", "expected_seconds"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCell {
    pub id: CellId,
    /// `finetune[model=ple,seed=1]`
    pub label: Arc<str>,
    pub stage: Arc<str>,
    pub matrix: Arc<indexmap::IndexMap<String, serde_json::Value>>,
    pub state: PlannedState,
    /// None for what is cached or skipped.
    pub reason: Option<RerunReason>,
    /// Further causes, where there is more than one.
    pub also: Vec<RerunReason>,
    /// Why it cannot run at all: an input that cannot be read.
    pub problem: Option<String>,
    /// How long its last run took.
    pub expected_seconds: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedState {
    Cached,
    Run,
    /// A stage before it runs; whether this one does depends on what that gives.
    Unknown,
    /// `when` is false.
    Skipped,
}

impl Serialize for PlannedCell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cell = serializer.serialize_struct("PlannedCell", 7)?;
        cell.serialize_field("name", &self.stage)?;
        cell.serialize_field("matrix", &self.matrix)?;
        cell.serialize_field("state", &self.state)?;
        cell.serialize_field("reason", &self.reason)?;
        if !self.also.is_empty() {
            cell.serialize_field("also", &self.also)?;
        }
        if self.problem.is_some() {
            cell.serialize_field("problem", &self.problem)?;
        }
        cell.serialize_field("expected_seconds", &self.expected_seconds)?;
        cell.end()
    }
}

impl Plan {
    pub fn count(&self, state: PlannedState) -> usize {
        self.cells.iter().filter(|cell| cell.state == state).count()
    }

    /// The sum over what runs and may run; none where nothing of it is known.
    pub fn expected_seconds(&self) -> Option<f64> {
        self.cells
            .iter()
            .filter(|cell| matches!(cell.state, PlannedState::Run | PlannedState::Unknown))
            .filter_map(|cell| cell.expected_seconds)
            .reduce(|sum, seconds| sum + seconds)
    }
}

/// Says for each selected cell whether it is cached, runs, or cannot be known yet, and why.
pub async fn plan(
    workflow: &Workflow,
    store: &Store,
    options: &PlanOptions,
) -> Result<Plan, EngineError> {
    let roles = options.selection.roles(workflow)?;
    let outside = OutsideDigests::read(workflow, &roles, store, &|_| {}).await;
    let mut planner = Planner {
        workflow,
        store,
        roles: &roles,
        outside: &outside,
        history: History::read(workflow, &roles, store).await,
        found: vec![Finding::Open; workflow.cells.len()],
    };
    for level in Graph::new(workflow).levels() {
        planner.settle(&level).await?;
    }
    let cells = workflow
        .cells
        .iter()
        .filter(|cell| roles[cell.id.index()].is_selected())
        .map(|cell| planner.describe(cell, planner.history.nearest(cell.id)))
        .collect();
    store.flush_index().await;
    Ok(Plan { cells })
}

/// What the planner has found out about a cell.
#[derive(Clone)]
enum Finding {
    Open,
    Hit(Arc<StageResult>),
    Miss,
    Damaged(String),
    /// It runs whatever its key.
    MustRun(Box<RerunReason>),
    Unknown(CellId),
    Problem(KeyError),
    Skipped,
}

impl Finding {
    fn of(state: HitState) -> Finding {
        match state {
            HitState::Hit(result) => Finding::Hit(result),
            HitState::Miss => Finding::Miss,
            HitState::Damaged { object, what } => Finding::Damaged(format!("{object}: {what}")),
        }
    }
}

struct Planner<'a> {
    workflow: &'a Workflow,
    store: &'a Store,
    roles: &'a [Role],
    outside: &'a OutsideDigests,
    history: History,
    found: Vec<Finding>,
}

impl Planner<'_> {
    /// Settles cells that do not depend on each other, those before them being settled.
    async fn settle(&mut self, level: &[CellId]) -> Result<(), EngineError> {
        let mut asked: Vec<(CellId, StageKey)> = Vec::new();
        for id in level {
            let cell = self.workflow.cell(*id);
            if self.roles[id.index()] == Role::Outside {
                continue;
            }
            match self.finding_without_store(cell) {
                Ok(key) => match self.history.state(&key) {
                    Some(state) => self.found[id.index()] = Finding::of(state),
                    None => asked.push((*id, key)),
                },
                Err(finding) => self.found[id.index()] = finding,
            }
        }
        let keys: Vec<StageKey> = asked.iter().map(|(_, key)| *key).collect();
        let states = if keys.is_empty() {
            Vec::new()
        } else {
            self.store.check_results(&keys).await?
        };
        for ((id, _), state) in asked.into_iter().zip(states) {
            self.found[id.index()] = Finding::of(state);
        }
        Ok(())
    }

    /// The key to look up, or what is known without looking.
    fn finding_without_store(&self, cell: &Cell) -> Result<StageKey, Finding> {
        if cell.skip.is_some() {
            return Err(Finding::Skipped);
        }
        let parts = match self
            .outside
            .parts(self.workflow, cell, |id| self.upstream(id))
        {
            Ok(parts) => parts,
            Err(problem) => return Err(Finding::Problem(problem)),
        };
        if !parts.is_complete() {
            let runs = self.upstream_that_runs(cell).unwrap_or(cell.id);
            return Err(Finding::Unknown(runs));
        }
        if self.roles[cell.id.index()] == Role::Forced {
            return Err(Finding::MustRun(Box::new(RerunReason::Forced)));
        }
        if !cell.cache && self.roles[cell.id.index()].is_selected() {
            return Err(Finding::MustRun(Box::new(RerunReason::Uncacheable {
                place: place(cell, "cache"),
            })));
        }
        Ok(parts.manifest().key())
    }

    fn upstream(&self, id: CellId) -> Upstream<'_> {
        match &self.found[id.index()] {
            Finding::Hit(result) => Upstream::Known(result),
            Finding::Miss | Finding::Problem(_) if !self.roles[id.index()].is_selected() => {
                Upstream::Absent
            }
            _ => Upstream::Unknown,
        }
    }

    fn upstream_that_runs(&self, cell: &Cell) -> Option<CellId> {
        Graph::makers(cell)
            .find(|id| !matches!(self.found[id.index()], Finding::Hit(_) | Finding::Skipped))
    }

    fn describe(&self, cell: &Cell, nearest: Option<&Arc<StageResult>>) -> PlannedCell {
        let mut changes = Vec::new();
        let mut problem = None;
        let state = match &self.found[cell.id.index()] {
            Finding::Hit(_) => PlannedState::Cached,
            Finding::Skipped | Finding::Open => PlannedState::Skipped,
            Finding::Problem(error) => {
                problem = Some(error.to_string());
                changes = vec![RerunReason::FirstRun];
                PlannedState::Run
            }
            Finding::MustRun(reason) => {
                changes = vec![RerunReason::clone(reason)];
                PlannedState::Run
            }
            Finding::Damaged(what) => {
                changes = vec![RerunReason::ResultDamaged { what: what.clone() }];
                PlannedState::Run
            }
            Finding::Miss => {
                changes = self.changes(cell, nearest);
                PlannedState::Run
            }
            Finding::Unknown(upstream) => {
                self.describe_unknown(cell, *upstream, nearest, &mut changes)
            }
        };
        let mut changes = changes.into_iter();
        PlannedCell {
            id: cell.id,
            label: cell.label.clone(),
            stage: Arc::from(cell.stage.as_str()),
            matrix: Arc::new(cell.matrix.clone()),
            state,
            reason: changes.next(),
            also: changes.collect(),
            problem,
            expected_seconds: match state {
                PlannedState::Cached | PlannedState::Skipped => None,
                PlannedState::Run | PlannedState::Unknown => nearest.map(|result| result.seconds),
            },
        }
    }

    /// Its own changes tell more than that something before it runs.
    fn describe_unknown(
        &self,
        cell: &Cell,
        upstream: CellId,
        nearest: Option<&Arc<StageResult>>,
        changes: &mut Vec<RerunReason>,
    ) -> PlannedState {
        let runs = RerunReason::UpstreamRuns {
            stage: self.workflow.cell(upstream).label.to_string(),
        };
        if self.roles[cell.id.index()] == Role::Forced {
            *changes = vec![RerunReason::Forced];
            return PlannedState::Run;
        }
        if !cell.cache {
            *changes = vec![RerunReason::Uncacheable {
                place: place(cell, "cache"),
            }];
            return PlannedState::Run;
        }
        let Some(nearest) = nearest else {
            *changes = vec![RerunReason::FirstRun];
            return PlannedState::Run;
        };
        *changes = match self
            .outside
            .parts(self.workflow, cell, |id| self.upstream(id))
        {
            Ok(parts) => key_changes(
                self.workflow,
                cell,
                &nearest.manifest.value(),
                &parts.manifest().value(),
            ),
            Err(_) => Vec::new(),
        };
        if changes.is_empty() {
            changes.push(runs);
            return PlannedState::Unknown;
        }
        changes.push(runs);
        PlannedState::Run
    }

    fn changes(&self, cell: &Cell, nearest: Option<&Arc<StageResult>>) -> Vec<RerunReason> {
        match self
            .outside
            .parts(self.workflow, cell, |id| self.upstream(id))
        {
            Ok(parts) => miss_reasons(self.workflow, cell, nearest, &parts.manifest().value()),
            Err(_) => vec![RerunReason::FirstRun],
        }
    }
}

/// Why a key has no result: what differs from the stage's newest one.
pub(crate) fn miss_reasons(
    workflow: &Workflow,
    cell: &Cell,
    nearest: Option<&Arc<StageResult>>,
    manifest: &serde_json::Value,
) -> Vec<RerunReason> {
    let Some(nearest) = nearest else {
        return vec![RerunReason::FirstRun];
    };
    let changes = key_changes(workflow, cell, &nearest.manifest.value(), manifest);
    if changes.is_empty() {
        vec![RerunReason::ResultGone]
    } else {
        changes
    }
}
