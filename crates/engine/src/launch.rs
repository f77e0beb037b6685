//! How an attempt's worker is started: its request, its command, its environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::Value;
use supermoe_plugin::host::{WorkerSpec, base_environment};
use supermoe_plugin::manifest::{Launch, PROTOCOL};
use supermoe_plugin::request::{InputArtifact, REQUEST_VARIABLE, Request};
use supermoe_store::StageKey;
use supermoe_workflow::{Cell, CommandValue};

use crate::attempt_folders::AttemptFolders;
use crate::device::Device;
use crate::scheduler::Grant;
use crate::worker::{Attempt, Doer, LaidInput, told_type};

/// What the worker is told.
pub(crate) fn request(
    doer: &Doer,
    cell: &Cell,
    attempt: &Attempt,
    inputs: &[LaidInput],
    folders: &AttemptFolders,
) -> Request {
    let mut by_port: IndexMap<String, Vec<InputArtifact>> = IndexMap::new();
    for input in inputs {
        by_port
            .entry(input.port.clone())
            .or_default()
            .push(InputArtifact {
                path: input.copy.path.clone(),
                port_type: told_type(cell, input),
                matrix: input.matrix.clone(),
            });
    }
    let params = cell.params_for(&doer.facts);
    Request {
        protocol: PROTOCOL,
        plugin: cell.plugin.manifest.name.clone(),
        seed: params
            .get("seed")
            .and_then(Value::as_u64)
            .unwrap_or_else(|| seed_of(&attempt.key)),
        params,
        inputs: by_port,
        outputs: folders.outputs.clone(),
        checkpoint: folders.checkpoint.clone(),
        work: folders.work.clone(),
        threads: attempt.grant.cpus,
        device: device_of(cell, &attempt.grant),
        profile: doer.profile,
    }
}

/// A seed that is the same whenever the key is. Below 2^53, so that every JSON reader gets it whole.
fn seed_of(key: &StageKey) -> u64 {
    let bytes = key.digest().as_bytes();
    bytes[..8]
        .iter()
        .fold(0_u64, |seed, byte| seed << 8 | u64::from(*byte))
        >> 11
}

fn device_of(cell: &Cell, grant: &Grant) -> String {
    match (Device::resolve(cell), grant.gpus.first()) {
        (Some(device), Some(gpu)) if device.kind == "cuda" => format!("cuda:{gpu}"),
        (Some(device), None) if device.kind != "cpu" => format!("{}:0", device.kind),
        _ => "cpu".to_owned(),
    }
}

/// How the worker is started.
pub(crate) fn spec(
    doer: &Doer,
    cell: &Cell,
    inputs: &[LaidInput],
    folders: &AttemptFolders,
) -> Result<WorkerSpec, String> {
    if let Some(program) = cell.plugin.missing_program() {
        return Err(format!(
            "the program of plugin `{}` is not there: `{}`. Build it first",
            cell.plugin.name(),
            program.display()
        ));
    }
    let secrets = secrets(doer, cell)?;
    let mut env = base_environment();
    env.insert("TMPDIR".into(), folders.temporary.clone().into());
    env.extend(
        cell.env
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    env.extend(
        secrets
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    env.insert(REQUEST_VARIABLE.into(), folders.request.clone().into());
    if matches!(cell.plugin.manifest.launch, Launch::Shell { .. }) {
        env.extend(command_environment(doer, cell, inputs, folders));
    }
    let mut words = cell
        .plugin
        .command(&doer.program, &shell_text(cell))
        .into_iter();
    let program = words
        .next()
        .ok_or_else(|| format!("plugin `{}` names no program to start", cell.plugin.name()))?;
    Ok(WorkerSpec {
        program,
        args: words.collect(),
        env,
        work: folders.work.clone(),
        events: folders.events.clone(),
        log: folders.log.clone(),
        redact: secrets.into_values().collect(),
        timeout: cell.timeout,
        grace: doer.grace,
        run: doer.run.to_string(),
    })
}

/// The program, for a message.
pub(crate) fn program_name(doer: &Doer, cell: &Cell) -> String {
    let words = cell.plugin.command(&doer.program, "");
    words.first().map_or_else(String::new, |program| {
        program.to_string_lossy().into_owned()
    })
}

fn shell_text(cell: &Cell) -> String {
    match &cell.plugin.manifest.launch {
        Launch::Shell { param } => cell
            .params
            .get(param)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}

fn secrets(doer: &Doer, cell: &Cell) -> Result<BTreeMap<String, String>, String> {
    let value_of = |name: &String| match doer.environment.get(&OsString::from(name)) {
        Some(value) => value
            .clone()
            .into_string()
            .map(|value| (name.clone(), value))
            .map_err(|_| format!("the secret `{name}` in the environment is not UTF-8")),
        None => Err(format!("the secret `{name}` is not set in the environment")),
    };
    cell.secrets.iter().map(value_of).collect()
}

/// What the variables of a shell command stand for.
fn command_environment(
    doer: &Doer,
    cell: &Cell,
    inputs: &[LaidInput],
    folders: &AttemptFolders,
) -> Vec<(OsString, OsString)> {
    let shown = Shown::new(doer, folders);
    cell.command_values
        .iter()
        .map(|(variable, value)| {
            let text: OsString = match value {
                CommandValue::Value {
                    value: Value::String(text),
                    ..
                } => text.into(),
                CommandValue::Value { value, .. } => value.to_string().into(),
                CommandValue::Run(name) => doer.facts.get(*name).into(),
                CommandValue::Output { port } => folders
                    .outputs
                    .get(port)
                    .map(|path| shown.path(path))
                    .unwrap_or_default(),
                CommandValue::Input { port } => {
                    let paths: Vec<OsString> = inputs
                        .iter()
                        .filter(|input| input.port == *port)
                        .map(|input| shown.path(&input.copy.path))
                        .collect();
                    paths.join(std::ffi::OsStr::new("\n"))
                }
            };
            (variable.into(), text)
        })
        .collect()
}

/// Paths as a shell command sees them: absolute, or from its working directory where the
/// project's own path would fall apart in an unquoted variable.
struct Shown<'a> {
    /// The run's work folder, and the way to it from the working directory.
    relative: Option<(&'a Path, PathBuf)>,
}

impl Shown<'_> {
    fn new<'a>(doer: &'a Doer, folders: &'a AttemptFolders) -> Shown<'a> {
        let whole = doer.work.path().to_str().is_some_and(|path| {
            path.chars()
                .all(|character| character.is_alphanumeric() || "/._-+@%=:,".contains(character))
        });
        let depth = folders
            .work
            .strip_prefix(doer.work.path())
            .map_or(0, |below| below.components().count());
        let up = std::iter::repeat_n("..", depth).collect();
        Shown {
            relative: (!whole).then_some((doer.work.path(), up)),
        }
    }

    fn path(&self, path: &Path) -> OsString {
        let shown = match &self.relative {
            Some((work, up)) => path.strip_prefix(work).map(|below| up.join(below)).ok(),
            None => None,
        };
        shown.unwrap_or_else(|| path.to_owned()).into()
    }
}
