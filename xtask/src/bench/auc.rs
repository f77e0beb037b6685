//! `cargo xtask bench auc`: the exact AUC of many scores, against scikit-learn.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::comparison::Comparison;
use super::sample::Sample;
use crate::command::{self, Cost, TaskError, measure_printed};

#[derive(Args)]
pub struct Options {
    /// How many scores.
    #[arg(long, default_value_t = 10_000_000)]
    scores: u64,
    /// Repetitions of each.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
}

/// Both must find the same area; sums of floats may part them in the last digits.
const TOLERANCE: f64 = 1e-9;

pub fn run(options: &Options) -> Result<(), TaskError> {
    let ours = command::release_example("supermoe-metrics", "auc_of_file")?;
    let python = command::python_environment("bench-auc", &["scikit-learn", "numpy"])?;
    let script = command::root().join("xtask/peers/auc.py");
    let scratch = tempfile::tempdir().map_err(TaskError::io("a temporary folder"))?;
    let files = ["scores", "labels"].map(|name| scratch.path().join(name));
    write_samples(&files, options.scores)?;
    let [scores, labels] = files.map(|file| file.display().to_string());
    let (mut own, mut theirs) = (Sample::default(), Sample::default());
    for _ in 0..options.repeat {
        let (area, cost) = timed(&ours, &[&scores, &labels], scratch.path())?;
        own.add(cost);
        let script = script.display().to_string();
        let python = python.join("python");
        let (expected, cost) = timed(&python, &[&script, &scores, &labels], scratch.path())?;
        theirs.add(cost);
        if (area - expected).abs() > TOLERANCE {
            return Err(TaskError::Other(format!(
                "ours finds an AUC of {area}, scikit-learn {expected}"
            )));
        }
    }
    let mut table = Comparison::new(format!("AUC of {} scores", options.scores));
    table.row("supermoe", &own);
    table.row("scikit-learn", &theirs);
    print!("{}", table.markdown());
    Ok(())
}

/// Runs a program that prints an area and its own seconds.
fn timed(program: &Path, args: &[&str], folder: &Path) -> Result<(f64, Cost), TaskError> {
    let (cost, printed) = measure_printed(program, args, folder)?;
    let mut numbers = printed.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(area)), Some(Ok(seconds))) => Ok((
            area,
            Cost {
                wall: Duration::from_secs_f64(seconds),
                ..cost
            },
        )),
        _ => Err(TaskError::Other(format!(
            "{} printed `{printed}`; expected an area and seconds",
            program.display()
        ))),
    }
}

/// Probabilities of a model that tells something, one label in five positive; the same each time.
fn write_samples(files: &[PathBuf; 2], samples: u64) -> Result<(), TaskError> {
    let create = |path: &PathBuf| {
        let file =
            std::fs::File::create(path).map_err(TaskError::io(path.display().to_string()))?;
        Ok::<_, TaskError>(std::io::BufWriter::with_capacity(1 << 20, file))
    };
    let (mut scores, mut labels) = (create(&files[0])?, create(&files[1])?);
    let mut written = || -> std::io::Result<()> {
        for sample in 0..samples {
            let label = unit(3 * sample) < 0.2;
            let noise = unit(3 * sample + 1) + unit(3 * sample + 2) - 1.0;
            let logit = 4.0 * noise + f64::from(u8::from(label)) - 1.5;
            scores.write_all(&(1.0 / (1.0 + (-logit).exp())).to_le_bytes())?;
            labels.write_all(&[u8::from(label)])?;
        }
        scores.flush()?;
        labels.flush()
    };
    written().map_err(TaskError::io("the samples"))
}

/// The `index`-th number of a sequence within [0, 1): SplitMix64 (Steele, Lea, Flood 2014).
fn unit(index: u64) -> f64 {
    let mut z = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
