//! The cache decision: keys as soon as inputs are known, hits a level at a time, and for what
//! runs the reason.

use std::sync::Arc;

use supermoe_plugin::size::size_text;
use supermoe_store::{HitState, StageKey};
use supermoe_workflow::{Cell, CellId};

use crate::cell_key::{KeyError, Upstream, identity};
use crate::cell_state::{End, Job, Phase};
use crate::dispatch::Dispatch;
use crate::event::SkipCause;
use crate::key_change::place;
use crate::plan::miss_reasons;
use crate::rerun_reason::RerunReason;
use crate::selection::Role;
use crate::stage_key::CanonicalManifest;
use crate::worker::GivenInput;
use crate::worker_message::AttemptFailure;

/// What is decided of a cell before the store is asked.
enum Look {
    Ended,
    /// Runs whatever is in the store.
    MustRun(CanonicalManifest, StageKey, Box<RerunReason>),
    Ask(CanonicalManifest, StageKey),
}

impl Dispatch<'_> {
    /// Settles all cells that wait for nothing, and those that this sets free, and so on.
    pub(crate) async fn settle_frontier(&mut self) {
        while !self.frontier.is_empty() {
            let level = std::mem::take(&mut self.frontier);
            let mut asked: Vec<(CellId, CanonicalManifest)> = Vec::with_capacity(level.len());
            let mut keys: Vec<StageKey> = Vec::with_capacity(level.len());
            for cell in level {
                match self.look(cell) {
                    Look::Ended => {}
                    Look::MustRun(manifest, key, reason) => {
                        self.must_run(cell, manifest, key, *reason);
                    }
                    Look::Ask(manifest, key) => match self.history.state(&key) {
                        Some(state) => self.decide(cell, manifest, key, state),
                        None => {
                            asked.push((cell, manifest));
                            keys.push(key);
                        }
                    },
                }
            }
            if keys.is_empty() {
                continue;
            }
            match self.store.check_results(&keys).await {
                Ok(states) => {
                    for (((cell, manifest), key), state) in asked.into_iter().zip(keys).zip(states)
                    {
                        self.decide(cell, manifest, key, state);
                    }
                }
                Err(error) => {
                    let message = format!("its result could not be looked up: {error}");
                    for (cell, _) in asked {
                        self.end_failed(cell, AttemptFailure::plain(message.clone()));
                    }
                }
            }
        }
    }

    fn look(&mut self, id: CellId) -> Look {
        let workflow = Arc::clone(self.workflow);
        let cell = workflow.cell(id);
        if cell.skip.is_some() {
            self.end_skipped(
                id,
                SkipCause::Condition {
                    text: "`when` is false".to_owned(),
                },
                End::Absent,
            );
            return Look::Ended;
        }
        if let Some((cause, end)) = self.bad_upstream(id) {
            self.end_skipped(id, cause, end);
            return Look::Ended;
        }
        let manifest = self
            .outside
            .parts(&workflow, cell, |id| self.upstream(id))
            .map(|parts| parts.manifest());
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(problem) => {
                self.end_without_key(id, &problem);
                return Look::Ended;
            }
        };
        let key = manifest.key();
        match self.roles[id.index()] {
            Role::Forced => Look::MustRun(manifest, key, Box::new(RerunReason::Forced)),
            Role::Selected if !cell.cache => Look::MustRun(
                manifest,
                key,
                Box::new(RerunReason::Uncacheable {
                    place: place(cell, "cache"),
                }),
            ),
            _ => Look::Ask(manifest, key),
        }
    }

    pub(crate) fn upstream(&self, id: CellId) -> Upstream<'_> {
        let cell = &self.cells[id.index()];
        match (&cell.result, cell.phase) {
            (Some(result), _) => Upstream::Known(result),
            (None, Phase::Ended(_)) => Upstream::Absent,
            (None, _) => Upstream::Unknown,
        }
    }

    fn end_without_key(&mut self, cell: CellId, problem: &KeyError) {
        if self.roles[cell.index()] == Role::Supporting {
            self.end_absent(cell);
        } else {
            self.end_failed(cell, AttemptFailure::plain(problem.to_string()));
        }
    }

    /// A forced or uncacheable cell runs, but not a second time for the same key in one run.
    fn must_run(
        &mut self,
        cell: CellId,
        manifest: CanonicalManifest,
        key: StageKey,
        reason: RerunReason,
    ) {
        if reason == RerunReason::Forced && self.is_twin(cell, key) {
            return;
        }
        self.take_on(cell, manifest, key, reason);
    }

    fn decide(
        &mut self,
        cell: CellId,
        manifest: CanonicalManifest,
        key: StageKey,
        state: HitState,
    ) {
        if self.is_twin(cell, key) {
            return;
        }
        let reason = match state {
            HitState::Hit(result) => return self.end_cached(cell, key, result),
            HitState::Miss if self.roles[cell.index()] == Role::Supporting => {
                return self.end_absent(cell);
            }
            HitState::Miss => self.miss_reason(self.workflow.cell(cell), &manifest),
            HitState::Damaged { object, what } => RerunReason::ResultDamaged {
                what: format!("{object}: {what}"),
            },
        };
        self.take_on(cell, manifest, key, reason);
    }

    fn miss_reason(&self, cell: &Cell, manifest: &CanonicalManifest) -> RerunReason {
        let nearest = self.history.nearest(cell.id);
        let mut reasons = miss_reasons(self.workflow, cell, nearest, &manifest.value());
        if reasons.is_empty() {
            RerunReason::FirstRun
        } else {
            reasons.swap_remove(0)
        }
    }

    /// Whether another cell makes, or made, the result of this key in this run: then this one
    /// takes it from there.
    fn is_twin(&mut self, cell: CellId, key: StageKey) -> bool {
        if let Some(result) = self.made.get(&key) {
            let result = Arc::clone(result);
            self.end_cached(cell, key, result);
            return true;
        }
        match self.makers.get(&key) {
            Some(maker) if *maker != cell => {
                self.twins.entry(*maker).or_default().push(cell);
                self.cells[cell.index()].phase = Phase::Twin;
                true
            }
            _ => false,
        }
    }

    /// Makes a job of a cell and puts it in line, or ends it where it can never fit.
    pub(crate) fn take_on(
        &mut self,
        cell: CellId,
        manifest: CanonicalManifest,
        key: StageKey,
        reason: RerunReason,
    ) {
        if let Some(message) = self.cannot_fit(cell) {
            return self.end_failed(cell, AttemptFailure::plain(message));
        }
        if self.workflow.cell(cell).cache {
            self.makers.insert(key, cell);
        }
        self.cells[cell.index()].job = Some(Box::new(Job {
            key,
            manifest: Arc::new(manifest),
            reason,
            attempt: 1,
            expected_seconds: self.history.expected_seconds(cell),
            last_failure: None,
        }));
        self.line_up(cell);
    }

    fn cannot_fit(&self, cell: CellId) -> Option<String> {
        let (demand, slots) = (self.demands[cell.index()], self.options.slots);
        if demand.gpus > slots.gpus {
            return Some(format!(
                "it asks for {} GPUs and this run has {}",
                demand.gpus, slots.gpus
            ));
        }
        if demand.memory_bytes > slots.memory_bytes {
            return Some(format!(
                "it asks for {} of memory and this run has {}",
                size_text(demand.memory_bytes),
                size_text(slots.memory_bytes)
            ));
        }
        None
    }

    /// A cell's inputs for its worker. None, and the cell has ended, where one is gone: its maker
    /// had to run again meanwhile and failed.
    pub(crate) fn given_inputs(&mut self, id: CellId) -> Option<Vec<GivenInput>> {
        let workflow = Arc::clone(self.workflow);
        if let Some((cause, end)) = self.bad_upstream(id) {
            self.end_skipped(id, cause, end);
            return None;
        }
        match self
            .outside
            .given(&workflow, workflow.cell(id), |id| self.upstream(id))
        {
            Ok(given) => Some(given),
            Err(problem) => {
                self.end_without_key(id, &problem);
                None
            }
        }
    }

    /// Makes the result of an ended cell again, for `waiter`. Says why where that is in vain.
    pub(crate) fn remake(
        &mut self,
        maker: CellId,
        waiter: Option<CellId>,
        what: &str,
    ) -> Result<(), String> {
        const MOST: u8 = 2;
        let workflow = Arc::clone(self.workflow);
        let state = &mut self.cells[maker.index()];
        if matches!(state.phase, Phase::Ended(_)) {
            if state.remakes == MOST {
                return Err(format!(
                    "{} was made again {MOST} times, and still: {what}",
                    workflow.cell(maker).label
                ));
            }
            // Its old result stays until the new one is there: who tries to read it meanwhile
            // finds the damage too, and waits.
            state.remakes += 1;
            state.phase = Phase::Waiting;
        }
        let state = &mut self.cells[maker.index()];
        state.remake_waiters.extend(waiter);
        if state.phase != Phase::Waiting {
            return Ok(());
        }
        let manifest = self
            .outside
            .parts(&workflow, workflow.cell(maker), |id| self.upstream(id))
            .map(|parts| parts.manifest())
            .map_err(|problem| problem.to_string())?;
        let key = manifest.key();
        self.made.remove(&key);
        self.history.forget(&key);
        self.take_on(
            maker,
            manifest,
            key,
            RerunReason::ResultDamaged {
                what: what.to_owned(),
            },
        );
        Ok(())
    }

    /// Remembers the key as the newest of the cell's stage, for the reasons of later runs.
    pub(crate) fn remember(&self, cell: CellId, key: &StageKey) {
        if self
            .history
            .nearest(cell)
            .is_some_and(|nearest| nearest.key == *key)
        {
            return;
        }
        self.store
            .remember_latest(&identity(self.workflow, self.workflow.cell(cell)), key);
    }
}
