//! `supermoe run`: runs a workflow, shows how it goes, and sums it up.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use supermoe_engine::{EngineError, OnFailure, Outcome, RunEvent, RunOptions, RunSummary, Slots};
use supermoe_plugin::host::stop_channel;
use supermoe_workflow::Workflow;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::argument_values::{parse_bytes, parse_duration};
use crate::commands::{block_on, report};
use crate::early_store::EarlyStore;
use crate::failure::{Exit, Failure, Problem};
use crate::output;
use crate::progress::{self, Display, LogHint, Progress, TICK};
use crate::project::Project;
use crate::run_name::quoted;
use crate::screen::Screen;
use crate::selection::SelectionArguments;
use crate::signals::stop_on_signals;
use crate::summary::{self, Places};
use crate::workflow_file::{Loaded, WorkflowArguments};

/// Runs a workflow: what has a result is taken from the store, the rest runs
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe run workflow.yaml\n  supermoe run workflow.yaml --jobs 4 --keep-going\n  supermoe run workflow.yaml --set seed=2 --until 'finetune[model=ple]'\n\nCtrl-C once lets running stages save their state, twice ends them now.\nExit codes: 0 done, 1 a stage failed, 2 a mistake in the input, 130 interrupted."
)]
pub struct Arguments {
    #[command(flatten)]
    workflow: WorkflowArguments,

    /// Processor cores that stages may use together [default: all]
    #[arg(
        long,
        short,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "How it runs"
    )]
    jobs: Option<u32>,

    /// Memory that stages may ask for together, `8GiB` [default: all]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "How it runs")]
    memory: Option<u64>,

    /// GPUs that stages may use together
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        help_heading = "How it runs"
    )]
    gpus: u32,

    /// After a failure, still runs what does not depend on it
    #[arg(long, short, help_heading = "How it runs")]
    keep_going: bool,

    /// How long a stage that was asked to stop may take
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_duration,
        help_heading = "How it runs"
    )]
    grace: Duration,

    /// Training stages tell in their log where the time goes, by operation (see `supermoe logs`)
    #[arg(long, help_heading = "How it runs")]
    profile: bool,

    #[command(flatten)]
    selection: SelectionArguments,

    /// Prints events as NDJSON on stdout, `run_finished` last
    #[arg(long, help_heading = "What it shows")]
    json: bool,

    /// How progress is shown
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "HOW",
        conflicts_with = "json",
        help_heading = "What it shows"
    )]
    progress: Progress,
}

pub fn execute(arguments: &Arguments) -> Result<Exit, Failure> {
    let (loaded, store) = arguments.workflow.load_with_store()?;
    loaded.tell_warnings();
    let Loaded { project, compiled } = loaded;
    let workflow = Arc::new(compiled.workflow);
    // The process ends with the command: nobody waits for a large workflow to be taken apart.
    std::mem::forget(Arc::clone(&workflow));
    let options = arguments.options(&project, &workflow)?;
    block_on(run(arguments, &project, workflow, &options, store))
}

impl Arguments {
    fn options(&self, project: &Project, workflow: &Workflow) -> Result<RunOptions, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::from(
                Problem::failed("supermoe::cli::program", "Cannot find this program itself")
                    .because(error),
            )
        })?;
        let machine = Slots::of_this_machine();
        let slots = Slots {
            cpus: self.jobs.unwrap_or(machine.cpus),
            memory_bytes: self.memory.unwrap_or(machine.memory_bytes),
            gpus: self.gpus,
        };
        let mut options = RunOptions::new(program, project.root().to_owned(), slots);
        options.on_failure = if self.keep_going {
            OnFailure::KeepGoing
        } else {
            OnFailure::StopStarting
        };
        options.selection = self.selection.selection(workflow)?;
        options.grace = self.grace;
        options.profile = self.profile;
        Ok(options)
    }
}

async fn run(
    arguments: &Arguments,
    project: &Project,
    workflow: Arc<Workflow>,
    options: &RunOptions,
    store: EarlyStore,
) -> Result<Exit, Failure> {
    let url = project.store_url(workflow.store.as_deref())?;
    let (sender, stop) = stop_channel();
    stop_on_signals(sender).map_err(|error| {
        Failure::from(
            Problem::failed("supermoe::cli::signals", "Cannot listen to signals").because(error),
        )
    })?;
    let store = store.open(project, &url).await?;
    let hint = log_hint(project);
    let display = Mutex::new(if arguments.json {
        progress::json_display()
    } else {
        progress::display(arguments.progress, hint.clone())
    });
    let running = supermoe_engine::run(Arc::clone(&workflow), &store, options, stop, |event| {
        // Only now has the store taken something in.
        if matches!(event, RunEvent::RunStarted { .. }) {
            project.remember_store(&url);
        }
        lock(&display).event(event);
    });
    let mut running = std::pin::pin!(running);
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            _ = ticks.tick() => lock(&display).tick(),
        }
    };
    let shown = lock(&display).finish();
    let summary = ended.map_err(engine_failed)?;
    let page = report::after_run(project, &store, &workflow, summary.run()).await;
    if !arguments.json {
        let places = Places {
            store: &url.to_string(),
            page: page.as_deref(),
        };
        print_summary(&summary, &places, &hint)?;
    }
    let exit = exit(&summary);
    // As large as the workflow, and the end of the process too.
    std::mem::forget(summary);
    match shown {
        // The reader of the events has gone; the run itself is what counts.
        Ok(()) | Err(Failure::OutputClosed) => Ok(exit),
        Err(failure) => Err(failure),
    }
}

/// A display that panicked once can still be asked to show the rest.
fn lock(display: &Mutex<Box<dyn Display>>) -> MutexGuard<'_, Box<dyn Display>> {
    display.lock().unwrap_or_else(PoisonError::into_inner)
}

fn print_summary(summary: &RunSummary, places: &Places<'_>, hint: &LogHint) -> Result<(), Failure> {
    let text = summary::text(&summary.record, places, hint, &Screen::stdout());
    match output::to_stdout(|out| out.write_all(text.as_bytes())) {
        // Nobody reads the summary; how the run ended still has to be said by the exit code.
        Err(Failure::OutputClosed) => Ok(()),
        other => other,
    }
}

/// What was computed and could not be kept is a failure too.
fn exit(summary: &RunSummary) -> Exit {
    match summary.record.outcome {
        Outcome::Succeeded
            if summary.record.not_stored.is_empty() && summary.record.not_published.is_empty() =>
        {
            Exit::Done
        }
        Outcome::Cancelled | Outcome::Interrupted => Exit::Interrupted,
        Outcome::Succeeded | Outcome::Failed | Outcome::Running => Exit::Failed,
    }
}

/// Later commands find the project by themselves when they are given here.
fn log_hint(project: &Project) -> LogHint {
    let here = Project::around(&PathBuf::from("."));
    let arguments = match here {
        Ok(here) if here.root() == project.root() => String::new(),
        _ => format!(
            " --project {}",
            quoted(&project.root().display().to_string())
        ),
    };
    LogHint { arguments }
}

/// What kept a run or a plan from going on at all.
pub fn engine_failed(error: EngineError) -> Failure {
    let message = error.to_string();
    if let EngineError::UnsetSecrets(unset) = &error {
        let names: Vec<String> = unset
            .iter()
            .map(|secret| format!("{}=…", secret.name))
            .collect();
        return Problem::input("supermoe::cli::secret", message)
            .help(format!(
                "Nothing was started. Set it before the command: {} supermoe run …",
                names.join(" ")
            ))
            .into();
    }
    if error.is_wrong_input() {
        Problem::input("supermoe::cli::selection", message).into()
    } else {
        Problem::failed("supermoe::engine::failed", message).into()
    }
}
