//! `supermoe completions`: what a shell needs to complete our commands.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output;

/// Prints the completions of a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe completions bash > ~/.local/share/bash-completion/completions/supermoe\n  supermoe completions zsh > ~/.zfunc/_supermoe"
)]
pub struct Arguments {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let mut command = crate::arguments::Arguments::command();
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "supermoe", &mut text);
    output::to_stdout(|out| out.write_all(&text))
}
