//! The `supermoe` command: parses what the user said, calls the crates that do it, prints.

mod argument_values;
mod arguments;
mod built_ins;
mod commands;
mod early_store;
mod failure;
mod logging;
mod output;
mod progress;
mod project;
mod quantity;
mod run_name;
mod schema_text;
mod screen;
mod selection;
mod signals;
mod summary;
mod table;
mod workflow_file;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

/// Compiling a large workflow and training both make many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Help into a closed pipe is no failure.
            let _ = error.print();
            if let Some(advice) = selection::force_advice(&error, std::env::args_os()) {
                output::to_stderr(&advice);
            }
            return ExitCode::from(code);
        }
    };
    if let Err(failure) = logging::start(&arguments) {
        return failure.report();
    }
    match commands::execute(arguments.command) {
        Ok(exit) => exit,
        Err(failure) => failure.report(),
    }
}
