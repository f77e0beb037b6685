//! `supermoe worker NAME`: serves one request to a built-in plugin; started by the engine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use supermoe_plugin::request::{EVENTS_VARIABLE, REQUEST_VARIABLE};
use supermoe_plugin::sdk::serve_request;

use crate::built_ins;
use crate::failure::{Failure, Problem};

/// Serves one request to a built-in plugin
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  SUPERMOE_REQUEST=request.json SUPERMOE_EVENTS=events.ndjson supermoe worker prepare"
)]
pub struct Arguments {
    name: String,
}

pub fn execute(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let plugin = built_ins::named(&arguments.name).ok_or_else(|| {
        Problem::input(
            "supermoe::cli::worker",
            format!("There is no built-in plugin `{}`", arguments.name),
        )
        .help("The engine starts workers; `supermoe plugins` lists the plugins")
    })?;
    let request = env::var_os(REQUEST_VARIABLE).ok_or_else(|| {
        Problem::input(
            "supermoe::cli::worker",
            format!("{REQUEST_VARIABLE} is not set"),
        )
        .help("The engine starts workers: use `supermoe run`")
    })?;
    let events = env::var_os(EVENTS_VARIABLE).map(PathBuf::from);
    Ok(serve_request(
        &plugin,
        Path::new(&request),
        events.as_deref(),
    ))
}
