//! A plugin that counts, keeps checkpoints, and fails or waits where it is told to.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest, serve};

pub fn main() -> ExitCode {
    serve(&BuiltIn::new(manifest("counter").build(), count))
}

/// Counts to `to`. The first attempt to reach `fail_at` announces its checkpoint and fails with
/// an error that is worth another attempt; `wait_at` waits for SIGTERM.
fn count(context: &mut Context) -> Result<(), PluginError> {
    let number = |name: &str| context.request().params.get(name).and_then(Value::as_u64);
    let to = number("to").unwrap_or(3);
    let (fail_at, wait_at) = (number("fail_at"), number("wait_at"));
    let folder = context
        .checkpoint()
        .ok_or_else(|| PluginError::new("no checkpoint folder"))?
        .to_owned();
    let from = read(&folder.join("step"));
    let mut step = from;
    while step < to {
        step += 1;
        context.metric("count", step as f64, Some(step));
        if from == 0 && Some(step) == fail_at {
            save(context, &folder, step)?;
            return Err(PluginError::new("not this time").worth_retrying());
        }
        if from == 0 && Some(step) == wait_at {
            println!("waiting at {step}");
            context.metric("waiting", 1.0, None);
            while !context.stop_requested() {
                std::thread::yield_now();
            }
            save(context, &folder, step)?;
            return Err(PluginError::stopped());
        }
    }
    let output = context.output("total")?;
    fs::write(output, format!("{step}, from {from}"))
        .map_err(|error| PluginError::new(error.to_string()))
}

fn read(path: &Path) -> u64 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn save(context: &Context, folder: &Path, step: u64) -> Result<(), PluginError> {
    fs::write(folder.join("step"), step.to_string())
        .map_err(|error| PluginError::new(error.to_string()))?;
    context.checkpoint_ready(Some(step));
    Ok(())
}
