//! One file for each command: its arguments and what it does.

pub mod check;
pub mod compare;
pub mod completions;
pub mod diff;
pub mod gc;
pub mod get;
pub mod graph;
pub mod init;
pub mod logs;
pub mod plan;
pub mod plugin;
pub mod plugins;
pub mod report;
pub mod run;
pub mod runs;
pub mod schema;
pub mod show;
pub mod watcher;
pub mod worker;

use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::arguments::Command;
use crate::failure::{Exit, Failure, Problem};

/// Does what the user asked for.
pub fn execute(command: Command) -> Result<ExitCode, Failure> {
    let done = |result: Result<(), Failure>| result.map(|()| Exit::Done.into());
    match command {
        Command::Run(arguments) => leave(run::execute(&arguments)?),
        Command::Check(arguments) => leave(check::execute(&arguments)?),
        Command::Plan(arguments) => {
            plan::execute(&arguments)?;
            leave(Exit::Done)
        }
        Command::Graph(arguments) => done(graph::execute(&arguments)),
        Command::Plugins(arguments) => done(plugins::execute(&arguments)),
        Command::Schema(arguments) => done(schema::execute(&arguments)),
        Command::Init(arguments) => done(init::execute(&arguments)),
        Command::Runs(arguments) => done(runs::execute(&arguments)),
        Command::Show(arguments) => done(show::execute(&arguments)),
        Command::Report(arguments) => done(report::execute(&arguments)),
        Command::Compare(arguments) => done(compare::execute(&arguments)),
        Command::Logs(arguments) => done(logs::execute(&arguments)),
        Command::Get(arguments) => done(get::execute(&arguments)),
        Command::Diff(arguments) => done(diff::execute(&arguments)),
        Command::Gc(arguments) => done(gc::execute(&arguments)),
        Command::Plugin(arguments) => plugin::execute(&arguments).map(ExitCode::from),
        Command::Completions(arguments) => done(completions::execute(&arguments)),
        Command::Worker(arguments) => worker::execute(&arguments),
        Command::Watcher(arguments) => Ok(watcher::execute(&arguments)),
    }
}

/// Ends the process at once: the allocator does not give a large workflow's memory back piece by
/// piece before the system takes it as a whole.
fn leave(exit: Exit) -> ! {
    // What a command prints is flushed, and its failure told, where it is printed.
    let _ = io::stdout().flush();
    signal_hook::low_level::exit(exit as i32)
}

/// Runs a future to its end on this thread. Files and processes that block have threads of
/// their own, made when the first one is needed; one that still blocks at the end is left alone.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::from(Problem::failed("supermoe::cli::runtime", "Cannot start").because(error))
        })?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}
