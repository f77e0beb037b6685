//! Guesses a workflow from a table: which column says who and which when, channels, splits, tasks, and
//! sizes that suit the data. Reads a bounded part of each file.

mod amount;
mod channels;
mod column_name;
mod day_order;
mod delimited;
mod error;
mod guess;
mod json_lines;
mod labels;
mod number;
mod parquet_file;
mod plan;
mod reading;
mod roles;
mod sample;
mod sizes;
mod split_plan;
mod summary;
mod tasks;
mod text_file;
mod time_fits;
mod time_format;
mod training;
mod workflow;
mod yaml;

use std::path::PathBuf;

pub use error::DraftError;

/// What a workflow is to be drafted from.
#[derive(Debug)]
pub struct DraftRequest {
    /// Files of the same columns.
    pub files: Vec<PathBuf>,
    /// The same as the workflow is to name them, such as `./data.csv`.
    pub paths: Vec<String>,
    /// The workflow's name.
    pub name: String,
    /// The column that says who, where it is not to be guessed.
    pub entity: Option<String>,
    /// The column that says when, where it is not to be guessed.
    pub time: Option<String>,
    /// Whether there is a plugin `export`.
    pub export: bool,
}

/// A workflow, and what was guessed on the way.
#[derive(Debug)]
pub struct Draft {
    /// The text of the file.
    pub workflow: String,
    /// What was guessed and why, by a word that stands before it.
    pub guesses: Vec<(&'static str, String)>,
    /// What is doubtful, for the user to look at.
    pub warnings: Vec<String>,
}

/// Drafts a workflow that runs.
///
/// # Errors
/// Files that are no table, and tables without somebody, a time, or anything to be predicted: with what
/// was tried, and what to do.
pub fn draft(request: &DraftRequest) -> Result<Draft, DraftError> {
    let sample = reading::read(&request.files)?;
    let plan = plan::plan(&sample, request.entity.as_deref(), request.time.as_deref())?;
    let place = workflow::Place {
        name: &request.name,
        paths: &request.paths,
        export: request.export,
    };
    Ok(Draft {
        workflow: workflow::written(&sample, &plan, &place),
        guesses: summary::lines(&sample, &plan),
        warnings: summary::warnings(&sample, &plan),
    })
}
