//! The command line: global options and one variant for each command.

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands;

#[derive(Debug, Parser)]
#[command(
    name = "supermoe",
    version,
    about = "Runs machine-learning workflows: remembers every result and does no work twice",
    after_help = "Examples:\n  supermoe check workflow.yaml\n  supermoe plan workflow.yaml\n  supermoe run workflow.yaml --set seed=2\n  supermoe show latest",
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// What to log to stderr: a level, or targets with levels such as `supermoe_engine=debug`
    #[arg(
        long = "log",
        global = true,
        value_name = "FILTER",
        env = "SUPERMOE_LOG",
        hide_env_values = true
    )]
    pub log: Option<String>,

    /// How log lines look
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Init(commands::init::Arguments),
    Run(commands::run::Arguments),
    Check(commands::check::Arguments),
    Plan(commands::plan::Arguments),
    Graph(commands::graph::Arguments),
    Plugins(commands::plugins::Arguments),
    Schema(commands::schema::Arguments),
    Runs(commands::runs::Arguments),
    Show(commands::show::Arguments),
    Report(commands::report::Arguments),
    Compare(commands::compare::Arguments),
    Logs(commands::logs::Arguments),
    Get(commands::get::Arguments),
    Diff(commands::diff::Arguments),
    Gc(commands::gc::Arguments),
    Plugin(commands::plugin::Arguments),
    Completions(commands::completions::Arguments),
    #[command(hide = true)]
    Worker(commands::worker::Arguments),
    #[command(hide = true)]
    Watcher(commands::watcher::Arguments),
}
