//! `supermoe check`: finds every mistake that can be known before running.

use std::mem::ManuallyDrop;

use clap::Args;
use serde::Serialize;
use supermoe_workflow::{Diagnostics, Workflow};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::quantity::counted;
use crate::screen::Screen;
use crate::workflow_file::{WorkflowArguments, render};

/// Checks a workflow without running anything
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe check workflow.yaml\n  supermoe check workflow.yaml --set seed=2 --json\n\nExit code 2 when the workflow has a mistake."
)]
pub struct Arguments {
    #[command(flatten)]
    workflow: WorkflowArguments,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    ok: bool,
    stages: usize,
    cells: usize,
    errors: Vec<Message>,
    warnings: Vec<Message>,
}

#[derive(Debug, Serialize)]
struct Message {
    code: String,
    message: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    help: Option<String>,
}

pub fn execute(arguments: &Arguments) -> Result<Exit, Failure> {
    match arguments.workflow.compile()? {
        Ok(loaded) => {
            // The process ends with the command: a large workflow is not taken apart.
            let loaded = ManuallyDrop::new(loaded);
            let workflow = &loaded.compiled.workflow;
            if arguments.json {
                output::json(&document(Some(workflow), None, &loaded.compiled.warnings))?;
            } else {
                loaded.tell_warnings();
                print_summary(workflow, loaded.compiled.warnings.len())?;
            }
            Ok(Exit::Done)
        }
        Err(mistakes) if arguments.json => {
            output::json(&document(None, Some(&mistakes), &Diagnostics::default()))?;
            Ok(Exit::WrongInput)
        }
        Err(mistakes) => Err(Failure::Rendered(render(&mistakes))),
    }
}

fn print_summary(workflow: &Workflow, warnings: usize) -> Result<(), Failure> {
    let screen = Screen::stdout();
    let mut text = format!(
        "{} {}: {}",
        screen.green("ok"),
        workflow.source.path().display(),
        counted(workflow.stages.len(), "stage")
    );
    if workflow.cells.len() != workflow.stages.len() {
        text.push_str(&format!(", {}", counted(workflow.cells.len(), "cell")));
    }
    if warnings > 0 {
        let warned = counted(warnings, "warning");
        text.push_str(&format!(", {}", screen.yellow(&warned)));
    }
    output::to_stdout(|out| std::io::Write::write_fmt(out, format_args!("{text}\n")))
}

fn document(
    workflow: Option<&Workflow>,
    errors: Option<&Diagnostics>,
    warnings: &Diagnostics,
) -> Document {
    Document {
        ok: errors.is_none(),
        stages: workflow.map_or(0, |workflow| workflow.stages.len()),
        cells: workflow.map_or(0, |workflow| workflow.cells.len()),
        errors: errors.map(messages).unwrap_or_default(),
        warnings: messages(warnings),
    }
}

fn messages(diagnostics: &Diagnostics) -> Vec<Message> {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.place();
            Message {
                code: diagnostic.code.to_string(),
                message: diagnostic.message.clone(),
                file: place.as_ref().map(|place| place.file.display().to_string()),
                line: place.as_ref().map(|place| place.line),
                column: place.as_ref().map(|place| place.column),
                help: diagnostic.help.clone(),
            }
        })
        .collect()
}
