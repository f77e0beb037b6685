//! `supermoe watcher`: outlives a run by a moment and ends what it left; started by the engine.

use std::process::ExitCode;

use clap::Args;

/// Ends the processes of a run that died
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  started by `supermoe run`, once a run")]
pub struct Arguments {}

pub fn execute(_arguments: &Arguments) -> ExitCode {
    supermoe_plugin::host::watcher_main()
}
