//! `supermoe show RUN`: what a run did, stage by stage.

use std::io::Write;

use clap::Args;
use supermoe_engine::{RunRecord, StageRecord, StageState};
use supermoe_plugin::size::size_text;

use crate::commands::block_on;
use crate::commands::runs::{counts_text, outcome_text};
use crate::failure::{Failure, Problem};
use crate::output;
use crate::progress::one_line;
use crate::project::StoreArguments;
use crate::quantity;
use crate::run_name::find_run;
use crate::screen::Screen;
use crate::summary::{Metrics, metrics_text};
use crate::table;

/// Shows what a run did: its stages, why each ran, times, metrics
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe show latest\n  supermoe show 01JDH7Z0 --json\n  supermoe show latest --all"
)]
pub struct Arguments {
    /// A run: `latest`, its id, or the beginning of one
    #[arg(value_name = "RUN")]
    run: String,

    #[command(flatten)]
    store: StoreArguments,

    /// Names each stage, also where very many were cached
    #[arg(long)]
    all: bool,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

/// More cached stages than this are counted, not named.
const MOST_CACHED: usize = 40;

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let record = block_on(async {
        let (_, store) = arguments.store.open().await?;
        let run = find_run(&store, &arguments.run).await?;
        RunRecord::read(&store, run).await.map_err(record_failed)
    })?;
    if arguments.json {
        return output::json(&record);
    }
    let text = text(&record, &Screen::stdout(), arguments.all);
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

/// A run that cannot be read back.
pub fn record_failed(error: supermoe_engine::RecordError) -> Failure {
    Problem::failed("supermoe::store::run", error.to_string()).into()
}

fn text(record: &RunRecord, screen: &Screen, all: bool) -> String {
    let mut text = head(record, screen);
    let cached = record.in_state(StageState::Cached).count();
    let fold = !all && cached > MOST_CACHED;
    let rows: Vec<Vec<String>> = record
        .stages
        .iter()
        .filter(|stage| !(fold && stage.state == StageState::Cached))
        .map(|stage| row(stage, screen))
        .collect();
    text.push_str(&table::columns(&rows));
    if fold {
        text.push_str(&screen.dim(&format!("… and {cached} cached (--all names them)")));
        text.push('\n');
    }
    for running in &record.running {
        text.push_str(&format!("{}  {running}\n", screen.bold("running")));
    }
    let metrics = metrics_text(record, screen, Metrics::All);
    if !metrics.is_empty() {
        text.push_str(&format!("\n{metrics}"));
    }
    for lost in &record.not_stored {
        text.push_str(&format!(
            "{} {}: {}\n",
            screen.red("not stored:"),
            one_line(&lost.what),
            one_line(&lost.why)
        ));
    }
    text
}

fn head(record: &RunRecord, screen: &Screen) -> String {
    let took = record
        .seconds
        .map(|seconds| format!(" in {}", quantity::seconds(seconds)))
        .unwrap_or_default();
    format!(
        "run {}  {} ({})\n{}, {}{took}: {}\n\n",
        screen.bold(&record.run.to_string()),
        record.workflow,
        record.file.display(),
        record.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        outcome_text(record.outcome, screen),
        counts_text(&record.counts),
    )
}

fn row(stage: &StageRecord, screen: &Screen) -> Vec<String> {
    let state = stage.state.to_string();
    let state = match stage.state {
        StageState::Ran => screen.green(&state),
        StageState::Cached => screen.dim(&state),
        StageState::Failed => screen.red(&state),
        StageState::Skipped | StageState::Cancelled => screen.yellow(&state),
    };
    let time = match (stage.state, stage.seconds) {
        (StageState::Ran | StageState::Failed, Some(seconds)) => quantity::seconds(seconds),
        _ => String::new(),
    };
    let memory = stage.peak_memory_bytes.map(size_text).unwrap_or_default();
    let why = match (&stage.error, &stage.reason) {
        (Some(error), _) => one_line(error.message.lines().next().unwrap_or_default()),
        (None, Some(reason)) => one_line(&reason.to_string()),
        (None, None) => String::new(),
    };
    vec![state, stage.label.to_string(), time, memory, why]
}
