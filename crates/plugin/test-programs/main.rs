//! Programs for the tests: a watcher, a runner to be killed, and a plugin with many manners.

mod runner;
mod toy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("watcher") => supermoe_plugin::host::watcher_main(),
        Some("runner") => runner::main(&arguments[1..]),
        Some("toy") => toy::main(),
        other => {
            eprintln!("expected watcher, runner or toy, found {other:?}");
            ExitCode::from(2)
        }
    }
}
