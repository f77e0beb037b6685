//! One run from a checked workflow to its record.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use supermoe_plugin::host::{StopLevel, StopSignal};
use supermoe_store::{RunId, Store, StoreError};
use supermoe_workflow::{CellId, InputSource, RunFacts, Workflow};
use tokio::sync::OnceCell;

use crate::cell_state::{End, Phase};
use crate::device::instruction_set;
use crate::dispatch::Dispatch;
use crate::event::{CellName, Outcome, RunEvent};
use crate::event_log::{EventLog, Sink};
use crate::history::History;
use crate::input_copy::InputCopies;
use crate::journal::{Journal, RunDocument};
use crate::publish::{PublishError, Publisher};
use crate::read_outside::read_outside;
use crate::run_options::RunOptions;
use crate::run_record::RunRecord;
use crate::selection::{Role, SelectionError};
use crate::unset_secrets::{UnsetSecret, check_secrets};
use crate::work_folder::WorkFolder;
use crate::worker::Doer;

/// Why a run or plan could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The user's input is wrong.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user's environment lacks what a stage is to be given.
    #[error("{}", unset_text(.0))]
    UnsetSecrets(Vec<UnsetSecret>),
}

impl EngineError {
    /// Whether the user has to change what was asked for, rather than the world.
    pub fn is_wrong_input(&self) -> bool {
        matches!(
            self,
            EngineError::Selection(_) | EngineError::UnsetSecrets(_)
        )
    }
}

fn unset_text(unset: &[UnsetSecret]) -> String {
    let lines: Vec<String> = unset
        .iter()
        .map(|secret| {
            format!(
                "the secret `{}` of {} is not set in the environment",
                secret.name,
                secret.stages.join(", ")
            )
        })
        .collect();
    lines.join("; ")
}

/// A run that came to its end, well or not.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// How it went. What the workflow says of each stage (its plugin, params, inputs, types of outputs)
    /// and what machine it was is not in here: [`RunRecord::read`] gives that too.
    pub record: RunRecord,
}

impl RunSummary {
    pub fn run(&self) -> RunId {
        self.record.run
    }

    pub fn outcome(&self) -> Outcome {
        self.record.outcome
    }
}

/// Runs the selected cells of a workflow. Every event goes to `sink` as it happens.
///
/// `stop`: at `Stop` nothing more is started, workers get SIGTERM and, after the grace period,
/// SIGKILL; at `Now` SIGKILL at once. Either way the journal is written to its end.
///
/// # Errors
/// Only what keeps the run from beginning: a wrong selection, an unset secret, a store that cannot be written.
/// Everything later is in the summary.
pub async fn run(
    workflow: Arc<Workflow>,
    store: &Store,
    options: &RunOptions,
    stop: StopSignal,
    mut sink: impl FnMut(&RunEvent) + Send,
) -> Result<RunSummary, EngineError> {
    let began = Instant::now();
    let started = jiff::Timestamp::now();
    let roles: Arc<[Role]> = options.selection.roles(&workflow)?.into();
    check_secrets(&workflow, &roles, store, options).await?;
    let run = RunId::generate();
    let names: Arc<[CellName]> = cell_names(&workflow).into();
    let document = RunDocument::head(&workflow, started);
    let journal = Journal::begin(store, run, &document, &workflow, &names, &roles);
    let history = History::read(&workflow, &roles, store).await;
    let work = WorkFolder::of(&options.project, run, &document.process);
    let mut log = EventLog::new(&mut sink as &mut Sink<'_>, journal, workflow.cells.len());
    log.tell(RunEvent::RunStarted {
        run,
        workflow: workflow.name.clone(),
        stages: roles.iter().filter(|role| role.is_selected()).count(),
        at: started,
    });
    if needs_outside(&workflow) {
        // That may take long, and is told of.
        log.open().await?;
    }
    let outside = read_outside(&workflow, &roles, store, stop.clone(), &mut log).await;
    for (path, digest) in outside.known_paths() {
        log.tell(RunEvent::InputRead {
            path: path.to_owned(),
            digest,
        });
    }
    let doer = Arc::new(doer(
        &workflow,
        store,
        options,
        run,
        started,
        work,
        stop.clone(),
    ));
    let mut dispatch = Dispatch::new(
        &workflow,
        &names,
        &roles,
        &outside,
        history,
        store,
        options,
        Arc::clone(&doer),
        log,
        stop.clone(),
    );
    if stop.level() == StopLevel::Running {
        // While the journal is being opened: this only asks what is there.
        dispatch.settle_frontier().await;
    }
    dispatch.log.open().await?;
    let (published, not_published) = drive_and_publish(&mut dispatch, options).await;
    dispatch.wind_up().await;
    store.flush_index().await;
    let record = conclude(dispatch, run, &document, began, published, not_published).await;
    doer.work.remove();
    if let Some(watcher) = doer.watcher.get().cloned() {
        let finished = tokio::task::spawn_blocking(move || watcher.finish()).await;
        if let Err(error) = finished {
            tracing::warn!(%error, "the watcher could not be ended");
        }
    }
    Ok(RunSummary { record })
}

/// Whether any input comes from outside the workflow.
fn needs_outside(workflow: &Workflow) -> bool {
    let inputs = workflow.cells.iter().flat_map(|cell| cell.inputs.values());
    inputs
        .flatten()
        .any(|input| !matches!(input.source, InputSource::Output { .. }))
}

fn cell_names(workflow: &Workflow) -> Vec<CellName> {
    let mut names: Vec<CellName> = Vec::with_capacity(workflow.cells.len());
    let no_matrix = Arc::default();
    for cell in &workflow.cells {
        // Cells of one stage share its name.
        let stage = match names.last() {
            Some(before) if *before.stage == *cell.stage.as_str() => before.stage.clone(),
            _ => Arc::from(cell.stage.as_str()),
        };
        let matrix = if cell.matrix.is_empty() {
            Arc::clone(&no_matrix)
        } else {
            Arc::new(cell.matrix.clone())
        };
        names.push(CellName {
            stage,
            matrix,
            label: cell.label.clone(),
        });
    }
    names
}

fn doer(
    workflow: &Arc<Workflow>,
    store: &Store,
    options: &RunOptions,
    run: RunId,
    started: jiff::Timestamp,
    work: WorkFolder,
    stop: StopSignal,
) -> Doer {
    Doer {
        workflow: Arc::clone(workflow),
        store: store.clone(),
        run,
        facts: RunFacts {
            id: run.to_string(),
            started: started.to_string(),
            workflow: workflow.name.clone(),
        },
        program: options.program.clone(),
        environment: options.environment.clone(),
        copies: InputCopies::new(work.inputs(), store.clone()),
        work,
        watcher: OnceCell::new(),
        started: AtomicU64::new(0),
        stop,
        grace: options.grace,
        profile: options.profile,
        checkpoint_interval: options.checkpoint_interval,
        instruction_set: instruction_set(),
    }
}

/// Runs, then lays outputs out in the project; a damaged output is made again and laid out then.
async fn drive_and_publish(
    dispatch: &mut Dispatch<'_>,
    options: &RunOptions,
) -> (Vec<PathBuf>, Vec<String>) {
    loop {
        dispatch.drive().await;
        let (published, not_published, damaged) = publish(dispatch, options).await;
        if damaged.is_empty() {
            return (published, not_published);
        }
        let mut in_vain = not_published;
        let mut again = false;
        for (cell, what) in damaged {
            match dispatch.remake(cell, None, &what) {
                Ok(()) if dispatch.halt.is_none() => again = true,
                Ok(()) => in_vain.push(what),
                Err(why) => in_vain.push(why),
            }
        }
        if !again {
            return (published, in_vain);
        }
    }
}

type Publishing = (Vec<PathBuf>, Vec<String>, Vec<(CellId, String)>);

/// What was published, what was not and why, and cells whose outputs are damaged.
async fn publish(dispatch: &Dispatch<'_>, options: &RunOptions) -> Publishing {
    let (mut published, mut not_published, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    let mut publisher = None;
    for cell in dispatch
        .workflow
        .cells
        .iter()
        .filter(|cell| !cell.publish.is_empty())
    {
        let index = cell.id.index();
        if dispatch.roles[index] == Role::Outside
            || dispatch.cells[index].phase != Phase::Ended(End::Good)
        {
            continue;
        }
        let Some(result) = &dispatch.cells[index].result else {
            continue;
        };
        let publisher = publisher.get_or_insert_with(|| Publisher::open(&options.project));
        for (port, path) in &cell.publish {
            // An optional output that was left unwritten.
            let Some(artifact) = result.outputs.get(port) else {
                continue;
            };
            if published.contains(path) {
                not_published.push(format!(
                    "{}.{port}: `{}` was published by another cell",
                    cell.label,
                    path.display()
                ));
                continue;
            }
            match publisher
                .publish(dispatch.store, artifact.digest, path)
                .await
            {
                Ok(()) => published.push(path.clone()),
                Err(PublishError::Damaged(what)) => damaged.push((cell.id, what)),
                Err(error) => not_published.push(format!("{}.{port}: {error}", cell.label)),
            }
        }
    }
    if let Some(Err(error)) = publisher.map(Publisher::close) {
        not_published.push(format!("what was published could not be noted: {error}"));
    }
    (published, not_published, damaged)
}

/// Writes the last event and puts the record together.
async fn conclude(
    mut dispatch: Dispatch<'_>,
    run: RunId,
    document: &RunDocument,
    began: Instant,
    published: Vec<PathBuf>,
    not_published: Vec<String>,
) -> RunRecord {
    let counts = dispatch.log.counts();
    let cut_short = counts.cancelled > 0 || (counts.skipped > 0 && dispatch.is_stopping());
    let kept_nothing = !dispatch.not_stored.is_empty() || !not_published.is_empty();
    let outcome = match () {
        () if dispatch.is_stopping() && cut_short => Outcome::Cancelled,
        () if counts.failed > 0 || kept_nothing => Outcome::Failed,
        () => Outcome::Succeeded,
    };
    let mut finished = RunEvent::RunFinished {
        run,
        outcome,
        counts,
        seconds: began.elapsed().as_secs_f64(),
        not_stored: std::mem::take(&mut dispatch.not_stored),
        published,
        not_published,
    };
    if let Err(why) = dispatch.log.journal.finish(&finished).await {
        finished = with_lost_journal(finished, why);
    }
    dispatch.log.tell_caller(&finished);
    let mut record = RunRecord::begin(run, document);
    record.inputs = dispatch
        .outside
        .known_paths()
        .into_iter()
        .map(|(path, digest)| (path.to_owned(), digest))
        .collect();
    record.counts = counts;
    record.finish(finished);
    let stages = dispatch.log.take_records();
    // The record is large for large workflows: what it replaces goes first, and it stays where it is.
    drop(dispatch);
    record.stages = stages.into_iter().flatten().collect();
    record
}

/// The journal itself could not be kept: the caller at least is told.
fn with_lost_journal(finished: RunEvent, why: String) -> RunEvent {
    match finished {
        RunEvent::RunFinished {
            run,
            outcome,
            counts,
            seconds,
            mut not_stored,
            published,
            not_published,
        } => {
            not_stored.push(crate::event::NotStored {
                what: "journal".to_owned(),
                why,
            });
            let outcome = if outcome == Outcome::Succeeded {
                Outcome::Failed
            } else {
                outcome
            };
            RunEvent::RunFinished {
                run,
                outcome,
                counts,
                seconds,
                not_stored,
                published,
                not_published,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_journal_fails_the_run() {
        let finished = RunEvent::RunFinished {
            run: RunId::generate(),
            outcome: Outcome::Succeeded,
            counts: Default::default(),
            seconds: 1.0,
            not_stored: Vec::new(),
            published: Vec::new(),
            not_published: Vec::new(),
        };
        let RunEvent::RunFinished {
            outcome,
            not_stored,
            ..
        } = with_lost_journal(finished, "disk full".into())
        else {
            panic!("another event");
        };
        assert_eq!(
            (outcome, not_stored[0].why.as_str()),
            (Outcome::Failed, "disk full")
        );
    }
}
