//! What developers run by name: `cargo xtask bench …` and `cargo xtask suite …`.

mod bench;
mod command;
mod suite;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Benches and suites of supermoe",
    version
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure against a peer, on this machine, in the same minutes.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run a suite that takes longer than `cargo test` should, or needs a real server.
    #[command(subcommand)]
    Suite(suite::Suite),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Bench(bench) => bench.run(),
        Task::Suite(suite) => suite.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
