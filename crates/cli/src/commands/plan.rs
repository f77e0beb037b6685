//! `supermoe plan`: what a run would do, why, and about how long it would take.

use std::io::Write;
use std::mem::ManuallyDrop;

use clap::Args;
use serde_json::json;
use supermoe_engine::{Plan, PlanOptions, PlannedCell, PlannedState};

use crate::commands::block_on;
use crate::failure::Failure;
use crate::output;
use crate::quantity;
use crate::screen::Screen;
use crate::selection::SelectionArguments;
use crate::table;
use crate::workflow_file::WorkflowArguments;

/// Tells what would run, why, and about how long it would take; runs nothing
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe plan workflow.yaml\n  supermoe plan workflow.yaml --set lr=0.01 --json\n  supermoe plan workflow.yaml --all"
)]
pub struct Arguments {
    #[command(flatten)]
    workflow: WorkflowArguments,

    #[command(flatten)]
    selection: SelectionArguments,

    /// Names the cached stages too
    #[arg(long)]
    all: bool,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    // The process ends with the command: nobody waits for a large workflow to be taken apart.
    let (loaded, store) = arguments.workflow.load_with_store()?;
    let loaded = ManuallyDrop::new(loaded);
    let workflow = &loaded.compiled.workflow;
    let options = PlanOptions {
        selection: arguments.selection.selection(workflow)?,
    };
    let plan = block_on(async {
        let url = loaded.project.store_url(workflow.store.as_deref())?;
        let store = store.open(&loaded.project, &url).await?;
        supermoe_engine::plan(workflow, &store, &options)
            .await
            .map_err(super::run::engine_failed)
    })?;
    if arguments.json {
        return output::json(&json!({ "stages": plan.cells }));
    }
    loaded.tell_warnings();
    let is_set = |name: &str| std::env::var_os(name).is_some();
    for secret in supermoe_engine::unset_secrets(workflow, &plan, is_set) {
        tracing::warn!(
            "the secret `{}` of {} is not set in the environment: the workflow will not run",
            secret.name,
            secret.stages.join(", ")
        );
    }
    let screen = Screen::stdout();
    let text = text(&plan, &screen, arguments.all);
    std::mem::forget(plan);
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

fn text(plan: &Plan, screen: &Screen, all: bool) -> String {
    let mut rows = Vec::new();
    for cell in &plan.cells {
        if cell.state != PlannedState::Cached || all {
            add_rows(cell, screen, &mut rows);
        }
    }
    let mut text = table::columns(&rows);
    text.push_str(&summary(plan, screen));
    text.push('\n');
    text
}

fn add_rows(cell: &PlannedCell, screen: &Screen, rows: &mut Vec<Vec<String>>) {
    let state = match cell.state {
        PlannedState::Cached => screen.dim("cached"),
        PlannedState::Run => screen.green("run"),
        PlannedState::Unknown => screen.yellow("unknown"),
        PlannedState::Skipped => screen.dim("skipped"),
    };
    let expected = match (cell.state, cell.expected_seconds) {
        (PlannedState::Run | PlannedState::Unknown, Some(seconds)) => {
            format!("about {}", quantity::seconds(seconds))
        }
        _ => String::new(),
    };
    let why = match (&cell.reason, cell.state) {
        (Some(reason), _) => reason.to_string(),
        (None, PlannedState::Skipped) => "its `when` is false".to_owned(),
        (None, _) => String::new(),
    };
    rows.push(vec![state, cell.label.to_string(), expected, why]);
    let mut further = |text: String| {
        rows.push(vec![String::new(), String::new(), String::new(), text]);
    };
    for reason in &cell.also {
        further(reason.to_string());
    }
    if let Some(problem) = &cell.problem {
        further(screen.red(problem));
    }
}

/// `2 run, 1 unknown until then, 12 cached; about 1m 40s of work`
fn summary(plan: &Plan, screen: &Screen) -> String {
    let mut parts = Vec::new();
    let mut add = |state: PlannedState, word: &str| {
        let count = plan.count(state);
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    };
    add(PlannedState::Run, "to run");
    add(PlannedState::Unknown, "to see when those have run");
    add(PlannedState::Cached, "cached");
    add(PlannedState::Skipped, "skipped");
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    let mut text = screen.bold(&parts.join(", "));
    let open =
        |cell: &&PlannedCell| matches!(cell.state, PlannedState::Run | PlannedState::Unknown);
    let without_history = plan
        .cells
        .iter()
        .filter(open)
        .filter(|cell| cell.expected_seconds.is_none())
        .count();
    if let Some(seconds) = plan.expected_seconds() {
        text.push_str(&format!("; about {} of work", quantity::seconds(seconds)));
        if without_history > 0 {
            text.push_str(&format!(
                " and {} that never ran",
                quantity::counted(without_history, "stage")
            ));
        }
    }
    text
}
