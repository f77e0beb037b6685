//! `supermoe report RUN`: writes a run's report, made from its journal and the artifacts it names:
//! a page to look at, JSON for programs, Markdown for a change request.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use supermoe_engine::RunRecord;
use supermoe_plugin::ports::PortType;
use supermoe_report::{Report, gather, has_results, markdown, page};
use supermoe_store::{RunId, Store};
use supermoe_workflow::Workflow;

use crate::commands::block_on;
use crate::commands::show::record_failed;
use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::{Project, StoreArguments};
use crate::run_name::find_run;

/// Writes the report of a run: report.html, report.json, report.md
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe report latest\n  supermoe report 01JDH7Z0 --to out/\n\nThe page needs neither network nor scripts. Prints where it is."
)]
pub struct Arguments {
    /// A run: `latest`, its id, or the beginning of one
    #[arg(value_name = "RUN")]
    run: String,

    /// Where to: a folder; reports that are in it are replaced [default: .supermoe/reports/RUN of the project]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,
}

const PAGE_FILE: &str = "report.html";

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let place = block_on(async {
        let (project, store) = arguments.store.open().await?;
        let run = find_run(&store, &arguments.run).await?;
        let record = RunRecord::read(&store, run).await.map_err(record_failed)?;
        let folder = arguments
            .to
            .clone()
            .unwrap_or_else(|| folder_of(&project, run));
        write(&folder, &gather(&store, &record).await)
    })?;
    output::to_stdout(|out| writeln!(out, "{}", place.display()))
}

/// After a run that evaluated something: writes its report into the project and gives the page's
/// place. A report that cannot be written is a warning; the run is what counts.
pub async fn after_run(
    project: &Project,
    store: &Store,
    workflow: &Workflow,
    run: RunId,
) -> Option<PathBuf> {
    let mut ports = workflow.cells.iter().flat_map(|cell| cell.outputs.values());
    if !ports.any(|port| port.port_type == PortType::Report) {
        return None;
    }
    let record = RunRecord::read(store, run).await.map_err(record_failed);
    let record = record.map_err(Failure::warn).ok()?;
    if !has_results(&record) {
        return None;
    }
    let report = gather(store, &record).await;
    let written = write(&folder_of(project, run), &report);
    written.map_err(Failure::warn).ok()
}

fn folder_of(project: &Project, run: RunId) -> PathBuf {
    project.state().join("reports").join(run.to_string())
}

/// Writes the three files, each whole or not at all, and gives the page's place.
fn write(folder: &Path, report: &Report) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, error))?;
    let json = serde_json::to_string(report)
        .map_err(|error| cannot_write(&folder.join("report.json"), error))?;
    write_file(&folder.join("report.json"), &(json + "\n"))?;
    write_file(&folder.join("report.md"), &markdown(report))?;
    let place = folder.join(PAGE_FILE);
    write_file(&place, &page(report))?;
    Ok(place)
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    output::write_file(path, text).map_err(|error| cannot_write(path, error))
}

fn cannot_write(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Problem::failed(
        "supermoe::cli::report",
        format!("Cannot write the report `{}`", path.display()),
    )
    .because(error)
    .help("Choose a folder that can be written: supermoe report RUN --to DIR")
    .into()
}
