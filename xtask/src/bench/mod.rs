//! Benches: programs that print a table of medians and ratios.

mod orchestrate;
mod peers;
mod sample;

use clap::Subcommand;

use crate::command::TaskError;

#[derive(Subcommand)]
pub enum Bench {
    /// The orchestrator against Snakemake and DVC, on layers of trivial shell stages.
    Orchestrate(orchestrate::Options),
}

impl Bench {
    pub fn run(self) -> Result<(), TaskError> {
        match self {
            Bench::Orchestrate(options) => orchestrate::run(&options),
        }
    }
}
