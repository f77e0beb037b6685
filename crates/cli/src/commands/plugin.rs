//! `supermoe plugin new` and `supermoe plugin test`: for authors of plugins.

use clap::{Args, Subcommand};

use crate::failure::{Exit, Failure};

mod new;
mod test;

/// Makes a new plugin, or tests one against the contract
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe plugin new clean --lang python\n  supermoe plugin test plugins/clean",
    disable_help_subcommand = true
)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::Arguments),
    Test(test::Arguments),
}

pub fn execute(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.action {
        Action::New(arguments) => new::execute(arguments).map(|()| Exit::Done),
        Action::Test(arguments) => test::execute(arguments),
    }
}
