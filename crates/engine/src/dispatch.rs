//! The decider: which cell is cached, which runs now, which waits, and what follows from each end.
//! One task; workers run beside it and send messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use supermoe_plugin::host::{StopLevel, StopSignal};
use supermoe_store::{StageKey, StageResult, Store};
use supermoe_workflow::{CellId, Workflow};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use crate::cell_key::OutsideDigests;
use crate::cell_state::{CellState, End, Halt, Phase};
use crate::event::{CellName, NotStored, SkipCause};
use crate::event_log::EventLog;
use crate::graph::Graph;
use crate::history::History;
use crate::run_options::{OnFailure, RunOptions};
use crate::scheduler::{Demand, Scheduler};
use crate::selection::Role;
use crate::worker::{Attempt, Doer};
use crate::worker_message::WorkerMessage;

/// The journal's segments are begun this far apart.
const JOURNAL_INTERVAL: Duration = Duration::from_secs(1);
/// What the run uses is pinned anew this often.
const PIN_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct Dispatch<'a> {
    pub workflow: &'a Arc<Workflow>,
    pub names: &'a [CellName],
    pub roles: &'a [Role],
    pub outside: &'a OutsideDigests,
    pub store: &'a Store,
    pub options: &'a RunOptions,
    pub doer: Arc<Doer>,
    pub graph: Graph,
    pub log: EventLog<'a>,
    pub cells: Vec<CellState>,
    /// Cells that wait for nothing any more and have not been looked at.
    pub frontier: Vec<CellId>,
    pub scheduler: Scheduler,
    pub demands: Vec<Demand>,
    pub history: History,
    /// By cell, once the first has to run: the longest path that begins with it, in seconds.
    remaining_seconds: Option<Vec<f64>>,
    /// Who makes the result of a key at this moment.
    pub makers: HashMap<StageKey, CellId>,
    pub twins: HashMap<CellId, Vec<CellId>>,
    /// Results made in this run.
    pub made: HashMap<StageKey, Arc<StageResult>>,
    pub halt: Option<Halt>,
    pub not_stored: Vec<NotStored>,
    running: usize,
    backoffs: FuturesUnordered<BoxFuture<'static, CellId>>,
    tasks: TaskTracker,
    sender: mpsc::UnboundedSender<WorkerMessage>,
    messages: mpsc::UnboundedReceiver<WorkerMessage>,
    stop: StopSignal,
    pinned: bool,
}

impl<'a> Dispatch<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one run, put together in one place"
    )]
    pub(crate) fn new(
        workflow: &'a Arc<Workflow>,
        names: &'a [CellName],
        roles: &'a [Role],
        outside: &'a OutsideDigests,
        history: History,
        store: &'a Store,
        options: &'a RunOptions,
        doer: Arc<Doer>,
        log: EventLog<'a>,
        stop: StopSignal,
    ) -> Dispatch<'a> {
        let graph = Graph::new(workflow);
        let waits_for = graph.waits_for();
        let cells: Vec<CellState> = waits_for
            .iter()
            .map(|count| CellState::waiting(*count))
            .collect();
        let frontier = workflow
            .cells
            .iter()
            .map(|cell| cell.id)
            .filter(|id| waits_for[id.index()] == 0 && roles[id.index()] != Role::Outside)
            .collect();
        let demands: Vec<Demand> = workflow
            .cells
            .iter()
            .map(|cell| demand(cell, options.slots.cpus))
            .collect();
        let (sender, messages) = mpsc::unbounded_channel();
        Dispatch {
            scheduler: scheduler(workflow, options, demands.clone()),
            workflow,
            names,
            roles,
            outside,
            store,
            options,
            doer,
            graph,
            log,
            cells,
            frontier,
            demands,
            history,
            remaining_seconds: None,
            makers: HashMap::new(),
            twins: HashMap::new(),
            made: HashMap::new(),
            halt: None,
            not_stored: Vec::new(),
            running: 0,
            backoffs: FuturesUnordered::new(),
            tasks: TaskTracker::new(),
            sender,
            messages,
            stop,
            pinned: false,
        }
    }

    /// Goes on until nothing runs and nothing more can start.
    pub(crate) async fn drive(&mut self) {
        if self.stop.level() > StopLevel::Running {
            // What the cells depend on may not have been read to its end.
            self.halt = Some(Halt::Stop);
            return;
        }
        let mut journal_tick = tokio::time::interval(JOURNAL_INTERVAL);
        journal_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pin_tick = tokio::time::interval(PIN_INTERVAL);
        pin_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.settle_frontier().await;
            self.start_what_fits();
            if !self.frontier.is_empty() {
                continue;
            }
            if self.running == 0 && (self.backoffs.is_empty() || self.halt.is_some()) {
                break;
            }
            let stopped = self.halt == Some(Halt::Stop);
            tokio::select! {
                Some(message) = self.messages.recv() => {
                    self.hear(message);
                    while let Ok(message) = self.messages.try_recv() {
                        self.hear(message);
                    }
                }
                Some(cell) = self.backoffs.next() => self.try_again(cell),
                () = self.stop.reached(StopLevel::Stop), if !stopped => self.halt = Some(Halt::Stop),
                _ = journal_tick.tick() => self.log.journal.write_beside(),
                _ = pin_tick.tick(), if self.running > 0 => self.pin().await,
            }
        }
        self.give_up_backoffs();
    }

    /// Waits for what workers still clean up; nothing is started any more.
    pub(crate) async fn wind_up(&mut self) {
        self.skip_what_is_left();
        self.tasks.close();
        self.tasks.wait().await;
        if self.pinned
            && let Err(error) = self.store.unpin(&self.doer.run).await
        {
            tracing::warn!(%error, "the run's pins could not be removed");
        }
    }

    fn start_what_fits(&mut self) {
        if self.halt.is_none() && self.stop.level() > StopLevel::Running {
            self.halt = Some(Halt::Stop);
        }
        while self.halt.is_none() {
            let Some((cell, grant)) = self.scheduler.start_next() else {
                return;
            };
            let Some(inputs) = self.given_inputs(cell) else {
                self.scheduler.finish(cell, grant);
                continue;
            };
            let Some(job) = &self.cells[cell.index()].job else {
                self.scheduler.finish(cell, grant);
                continue;
            };
            let attempt = Attempt {
                cell,
                number: job.attempt,
                key: job.key,
                manifest: job.manifest.clone(),
                grant,
                inputs,
            };
            let started = self.started_event(cell, job);
            self.log.tell(started);
            self.cells[cell.index()].phase = Phase::Running;
            self.running += 1;
            // On a thread of its own: an attempt makes folders, copies and hashes as much as it waits.
            let (doer, sender, runtime) = (
                Arc::clone(&self.doer),
                self.sender.clone(),
                Handle::current(),
            );
            self.tasks
                .spawn_blocking(move || runtime.block_on(doer.carry_out(attempt, sender)));
        }
    }

    fn hear(&mut self, message: WorkerMessage) {
        match message {
            WorkerMessage::Event(cell, event) => {
                if let Some(event) = self.told_event(cell, event) {
                    self.log.tell(event);
                }
            }
            WorkerMessage::Kept(cell, what, lost) => {
                let what = format!("{what} of {}", self.label(cell));
                self.not_stored.retain(|earlier| earlier.what != what);
                self.not_stored
                    .extend(lost.map(|why| NotStored { what, why }));
            }
            WorkerMessage::Ended(cell, grant, end) => {
                self.running -= 1;
                self.scheduler.finish(cell, grant);
                self.attempt_ended(cell, end);
            }
        }
    }

    /// Puts a cell in line for its slots.
    pub(crate) fn line_up(&mut self, cell: CellId) {
        self.cells[cell.index()].phase = Phase::Ready;
        if self.remaining_seconds.is_none() {
            let is_open = |cell: &CellId| {
                let ended = matches!(self.cells[cell.index()].phase, Phase::Ended(_));
                self.roles[cell.index()].is_selected() && !ended
            };
            let open: Vec<CellId> = (0..self.cells.len()).map(CellId).filter(is_open).collect();
            let remaining = self
                .history
                .remaining_seconds(self.workflow, &self.graph, &open);
            self.remaining_seconds = Some(remaining);
        }
        let remaining = self
            .remaining_seconds
            .as_ref()
            .map_or(0.0, |seconds| seconds[cell.index()]);
        self.scheduler.push(cell, remaining);
    }

    /// Waits, then lines the cell up again.
    pub(crate) fn back_off(&mut self, cell: CellId, delay: Duration) {
        self.cells[cell.index()].phase = Phase::Backoff;
        self.backoffs.push(Box::pin(async move {
            tokio::time::sleep(delay).await;
            cell
        }));
    }

    fn try_again(&mut self, cell: CellId) {
        if self.cells[cell.index()].phase == Phase::Backoff {
            self.line_up(cell);
        }
    }

    /// After a halt, cells that waited for another attempt end as their last one did.
    fn give_up_backoffs(&mut self) {
        self.backoffs.clear();
        for index in 0..self.cells.len() {
            if self.cells[index].phase != Phase::Backoff {
                continue;
            }
            let cell = CellId(index);
            let last = self.cells[index]
                .job
                .as_mut()
                .and_then(|job| job.last_failure.take());
            match self.halt {
                Some(Halt::Stop) => self.end_cancelled(cell, None),
                _ => self.end_failed(cell, last.unwrap_or_default()),
            }
        }
    }

    /// Keeps gc from what cells that have ended gave.
    async fn pin(&mut self) {
        let keys: Vec<StageKey> = self
            .cells
            .iter()
            .filter_map(|cell| cell.result.as_ref())
            .map(|result| result.key)
            .collect();
        self.pinned = true;
        if let Err(error) = self.store.pin(&self.doer.run, &keys, &[]).await {
            tracing::warn!(%error, "what the run uses could not be pinned");
        }
    }

    /// Ends every cell that was never started.
    fn skip_what_is_left(&mut self) {
        let open = |cell: &CellState| !matches!(cell.phase, Phase::Ended(_));
        if !self
            .cells
            .iter()
            .zip(self.roles)
            .any(|(cell, role)| role.is_selected() && open(cell))
        {
            return;
        }
        for cell in self.graph.levels().into_iter().flatten() {
            let index = cell.index();
            if !self.roles[index].is_selected()
                || matches!(self.cells[index].phase, Phase::Ended(_))
            {
                continue;
            }
            let cause = self.bad_upstream(cell).unwrap_or(match self.halt {
                Some(Halt::Failure(failed)) => (
                    SkipCause::RunFailed {
                        stage: self.label(failed),
                    },
                    End::Failed(failed),
                ),
                Some(Halt::Stop) | None => (SkipCause::RunCancelled, End::Cancelled(cell)),
            });
            self.end_skipped(cell, cause.0, cause.1);
        }
    }

    /// What in front of a cell went wrong.
    pub(crate) fn bad_upstream(&self, cell: CellId) -> Option<(SkipCause, End)> {
        let node = petgraph::graph::NodeIndex::new(cell.index());
        let mut upstream = self
            .workflow
            .graph
            .neighbors_directed(node, petgraph::Direction::Incoming);
        upstream.find_map(|before| match self.cells[before.index()].phase {
            Phase::Ended(end @ End::Failed(root)) => Some((
                SkipCause::UpstreamFailed {
                    stage: self.label(root),
                },
                end,
            )),
            Phase::Ended(end @ End::Cancelled(root)) => Some((
                SkipCause::UpstreamCancelled {
                    stage: self.label(root),
                },
                end,
            )),
            _ => None,
        })
    }

    pub(crate) fn label(&self, cell: CellId) -> String {
        self.workflow.cell(cell).label.to_string()
    }

    /// After a failure: nothing more starts, unless the run keeps going.
    pub(crate) fn note_failure(&mut self, cell: CellId) {
        if self.options.on_failure == OnFailure::StopStarting && self.halt.is_none() {
            self.halt = Some(Halt::Failure(cell));
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.halt == Some(Halt::Stop) || self.stop.level() > StopLevel::Running
    }
}

/// A cell that asks for more cores than there are gets all: its outputs do not depend on threads.
fn demand(cell: &supermoe_workflow::Cell, cpus: u32) -> Demand {
    Demand {
        cpus: cell.resources.cpus.clamp(1, cpus.max(1)),
        memory_bytes: cell.resources.memory,
        gpus: cell.resources.gpus,
    }
}

fn scheduler(workflow: &Workflow, options: &RunOptions, demands: Vec<Demand>) -> Scheduler {
    let numbers: HashMap<&str, u32> = workflow
        .stages
        .iter()
        .enumerate()
        .map(|(number, stage)| (stage.as_str(), number as u32))
        .collect();
    let stage_of: Vec<u32> = workflow
        .cells
        .iter()
        .map(|cell| numbers.get(cell.stage.as_str()).copied().unwrap_or(0))
        .collect();
    let mut limits = vec![None; workflow.stages.len().max(1)];
    for (cell, stage) in workflow.cells.iter().zip(&stage_of) {
        limits[*stage as usize] = cell.max_parallel;
    }
    let mut slots = options.slots;
    slots.cpus = slots.cpus.max(1);
    Scheduler::new(slots, stage_of, demands, &limits)
}
