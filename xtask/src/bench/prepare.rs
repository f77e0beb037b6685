//! `cargo xtask bench prepare`: events to a dataset, against pandas and Polars.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::comparison::Comparison;
use super::sample::Sample;
use crate::command::{self, TaskError, measure, measure_printed};

#[derive(Args)]
pub struct Options {
    #[arg(long, default_value_t = 20_000_000)]
    events: u64,
    #[arg(long, default_value_t = 200_000)]
    users: u64,
    /// How many events one user has beside its share.
    #[arg(long, default_value_t = 0)]
    of_one_user: u64,
    /// Repetitions of each.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Measure ours alone.
    #[arg(long)]
    without_peers: bool,
}

/// What every tool is asked to do; the peers say the same in Python.
const WORKFLOW: &str = include_str!("prepare.yaml");

/// By split: samples, and those of them with a positive label, by task.
type Counts = BTreeMap<String, [u64; 3]>;

pub fn run(options: &Options) -> Result<(), TaskError> {
    let ours = command::release_binary()?;
    let scratch = tempfile::tempdir().map_err(TaskError::io("a temporary folder"))?;
    let folder = scratch.path();
    let events = folder.join("events.parquet");
    write_events(&events, options)?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workflow = WORKFLOW.replace("CPUS", &cpus.to_string());
    write(&folder.join("prepare.yaml"), &workflow)?;
    write(&folder.join("supermoe.toml"), "")?;
    let peers = match options.without_peers {
        true => Vec::new(),
        false => vec![Peer::new("pandas")?, Peer::new("polars")?],
    };
    let mut own = Sample::default();
    let mut theirs: Vec<Sample> = peers.iter().map(|_| Sample::default()).collect();
    for _ in 0..options.repeat {
        clear(&folder.join(".supermoe"))?;
        own.add(measure(&ours, ["run", "prepare.yaml"], folder)?);
        let expected = counts_of_ours(&ours, folder)?;
        for (peer, sample) in peers.iter().zip(&mut theirs) {
            let output = folder.join(peer.name);
            clear(&output)?;
            fs::create_dir(&output).map_err(TaskError::io("a folder"))?;
            let args = [&peer.script, &events, &output];
            let (cost, printed) = measure_printed(&peer.python, args, folder)?;
            sample.add(cost);
            let found: Counts = serde_json::from_str(&printed).map_err(|error| {
                TaskError::Other(format!("{} printed `{printed}`: {error}", peer.name))
            })?;
            if found != expected {
                return Err(TaskError::Other(format!(
                    "{} makes other samples: {found:?}, ours are {expected:?}",
                    peer.name
                )));
            }
        }
    }
    let mut table = Comparison::new(format!("{} events, {cpus} cores", options.events));
    table.row("supermoe", &own);
    for (peer, sample) in peers.iter().zip(&theirs) {
        table.row(peer.name, sample);
    }
    print!("{}", table.markdown());
    Ok(())
}

struct Peer {
    name: &'static str,
    python: PathBuf,
    script: PathBuf,
}

impl Peer {
    fn new(name: &'static str) -> Result<Self, TaskError> {
        let packages = ["pandas", "pyarrow", "polars"];
        let python = command::python_environment("bench-prepare", &packages)?;
        let scripts = command::root().join("xtask/peers");
        Ok(Self {
            name,
            python: python.join("python"),
            script: scripts.join(format!("prepare_{name}.py")),
        })
    }
}

fn write_events(file: &Path, options: &Options) -> Result<(), TaskError> {
    let generator = command::release_example("supermoe-channels", "synthetic_events")?;
    let sizes = [options.events, options.users, options.of_one_user];
    let mut args = vec![file.display().to_string()];
    args.extend(sizes.map(|size| size.to_string()));
    measure(&generator, args, command::root()).map(|_| ())
}

/// What the data card of the last run says.
fn counts_of_ours(ours: &Path, folder: &Path) -> Result<Counts, TaskError> {
    let dataset = folder.join("dataset");
    clear(&dataset)?;
    measure(
        ours,
        ["get", "latest", "prepare.dataset", "--to", "dataset"],
        folder,
    )?;
    let card = fs::read(dataset.join("card.json")).map_err(TaskError::io("the data card"))?;
    let card: serde_json::Value = serde_json::from_slice(&card)
        .map_err(|error| TaskError::Other(format!("the data card: {error}")))?;
    let counts = ["train", "valid", "test"].map(|split| {
        let samples = card["splits"][split]["samples"].as_u64().unwrap_or(0);
        let positives = |task: &str| {
            let rate = card["tasks"][task]["label_rate"][split].as_f64();
            // A rate of so many samples is a whole number of them.
            (rate.unwrap_or(0.0) * samples as f64).round() as u64
        };
        let of_split = [samples, positives("buys"), positives("spends")];
        (split.to_owned(), of_split)
    });
    Ok(counts.into())
}

fn write(file: &Path, text: &str) -> Result<(), TaskError> {
    fs::write(file, text).map_err(TaskError::io(file.display().to_string()))
}

fn clear(folder: &Path) -> Result<(), TaskError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TaskError::io(folder.display().to_string())(error))
        }
        _ => Ok(()),
    }
}
