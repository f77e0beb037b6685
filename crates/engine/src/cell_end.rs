//! What follows when a cell, or one of its attempts, ends: its event, its twins, those after it.

use std::sync::Arc;

use indexmap::IndexMap;
use supermoe_plugin::event::Event;
use supermoe_store::{Digest, StageKey, StageResult};
use supermoe_workflow::CellId;

use crate::cell_state::{End, Job, Phase};
use crate::dispatch::Dispatch;
use crate::event::{NotStored, RunEvent, SkipCause, StageFailure, StageState};
use crate::retry::delay;
use crate::selection::Role;
use crate::worker_message::{AttemptEnd, AttemptFailure};

impl Dispatch<'_> {
    pub(crate) fn attempt_ended(&mut self, cell: CellId, end: AttemptEnd) {
        match end {
            AttemptEnd::Done {
                result,
                not_recorded,
            } => {
                if let Some(why) = not_recorded {
                    self.not_stored.push(NotStored {
                        what: self.label(cell),
                        why,
                    });
                }
                self.end_ran(cell, result);
            }
            AttemptEnd::Failed(failure) => self.attempt_failed(cell, failure),
            AttemptEnd::NotStored(failure) => {
                self.not_stored.push(NotStored {
                    what: self.label(cell),
                    why: failure.message.clone(),
                });
                self.end_failed(cell, failure);
            }
            AttemptEnd::Cancelled { seconds } => self.end_cancelled(cell, seconds),
            AttemptEnd::InputDamaged {
                maker,
                digest,
                what,
            } => self.input_damaged(cell, maker, digest, &what),
        }
    }

    fn attempt_failed(&mut self, cell: CellId, failure: AttemptFailure) {
        let retry = self.workflow.cell(cell).retry;
        let stopping = self.halt.is_some();
        let Some(job) = &mut self.cells[cell.index()].job else {
            return;
        };
        if !failure.retry || job.attempt >= retry.attempts || stopping {
            return self.end_failed(cell, failure);
        }
        let delay = delay(&retry, job.attempt, rand::random::<f64>());
        let event = RunEvent::StageRetry {
            cell: self.names[cell.index()].clone(),
            attempt: job.attempt,
            error: failure.message.clone(),
            delay_seconds: delay.as_secs_f64(),
        };
        job.attempt += 1;
        job.last_failure = Some(failure);
        self.log.tell(event);
        self.back_off(cell, delay);
    }

    /// The cell waits until its input has been made again.
    fn input_damaged(&mut self, cell: CellId, maker: CellId, digest: Digest, what: &str) {
        tracing::warn!(stage = %self.label(cell), %digest, what, "an input is damaged; its maker runs again");
        if let Some(job) = self.cells[cell.index()].job.take() {
            self.makers.remove(&job.key);
        }
        self.cells[cell.index()].phase = Phase::Waiting;
        // Twins go their own way: they find the same damage, or none.
        let twins = self.twins.remove(&cell).unwrap_or_default();
        self.frontier.extend(twins);
        if self.cells[maker.index()]
            .result
            .as_ref()
            .is_some_and(|result| !gives(result, digest))
        {
            // It has been made again already, and came out otherwise.
            self.frontier.push(cell);
            return;
        }
        if let Err(message) = self.remake(maker, Some(cell), what) {
            self.end_failed(cell, AttemptFailure::plain(message));
        }
    }

    pub(crate) fn end_cached(&mut self, cell: CellId, key: StageKey, result: Arc<StageResult>) {
        if self.roles[cell.index()].is_selected() {
            let event = RunEvent::StageCached {
                cell: self.names[cell.index()].clone(),
                key,
                seconds: result.seconds,
                outputs: digests(&result),
                metrics: result.metrics.clone(),
            };
            self.log.tell_of(cell, event);
            self.remember(cell, &key);
        }
        self.cells[cell.index()].result = Some(result);
        self.end(cell, End::Good);
    }

    fn end_ran(&mut self, cell: CellId, result: Arc<StageResult>) {
        self.remember(cell, &result.key);
        let job = self.cells[cell.index()].job.take();
        let event = self.finished_event(
            cell,
            StageState::Ran,
            job.as_deref(),
            Ending::Result(&result),
        );
        self.log.tell_of(cell, event);
        if self.workflow.cell(cell).cache {
            self.made.insert(result.key, Arc::clone(&result));
        }
        self.cells[cell.index()].result = Some(Arc::clone(&result));
        self.end(cell, End::Good);
        for twin in self.release_key(cell, job.as_deref()) {
            self.end_cached(twin, result.key, Arc::clone(&result));
        }
    }

    pub(crate) fn end_failed(&mut self, cell: CellId, failure: AttemptFailure) {
        let job = self.cells[cell.index()].job.take();
        let event = self.finished_event(
            cell,
            StageState::Failed,
            job.as_deref(),
            Ending::Failure(&failure),
        );
        self.log.tell_of(cell, event);
        self.note_failure(cell);
        self.cells[cell.index()].result = None;
        self.end(cell, End::Failed(cell));
        for twin in self.release_key(cell, job.as_deref()) {
            let message = format!("{} is the same work and failed", self.label(cell));
            self.end_failed(twin, AttemptFailure::plain(message));
        }
    }

    pub(crate) fn end_cancelled(&mut self, cell: CellId, seconds: Option<f64>) {
        let job = self.cells[cell.index()].job.take();
        let event = self.finished_event(
            cell,
            StageState::Cancelled,
            job.as_deref(),
            Ending::Cut(seconds),
        );
        self.log.tell_of(cell, event);
        self.end(cell, End::Cancelled(cell));
        // Twins never started: they are skipped with the rest.
        for twin in self.release_key(cell, job.as_deref()) {
            self.cells[twin.index()].phase = Phase::Waiting;
        }
    }

    pub(crate) fn end_skipped(&mut self, cell: CellId, cause: SkipCause, end: End) {
        if self.roles[cell.index()].is_selected() {
            let event = self.finished_event(cell, StageState::Skipped, None, Ending::Skip(cause));
            self.log.tell_of(cell, event);
        }
        self.end(cell, end);
    }

    /// Not selected and without a result.
    pub(crate) fn end_absent(&mut self, cell: CellId) {
        self.end(cell, End::Absent);
    }

    /// The key is nobody's work any more. Gives those who waited for it.
    fn release_key(&mut self, cell: CellId, job: Option<&Job>) -> Vec<CellId> {
        if let Some(job) = job
            && self.makers.get(&job.key) == Some(&cell)
        {
            self.makers.remove(&job.key);
        }
        self.twins.remove(&cell).unwrap_or_default()
    }

    /// Sets free what waited for the cell.
    fn end(&mut self, cell: CellId, end: End) {
        let state = &mut self.cells[cell.index()];
        state.phase = Phase::Ended(end);
        let waiters = std::mem::take(&mut state.remake_waiters);
        let first = !std::mem::replace(&mut state.released, true);
        self.frontier.extend(waiters);
        if !first {
            return;
        }
        for next in self.graph.downstream(cell) {
            let waits_for = &mut self.cells[next.index()].waits_for;
            *waits_for -= 1;
            if *waits_for == 0 && self.roles[next.index()] != Role::Outside {
                self.frontier.push(next);
            }
        }
    }

    pub(crate) fn started_event(&self, cell: CellId, job: &Job) -> RunEvent {
        RunEvent::StageStarted {
            cell: self.names[cell.index()].clone(),
            key: job.key,
            attempt: job.attempt,
            reason: job.reason.clone(),
            expected_seconds: job.expected_seconds,
            at: jiff::Timestamp::now(),
        }
    }

    /// What a worker said, as the run says it.
    pub(crate) fn told_event(&self, cell: CellId, event: Event) -> Option<RunEvent> {
        let cell = self.names[cell.index()].clone();
        match event {
            Event::Progress(progress) => Some(RunEvent::StageProgress { cell, progress }),
            Event::Metric { name, value, step } => Some(RunEvent::StageMetric {
                cell,
                name,
                value,
                step,
            }),
            Event::Log { level, message } => Some(RunEvent::StageLog {
                cell,
                level,
                message,
            }),
            // Errors come again with the end; checkpoints concern nobody else.
            Event::Error { .. } | Event::Checkpoint { .. } => None,
        }
    }

    fn finished_event(
        &self,
        cell: CellId,
        state: StageState,
        job: Option<&Job>,
        ending: Ending<'_>,
    ) -> RunEvent {
        let (mut seconds, mut peak_memory_bytes, mut skipped, mut error) = (None, None, None, None);
        let (mut outputs, mut metrics) = (IndexMap::new(), IndexMap::new());
        match ending {
            Ending::Result(result) => {
                seconds = Some(result.seconds);
                peak_memory_bytes = result.peak_memory_bytes;
                outputs = digests(result);
                metrics = result.metrics.clone();
            }
            Ending::Failure(failure) => {
                seconds = failure.seconds;
                peak_memory_bytes = failure.peak_memory_bytes;
                error = Some(StageFailure {
                    message: failure.message.clone(),
                    log_tail: failure.log_tail.clone(),
                    attempts: job.map_or(0, |job| job.attempt),
                });
            }
            Ending::Cut(after) => seconds = after,
            Ending::Skip(cause) => skipped = Some(cause),
        }
        RunEvent::StageFinished {
            cell: self.names[cell.index()].clone(),
            state,
            reason: job.map(|job| job.reason.clone()),
            skipped,
            key: job.map(|job| job.key),
            seconds,
            peak_memory_bytes,
            outputs,
            metrics,
            error,
            at: jiff::Timestamp::now(),
        }
    }
}

enum Ending<'a> {
    Result(&'a StageResult),
    Failure(&'a AttemptFailure),
    Cut(Option<f64>),
    Skip(SkipCause),
}

fn gives(result: &StageResult, digest: Digest) -> bool {
    result
        .outputs
        .values()
        .any(|artifact| artifact.digest == digest)
}

fn digests(result: &StageResult) -> IndexMap<String, Digest> {
    result
        .outputs
        .iter()
        .map(|(port, artifact)| (port.clone(), artifact.digest))
        .collect()
}
