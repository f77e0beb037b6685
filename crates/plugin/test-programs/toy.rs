//! A plugin whose param `manner` says how it misbehaves.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest, serve};

#[derive(Debug, Deserialize, JsonSchema)]
struct Params {
    manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Manner {
    Good,
    Panics,
    FailsInSilence,
    Aborts,
    WritesNothing,
    WritesTheTime,
    LeavesAChild,
    LeavesADaemon,
    ChangesItsInput,
    IgnoresSigterm,
    IgnoresItsCheckpoint,
    WritesALink,
    TellsNonsense,
}

pub fn main() -> ExitCode {
    let described = manifest("toy")
        .command(["toy"])
        .input("text", PortType::File)
        .output("copy", PortType::Folder)
        .params::<Params>()
        .build();
    serve(&BuiltIn::new(described, run))
}

fn run(context: &mut Context) -> Result<(), PluginError> {
    let params: Params = context.params()?;
    let text = fs::read(context.input("text")?)?;
    let copy = context.output("copy")?.join("text");
    match params.manner {
        Manner::Good => fs::write(copy, text)?,
        Manner::Panics => panic!("the toy is broken"),
        // The SDK says something on every other way out.
        Manner::FailsInSilence => std::process::exit(3),
        Manner::Aborts => std::process::abort(),
        Manner::WritesNothing => {}
        Manner::WritesTheTime => fs::write(copy, format!("{:?}", std::time::SystemTime::now()))?,
        Manner::LeavesAChild => {
            fs::write(copy, text)?;
            start(&["sleep", "1000"])?;
        }
        Manner::LeavesADaemon => {
            fs::write(copy, text)?;
            start(&["setsid", "sleep", "1000"])?;
        }
        Manner::ChangesItsInput => {
            fs::write(context.input("text")?, b"changed")?;
            fs::write(copy, text)?;
        }
        Manner::IgnoresSigterm => {
            context.checkpoint_ready(None);
            // Until it is killed.
            while std::hint::black_box(true) {
                std::thread::park_timeout(Duration::from_secs(1));
            }
        }
        Manner::IgnoresItsCheckpoint => count_again(context)?,
        Manner::WritesALink => std::os::unix::fs::symlink("/etc/hostname", copy)?,
        Manner::TellsNonsense => {
            fs::write(copy, text)?;
            let events = std::env::var_os("SUPERMOE_EVENTS").unwrap_or_default();
            fs::write(events, "this is no event\n")?;
        }
    }
    Ok(())
}

/// What it writes depends on how often it was interrupted.
fn count_again(context: &Context) -> Result<(), PluginError> {
    let checkpoint = context
        .checkpoint()
        .ok_or_else(|| PluginError::new("no checkpoint folder"))?;
    let attempts = fs::read_dir(checkpoint)?.count();
    fs::write(checkpoint.join(attempts.to_string()), "")?;
    context.checkpoint_ready(None);
    let end = std::time::Instant::now() + Duration::from_millis(700);
    while attempts == 0 && std::time::Instant::now() < end {
        if context.stop_requested() {
            return Err(PluginError::stopped());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    fs::write(
        context.output("copy")?.join("attempts"),
        attempts.to_string(),
    )?;
    Ok(())
}

fn start(words: &[&str]) -> Result<(), PluginError> {
    Command::new(words[0]).args(&words[1..]).spawn()?;
    Ok(())
}
