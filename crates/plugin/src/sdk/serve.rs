//! The main function of a worker: reads the request, runs the plugin, says how it ended.

use std::any::Any;
use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::input_names::in_words;
use super::stop_flag::StopFlag;
use super::{BuiltIn, Context, EventWriter, PluginError};
use crate::event::Event;
use crate::manifest::PROTOCOL;
use crate::request::{EVENTS_VARIABLE, REQUEST_VARIABLE, Request};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// The whole `main` of an external plugin. Without arguments it does the work that
/// `SUPERMOE_REQUEST` describes; with `--manifest` it prints its `plugin.json`.
pub fn serve(plugin: &BuiltIn) -> ExitCode {
    if env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == "--manifest")
    {
        return print_manifest(plugin);
    }
    let Some(request) = env::var_os(REQUEST_VARIABLE) else {
        eprintln!(
            "{} is a plugin and is started by supermoe, which sets {REQUEST_VARIABLE}. With --manifest it prints its plugin.json.",
            plugin.manifest.name
        );
        return ExitCode::from(USAGE);
    };
    let events = env::var_os(EVENTS_VARIABLE).map(PathBuf::from);
    serve_request(plugin, Path::new(&request), events.as_deref())
}

/// Serves one request of a known plugin; events go nowhere where there is no path for them.
/// The exit code is 0, or 1 after an error event.
pub fn serve_request(
    plugin: &BuiltIn,
    request_path: &Path,
    events_path: Option<&Path>,
) -> ExitCode {
    let events = match events_path.map(EventWriter::to_file).transpose() {
        Ok(events) => events.unwrap_or_else(EventWriter::discard),
        Err(error) => {
            eprintln!("the events file cannot be opened: {error}");
            EventWriter::discard()
        }
    };
    let outcome = read_request(plugin, request_path).and_then(|request| {
        let stop = StopFlag::on_sigterm()?;
        let mut context = Context::with_stop(request, events.clone(), stop);
        let outcome = match catch_unwind(AssertUnwindSafe(|| plugin.run(&mut context))) {
            Ok(outcome) => outcome,
            Err(panic) => Err(PluginError::new(format!(
                "the plugin panicked: {}",
                panic_message(panic.as_ref())
            ))),
        };
        outcome.map_err(|error| error.reworded(|message| in_words(message, context.request())))
    });
    events.flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            events.write(Event::Error {
                message: error.message(),
                retry: error.is_worth_retrying(),
            });
            ExitCode::from(FAILED)
        }
    }
}

fn print_manifest(plugin: &BuiltIn) -> ExitCode {
    match serde_json::to_string_pretty(&plugin.manifest) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: the manifest cannot be written: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn read_request(plugin: &BuiltIn, path: &Path) -> Result<Request, PluginError> {
    let reading = |error: &dyn std::fmt::Display| {
        PluginError::new(format!(
            "the request {} cannot be read: {error}",
            path.display()
        ))
    };
    let text = fs::read_to_string(path).map_err(|error| reading(&error))?;
    let request: Request = serde_json::from_str(&text).map_err(|error| reading(&error))?;
    if request.protocol != PROTOCOL {
        return Err(PluginError::new(format!(
            "the request is of protocol {}; {} speaks protocol {PROTOCOL}",
            request.protocol, plugin.manifest.name
        )));
    }
    Ok(request)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
