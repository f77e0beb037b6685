//! The arguments of `run` and `plan` that choose a part of a workflow, or force it.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use clap::error::ErrorKind;
use supermoe_engine::{Selection, Selector};
use supermoe_workflow::Workflow;

use crate::failure::{Failure, Problem};

/// What `--force` without a stage stands for; no stage can be named so.
const EVERYTHING: &str = "*";

#[derive(Debug, Args)]
pub struct SelectionArguments {
    /// Only this stage or cell, `finetune[model=ple]`; what it needs must have results
    #[arg(long, value_name = "STAGE", help_heading = "Which stages")]
    only: Vec<String>,

    /// This stage and all that depends on it
    #[arg(long, value_name = "STAGE", help_heading = "Which stages")]
    from: Vec<String>,

    /// This stage and all that it depends on
    #[arg(long, value_name = "STAGE", help_heading = "Which stages")]
    until: Vec<String>,

    /// Runs a stage although its result is there; without a stage, all of them
    #[arg(
        long,
        value_name = "STAGE",
        num_args = 0..=1,
        default_missing_value = EVERYTHING,
        help_heading = "Which stages"
    )]
    force: Vec<String>,
}

impl SelectionArguments {
    pub fn selection(&self, workflow: &Workflow) -> Result<Selection, Failure> {
        let force = if self.force.iter().any(|stage| stage == EVERYTHING) {
            workflow
                .stages
                .iter()
                .map(|stage| Selector {
                    stage: stage.as_str().to_owned(),
                    axes: Vec::new(),
                })
                .collect()
        } else {
            selectors("--force", &self.force)?
        };
        Ok(Selection {
            only: selectors("--only", &self.only)?,
            from: selectors("--from", &self.from)?,
            until: selectors("--until", &self.until)?,
            force,
        })
    }
}

/// What to say where `--force` has taken the workflow's file for its stage.
pub fn force_advice(error: &clap::Error, words: impl Iterator<Item = OsString>) -> Option<String> {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return None;
    }
    let words: Vec<OsString> = words.collect();
    let taken = words
        .windows(2)
        .find(|pair| pair[0] == "--force" && Path::new(&pair[1]).is_file())?;
    let file = taken[1].to_string_lossy();
    Some(format!(
        "\n`{file}` was taken for the stage of --force: put the file first, `{file} --force`, or write `--force=STAGE {file}`\n"
    ))
}

fn selectors(option: &str, texts: &[String]) -> Result<Vec<Selector>, Failure> {
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error: supermoe_engine::SelectionError| {
                    Problem::input("supermoe::cli::selection", format!("{option}: {error}")).into()
                })
        })
        .collect()
}
