//! `cargo xtask bench orchestrate`: N shell stages in layers of ten, against Snakemake and DVC.

use std::path::{Path, PathBuf};

use clap::Args;

use super::peers::{self, LAYER};
use super::sample::{Sample, readable};
use crate::command::{self, Cost, TaskError, measure};

#[derive(Args)]
pub struct Options {
    /// Stages of the main comparison.
    #[arg(long, default_value_t = 1000)]
    stages: usize,
    /// Stages of the large graph, ours alone; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    large: usize,
    /// Stages for DVC, which needs about 0.1 s for each; 0 leaves it out.
    #[arg(long, default_value_t = 100)]
    dvc: usize,
    /// Repetitions of each warm measurement; cold ones are made a third as often.
    #[arg(long, default_value_t = 9)]
    repeat: usize,
    /// Measure ours alone.
    #[arg(long)]
    without_peers: bool,
}

pub fn run(options: &Options) -> Result<(), TaskError> {
    for (name, stages) in [
        ("--stages", options.stages),
        ("--large", options.large),
        ("--dvc", options.dvc),
    ] {
        if stages % LAYER != 0 {
            return Err(TaskError::Other(format!(
                "{name} must be a multiple of {LAYER}, found {stages}"
            )));
        }
    }
    let ours = command::release_binary()?;
    let scratch = tempfile::tempdir().map_err(TaskError::io("a temporary folder"))?;
    let mut table = Table::default();
    compare_snakemake(options, &ours, scratch.path(), &mut table)?;
    if options.large > 0 {
        measure_large(options, &ours, scratch.path(), &mut table)?;
    }
    if options.dvc > 0 && !options.without_peers {
        compare_dvc(options, &ours, scratch.path(), &mut table)?;
    }
    print!("{}", table.markdown());
    Ok(())
}

/// What is measured of a tool: the program, and its arguments for each thing that it can do.
struct Tool<'a> {
    program: &'a Path,
    folder: PathBuf,
    /// What a cold run must not find.
    state: &'a [&'a str],
}

impl Tool<'_> {
    fn cold(&self, args: &[&str]) -> Result<Cost, TaskError> {
        for name in self.state {
            let path = self.folder.join(name);
            let gone = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            match gone {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TaskError::io(path.display().to_string())(error));
                }
                _ => {}
            }
        }
        self.warm(args)
    }

    fn warm(&self, args: &[&str]) -> Result<Cost, TaskError> {
        measure(self.program, args, &self.folder)
    }
}

fn ours_in<'a>(program: &'a Path, scratch: &Path, stages: usize) -> Result<Tool<'a>, TaskError> {
    let folder = scratch.join(format!("ours-{stages}"));
    std::fs::create_dir_all(&folder).map_err(TaskError::io("a folder"))?;
    peers::write_ours(&folder, stages)?;
    Ok(Tool {
        program,
        folder,
        state: &[".supermoe"],
    })
}

const RUN: &[&str] = &["run", "layers.yaml", "--jobs", "2"];
const PLAN: &[&str] = &["plan", "layers.yaml"];
const CHECK: &[&str] = &["check", "layers.yaml"];

fn compare_snakemake(
    options: &Options,
    ours: &Path,
    scratch: &Path,
    table: &mut Table,
) -> Result<(), TaskError> {
    let ours = ours_in(ours, scratch, options.stages)?;
    let environment = if options.without_peers {
        None
    } else {
        Some(command::python_environment("bench-snakemake", &["snakemake"])?.join("snakemake"))
    };
    let peer_folder = scratch.join("snakemake");
    std::fs::create_dir_all(&peer_folder).map_err(TaskError::io("a folder"))?;
    peers::write_snakemake(&peer_folder, options.stages)?;
    let peer = environment.as_deref().map(|program| Tool {
        program,
        folder: peer_folder,
        state: &[".snakemake", "out"],
    });

    let (mut cold, mut peer_cold) = (Sample::default(), Sample::default());
    for _ in 0..options.repeat.div_ceil(3) {
        cold.add(ours.cold(RUN)?);
        if let Some(peer) = &peer {
            peer_cold.add(peer.cold(&["--cores", "2", "--quiet", "all"])?);
        }
    }
    let mut samples: [Sample; 5] = Default::default();
    let [warm, plan, check, peer_warm, peer_dry] = &mut samples;
    for _ in 0..options.repeat {
        warm.add(ours.warm(RUN)?);
        plan.add(ours.warm(PLAN)?);
        check.add(ours.warm(CHECK)?);
        if let Some(peer) = &peer {
            peer_warm.add(peer.warm(&["--cores", "2", "--quiet", "all"])?);
            peer_dry.add(peer.warm(&["--cores", "2", "--dry-run", "--quiet", "all"])?);
        }
    }
    let n = options.stages;
    table.row(
        format!("{n} stages, cold, 2 jobs"),
        &cold,
        "Snakemake",
        &peer_cold,
    );
    table.row(
        format!("{n} stages, nothing changed"),
        warm,
        "Snakemake",
        peer_warm,
    );
    table.row(
        format!("{n} stages, `plan`"),
        plan,
        "Snakemake dry run",
        peer_dry,
    );
    table.row(
        format!("{n} stages, `check`"),
        check,
        "Snakemake dry run",
        peer_dry,
    );
    table.base = warm.median();
    Ok(())
}

fn measure_large(
    options: &Options,
    ours: &Path,
    scratch: &Path,
    table: &mut Table,
) -> Result<(), TaskError> {
    let ours = ours_in(ours, scratch, options.large)?;
    let mut cold = Sample::default();
    cold.add(ours.cold(RUN)?);
    let mut warm = Sample::default();
    for _ in 0..options.repeat {
        warm.add(ours.warm(RUN)?);
    }
    let n = options.large;
    let none = Sample::default();
    table.row(format!("{n} stages, cold, 2 jobs"), &cold, "", &none);
    table.row(format!("{n} stages, nothing changed"), &warm, "", &none);
    if let (Some(base), Some(large)) = (table.base, warm.median()) {
        table.notes.push(format!(
            "{n} stages, nothing changed: {:.1} times the time of {} stages, peak memory {} MiB.",
            large.as_secs_f64() / base.as_secs_f64(),
            options.stages,
            warm.peak_bytes() >> 20
        ));
    }
    Ok(())
}

fn compare_dvc(
    options: &Options,
    ours: &Path,
    scratch: &Path,
    table: &mut Table,
) -> Result<(), TaskError> {
    let ours = ours_in(ours, scratch, options.dvc)?;
    let program = command::python_environment("bench-dvc", &["dvc"])?.join("dvc");
    let folder = scratch.join("dvc");
    std::fs::create_dir_all(&folder).map_err(TaskError::io("a folder"))?;
    measure(&program, ["init", "--no-scm", "--quiet"], &folder)?;
    peers::write_dvc(&folder, options.dvc)?;
    let outputs: Vec<String> = (0..options.dvc)
        .map(|i| format!("o{}_{}", i / LAYER, i % LAYER))
        .collect();
    let mut state: Vec<&str> = outputs.iter().map(String::as_str).collect();
    state.extend(["dvc.lock", ".dvc/cache", ".dvc/tmp"]);
    let peer = Tool {
        program: &program,
        folder,
        state: &state,
    };

    let (mut cold, mut warm, mut peer_cold, mut peer_warm) =
        <(Sample, Sample, Sample, Sample)>::default();
    cold.add(ours.cold(RUN)?);
    peer_cold.add(peer.cold(&["repro", "--quiet"])?);
    for _ in 0..options.repeat.div_ceil(3) {
        warm.add(ours.warm(RUN)?);
        peer_warm.add(peer.warm(&["repro", "--quiet"])?);
    }
    let n = options.dvc;
    table.row(format!("{n} stages, cold"), &cold, "DVC", &peer_cold);
    table.row(
        format!("{n} stages, nothing changed"),
        &warm,
        "DVC",
        &peer_warm,
    );
    Ok(())
}

/// Rows of ours beside a peer.
#[derive(Default)]
struct Table {
    rows: Vec<String>,
    notes: Vec<String>,
    /// Our time with nothing changed, of the main comparison.
    base: Option<std::time::Duration>,
}

impl Table {
    fn row(&mut self, what: String, ours: &Sample, peer: &str, theirs: &Sample) {
        let Some(own) = ours.median() else { return };
        let (peer_cell, ratio) = match theirs.median() {
            Some(other) => (
                format!("{peer} {}", readable(other)),
                format!("1/{:.1}", other.as_secs_f64() / own.as_secs_f64()),
            ),
            None => (String::new(), String::new()),
        };
        self.rows.push(format!(
            "| {what} | {} | {} MiB | {peer_cell} | {ratio} |",
            readable(own),
            ours.peak_bytes() >> 20
        ));
    }

    fn markdown(&self) -> String {
        let mut text = String::from(
            "| what | supermoe | peak memory | peer | ratio |\n| --- | --- | --- | --- | --- |\n",
        );
        for row in &self.rows {
            text.push_str(row);
            text.push('\n');
        }
        for note in &self.notes {
            text.push('\n');
            text.push_str(note);
            text.push('\n');
        }
        text
    }
}
