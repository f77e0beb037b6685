//! `supermoe compare RUN... | --workflow FILE`: rows of runs side by side, over seeds, with
//! significance.

mod evaluated;
mod named_levels;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use supermoe_report::{
    Comparison, ComparisonError, ComparisonRequest, Observations, PairedTest, compare,
};
use supermoe_store::RunId;

use crate::commands::block_on;
use crate::commands::compare::evaluated::evaluated_runs;
use crate::commands::compare::named_levels::{Level, NamedLevels};
use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::StoreArguments;
use crate::screen::Screen;

/// Compares rows of runs over seeds: means, the best, significance of differences
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe compare latest\n  supermoe compare latest --rows model --columns task --metric auc --against model=supermoe\n  supermoe compare --workflow workflows/ablation.yaml --to table.tex\n\nRows that were tested on other samples, with other labels or by metrics of another version are refused."
)]
pub struct Arguments {
    /// Runs: `latest`, an id, or the beginning of one
    #[arg(
        value_name = "RUN",
        required_unless_present = "workflow",
        conflicts_with = "workflow"
    )]
    runs: Vec<String>,

    /// The latest run of this workflow that succeeded
    #[arg(long, value_name = "FILE")]
    workflow: Option<PathBuf>,

    /// What makes a row: axes of the matrix, or task, metric, class, stage, source, evaluation, run
    /// [default: the axes that vary]
    #[arg(
        long,
        value_name = "AXIS,...",
        value_delimiter = ',',
        help_heading = "The table"
    )]
    rows: Vec<String>,

    /// What makes a column [default: task]
    #[arg(
        long,
        value_name = "AXIS,...",
        value_delimiter = ',',
        help_heading = "The table"
    )]
    columns: Vec<String>,

    /// What means and pairs are taken over [default: seed]
    #[arg(
        long,
        value_name = "AXIS,...",
        value_delimiter = ',',
        help_heading = "The table"
    )]
    over: Vec<String>,

    /// The metric; several with `--columns metric` [default: auc, else the first]
    #[arg(
        long = "metric",
        value_name = "METRIC,...",
        value_delimiter = ',',
        help_heading = "The table"
    )]
    metrics: Vec<String>,

    /// Leaves out what has other values: `--where model=ple,bert`; several hold together. A comma within a
    /// value is written `\,`
    #[arg(
        long = "where",
        value_name = "AXIS=VALUE,...",
        help_heading = "The table"
    )]
    filters: Vec<Level>,

    /// The row that others are tested against: `model=supermoe`. A comma within a value is written `\,`:
    /// `note=x=1\,y=2`
    #[arg(long, value_name = "AXIS=VALUE,...", help_heading = "The table")]
    against: Option<NamedLevels>,

    /// How paired differences are tested
    #[arg(long, value_enum, default_value_t, help_heading = "The table")]
    test: Test,

    /// Decimals; what reads the same is a tie
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(0..=15),
        help_heading = "The table"
    )]
    digits: u8,

    /// [default: by the ending of --to, else terminal]
    #[arg(long, value_enum, help_heading = "What it prints")]
    format: Option<Format>,

    /// Writes into a file, which is replaced: .md, .csv, .tex and .html choose the format
    #[arg(long, value_name = "FILE", help_heading = "What it prints")]
    to: Option<PathBuf>,

    /// Prints one JSON document
    #[arg(long, conflicts_with = "format", help_heading = "What it prints")]
    json: bool,

    #[command(flatten)]
    store: StoreArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Test {
    /// Student's paired t-test, from 3 pairs on
    #[default]
    T,
    /// The exact Wilcoxon signed-rank test, from 6 pairs on
    Wilcoxon,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Terminal,
    Markdown,
    /// A line for each cell, figures in full
    Csv,
    /// For the package booktabs
    Latex,
    Html,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    runs: Vec<RunId>,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let runs = block_on(evaluated_runs(
        &arguments.runs,
        arguments.workflow.as_deref(),
        &arguments.store,
    ))?;
    let observations = Observations::of(&runs);
    let comparison = compare(&observations, &arguments.request()).map_err(refused)?;
    let text = match arguments.json {
        true => document(&Document {
            runs: runs.iter().map(|run| run.run).collect(),
            comparison: &comparison,
        }),
        false => text(&comparison, arguments.format(), arguments.to.is_some()),
    }?;
    match &arguments.to {
        Some(file) => output::write_file(file, &text).map_err(|error| cannot_write(file, error)),
        None => output::to_stdout(|out| out.write_all(text.as_bytes())),
    }
}

impl Arguments {
    fn request(&self) -> ComparisonRequest {
        ComparisonRequest {
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            over: self.over.clone(),
            metrics: self.metrics.clone(),
            filters: self.filters.iter().cloned().map(Level::into_pair).collect(),
            against: self.against.iter().flat_map(NamedLevels::pairs).collect(),
            test: match self.test {
                Test::T => PairedTest::StudentsT,
                Test::Wilcoxon => PairedTest::WilcoxonSignedRank,
            },
            digits: usize::from(self.digits),
        }
    }

    fn format(&self) -> Format {
        let ending = self.to.as_deref().and_then(Path::extension);
        let of_file = match ending.and_then(|ending| ending.to_str()) {
            Some("md" | "markdown") => Format::Markdown,
            Some("csv") => Format::Csv,
            Some("tex") => Format::Latex,
            Some("html" | "htm") => Format::Html,
            _ => Format::Terminal,
        };
        self.format.unwrap_or(of_file)
    }
}

fn document(document: &Document<'_>) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(document).map_err(cannot_make)?;
    Ok(text + "\n")
}

fn text(comparison: &Comparison, format: Format, into_file: bool) -> Result<String, Failure> {
    Ok(match format {
        Format::Terminal if into_file => comparison.terminal(usize::MAX, str::to_owned),
        Format::Terminal => {
            let screen = Screen::stdout();
            comparison.terminal(screen.width, |text| screen.bold(text))
        }
        Format::Markdown => comparison.markdown(),
        Format::Csv => comparison.csv().map_err(cannot_make)?,
        Format::Latex => comparison.latex(),
        Format::Html => comparison.html(),
    })
}

fn refused(error: ComparisonError) -> Failure {
    let message = sentence(&error.to_string());
    Problem::input("supermoe::cli::compare", message)
        .help(error.help())
        .into()
}

/// Messages of this program begin with a capital letter, those of its libraries do not.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn cannot_make(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Problem::failed("supermoe::cli::compare", "Cannot make the table")
        .because(error)
        .into()
}

fn cannot_write(file: &Path, error: std::io::Error) -> Failure {
    Problem::failed(
        "supermoe::cli::compare",
        format!("Cannot write the table `{}`", file.display()),
    )
    .because(error)
    .help("Choose a file in a folder that is there and can be written")
    .into()
}
