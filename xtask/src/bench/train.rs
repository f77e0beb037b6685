//! `cargo xtask bench train`: training steps, inference and an epoch of fine-tuning, against PyTorch.

mod configuration;
mod contender;
mod figures;
mod retail;
mod table;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use self::configuration::Configuration;
use self::contender::{Contender, Kind};
use self::table::Table;
use crate::command::{self, TaskError};

#[derive(Args)]
pub struct Options {
    /// Names from xtask/peers/train/configurations.json, and `retail`; without any, all of them.
    configurations: Vec<String>,
    /// Repetitions, all contenders and configurations in turn.
    #[arg(long, alias = "runs", default_value_t = 5)]
    repeat: usize,
    /// Measure the peer through torch.compile too.
    #[arg(long)]
    compile: bool,
    /// The encoder's forward pass without gradients in place of training.
    #[arg(long)]
    inference: bool,
    /// Steps that each run times; where batches differ in length, as many more as make whole pools of them.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Measure ours alone.
    #[arg(long)]
    without_peers: bool,
    /// One more peer of training: a script that takes sizes as flags and prints the same JSON.
    #[arg(long, value_name = "SCRIPT")]
    reference: Option<PathBuf>,
    /// One more peer of `retail`: a script that takes --finetune, --seed and --threads.
    #[arg(long, value_name = "SCRIPT")]
    retail_reference: Option<PathBuf>,
}

/// What the peer needs, the newest from the registry; all of it uses the CPU only.
const PACKAGES: &[&str] = &["torch", "numpy", "pandas", "pyarrow", "scikit-learn"];
/// Configurations that are there for a ratio of ours to ours; no peer runs them.
const OURS_ALONE: [&str; 3] = ["moe1", "ids10k", "ids10m"];
/// Steps of ours that should cost about the same.
const RATIOS: [(&str, &str); 2] = [("moe64", "moe1"), ("ids10m", "ids10k")];
/// The configuration whose share of the machine's rate is shown.
const SHARE_OF: &str = "wide";

pub fn run(options: &Options) -> Result<(), TaskError> {
    let configurations = configuration::chosen(&options.configurations, options.inference)?;
    let contenders = contenders(options)?;
    let retail = configurations
        .iter()
        .any(Configuration::is_retail)
        .then(retail::Project::new)
        .transpose()?;
    let mut table = Table::default();
    let mut rates = Vec::new();
    for round in 0..options.repeat {
        for configuration in &configurations {
            for contender in &contenders {
                if !runs(contender, configuration) {
                    continue;
                }
                let figures = match &retail {
                    Some(project) if configuration.is_retail() => {
                        project.measure(contender, round, options.threads)?
                    }
                    _ => contender.measure(configuration, &arguments(options))?,
                };
                eprintln!(
                    "{}/{} {} {}: {:.1} ms",
                    round + 1,
                    options.repeat,
                    configuration.name,
                    contender.kind.name(),
                    figures.step_ms
                );
                table.add(&configuration.name, contender.kind, figures);
            }
        }
        if configurations.iter().any(|one| one.name == SHARE_OF) {
            rates.push(contenders[0].sgemm_rate(options.threads)?);
        }
    }
    print!("{}", table.markdown());
    print!("{}", notes(&table, rates));
    Ok(())
}

/// What every program is given after its configuration.
fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec![
        format!("--steps={}", options.steps),
        format!("--threads={}", options.threads),
    ];
    if options.inference {
        arguments.push("--inference".to_owned());
    }
    arguments
}

/// Ours first.
fn contenders(options: &Options) -> Result<Vec<Contender>, TaskError> {
    let mut contenders = vec![Contender::ours(command::release_example(
        "supermoe-nn",
        "step_time",
    )?)];
    if options.without_peers {
        return Ok(contenders);
    }
    let python = command::python_environment("bench-train", PACKAGES)?.join("python");
    let folder = command::root().join("xtask/peers/train");
    let mut add = |kind, script: PathBuf, retail: Option<PathBuf>| {
        contenders.push(Contender::peer(kind, python.clone(), script, retail));
    };
    let (script, retail) = (folder.join("supermoe.py"), folder.join("retail.py"));
    add(Kind::Eager, script.clone(), Some(retail));
    if options.compile {
        add(Kind::Compiled, script, None);
    }
    if let Some(reference) = &options.reference {
        let place = |path: &PathBuf| {
            path.canonicalize()
                .map_err(TaskError::io(path.display().to_string()))
        };
        let retail = options.retail_reference.as_ref().map(place).transpose()?;
        add(Kind::Reference, place(reference)?, retail);
    }
    Ok(contenders)
}

fn runs(contender: &Contender, configuration: &Configuration) -> bool {
    match contender.kind {
        Kind::Ours => true,
        _ if OURS_ALONE.contains(&configuration.name.as_str()) => false,
        _ if configuration.is_retail() => contender.retail.is_some(),
        Kind::Reference => configuration.is_plain(),
        Kind::Eager | Kind::Compiled => true,
    }
}

fn notes(table: &Table, rates: Vec<f64>) -> String {
    let mut text = String::new();
    for (large, small) in RATIOS {
        if let (Some(large_ms), Some(small_ms)) = (table.own_ms(large), table.own_ms(small)) {
            let ratio = large_ms / small_ms;
            let _ = writeln!(
                text,
                "\nA step of {large} takes {ratio:.3} times one of {small}."
            );
        }
    }
    // The best of the rounds: another program's work can only lower it.
    let rate = rates.into_iter().max_by(f64::total_cmp);
    if let (Some((ms, gflop)), Some(rate)) = (table.own_work(SHARE_OF), rate) {
        let reached = gflop / ms * 1e3;
        let _ = writeln!(
            text,
            "\nThe matrix products of a step of {SHARE_OF} are {gflop:.1} GFLOP: {reached:.0} GFLOP/s, {:.0} % of the \
             {rate:.0} GFLOP/s that the library of matrix products reaches on [4096, 128] x [128, 512].",
            reached / rate * 100.0
        );
    }
    text
}
