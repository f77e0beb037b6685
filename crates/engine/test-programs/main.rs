//! Programs for the tests: what `supermoe` itself is to a run. A watcher, and a built-in plugin
//! that keeps checkpoints.

mod counter;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["watcher"] => supermoe_plugin::host::watcher_main(),
        ["worker", "counter"] => counter::main(),
        other => {
            eprintln!("expected `watcher` or `worker counter`, found {other:?}");
            ExitCode::from(2)
        }
    }
}
