//! Benches: programs that print a table of medians and ratios.

mod auc;
mod comparison;
mod orchestrate;
mod peers;
mod prepare;
mod sample;
mod train;

use clap::Subcommand;

use crate::command::TaskError;

#[derive(Subcommand)]
pub enum Bench {
    /// The orchestrator against Snakemake and DVC, on layers of trivial shell stages.
    Orchestrate(orchestrate::Options),
    /// Events to a dataset, against pandas and Polars.
    Prepare(prepare::Options),
    /// The exact AUC of many scores, against scikit-learn.
    Auc(auc::Options),
    /// Training and inference against PyTorch, by named configurations.
    Train(train::Options),
}

impl Bench {
    pub fn run(self) -> Result<(), TaskError> {
        match self {
            Bench::Orchestrate(options) => orchestrate::run(&options),
            Bench::Prepare(options) => prepare::run(&options),
            Bench::Auc(options) => auc::run(&options),
            Bench::Train(options) => train::run(&options),
        }
    }
}
