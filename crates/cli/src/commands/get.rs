//! `supermoe get RUN STAGE.PORT --to DIR`: lays an output out in a folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use supermoe_engine::{RunRecord, StageRecord};
use supermoe_store::{ArtifactKind, Digest, Store};

use crate::commands::block_on;
use crate::commands::show::record_failed;
use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::{StoreArguments, store_failed};
use crate::run_name::{KnownCell, choose_cell, find_run};

/// Lays an output of a run out in a folder
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe get latest prepare.dataset --to data/\n  supermoe get latest 'finetune[model=ple,seed=1].model' --to model/\n\nA folder's content goes into DIR; a file becomes DIR/PORT."
)]
pub struct Arguments {
    /// A run: `latest`, its id, or the beginning of one
    #[arg(value_name = "RUN")]
    run: String,

    /// A stage or cell, a dot, and the port
    #[arg(value_name = "STAGE.PORT")]
    output: String,

    /// Where to: a folder that does not exist or is empty; a file may go into any folder
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    #[command(flatten)]
    store: StoreArguments,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let (stage, port) = arguments
        .output
        .rsplit_once('.')
        .filter(|(stage, port)| !stage.is_empty() && !port.is_empty() && !port.contains(']'))
        .ok_or_else(|| {
            Problem::input(
                "supermoe::cli::output_name",
                format!("`{}` names no output", arguments.output),
            )
            .help("Write a stage, a dot and its port: prepare.dataset")
        })?;
    let placed = block_on(async {
        let (_, store) = arguments.store.open().await?;
        let run = find_run(&store, &arguments.run).await?;
        let record = RunRecord::read(&store, run).await.map_err(record_failed)?;
        let cells = KnownCell::of_run(&record);
        let Some(stage) = record.stages.get(choose_cell(&cells, stage)?) else {
            return Err(Problem::input(
                "supermoe::cli::port",
                format!("`{stage}` is still running"),
            )
            .help("It has outputs once it has ended")
            .into());
        };
        let digest = output_of(stage, port)?;
        lay_out(&store, &digest, &arguments.to, port).await
    })?;
    output::to_stdout(|out| writeln!(out, "{}", placed.display()))
}

fn output_of(stage: &StageRecord, port: &str) -> Result<Digest, Failure> {
    if let Some(digest) = stage.outputs.get(port) {
        return Ok(*digest);
    }
    let ports: Vec<&str> = stage.outputs.keys().map(String::as_str).collect();
    let help = if ports.is_empty() {
        format!("The stage {} and has no outputs", stage.state)
    } else {
        format!("Its outputs are {}", ports.join(", "))
    };
    Err(Problem::input(
        "supermoe::cli::port",
        format!("{} has no output `{port}`", stage.cell()),
    )
    .help(help)
    .into())
}

/// Whether an artifact is a file is known once it is laid out, so it goes into a folder beside
/// its place first and is moved: the place never holds a half of it.
async fn lay_out(
    store: &Store,
    digest: &Digest,
    to: &Path,
    port: &str,
) -> Result<PathBuf, Failure> {
    let cannot = |path: &Path, error: std::io::Error| {
        Failure::from(
            Problem::failed(
                "supermoe::cli::get",
                format!("Cannot write `{}`", path.display()),
            )
            .because(error),
        )
    };
    if to.is_file() {
        return Err(taken(to, "is a file, expected a folder"));
    }
    let beside = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(beside).map_err(|error| cannot(beside, error))?;
    let temp = tempfile::Builder::new()
        .prefix(".supermoe-get-")
        .tempdir_in(beside)
        .map_err(|error| cannot(beside, error))?;
    let laid = temp.path().join("artifact");
    let kind = store.lay_out(digest, &laid).await.map_err(store_failed)?;
    let place = match kind {
        ArtifactKind::File => {
            std::fs::create_dir_all(to).map_err(|error| cannot(to, error))?;
            let place = to.join(port);
            if place.symlink_metadata().is_ok() {
                return Err(taken(&place, "already exists"));
            }
            place
        }
        ArtifactKind::Folder => {
            if to.is_dir() {
                // Fails on a folder that holds something, which is what is wanted.
                std::fs::remove_dir(to)
                    .map_err(|_| taken(to, "holds something already, expected an empty folder"))?;
            }
            to.to_owned()
        }
    };
    std::fs::rename(&laid, &place).map_err(|error| cannot(&place, error))?;
    Ok(place)
}

fn taken(path: &Path, why: &str) -> Failure {
    Problem::input("supermoe::cli::get", format!("`{}` {why}", path.display()))
        .help("Choose another folder with --to")
        .into()
}
