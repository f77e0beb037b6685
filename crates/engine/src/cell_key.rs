//! Gathers what enters a cell's key: plugin revisions, digests of outside files, upstream outputs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supermoe_plugin::catalog::PluginEntry;
use supermoe_plugin::revision::code_digest;
use supermoe_store::{Artifact, Digest, Fetched, Fetching, StageResult, Store};
use supermoe_workflow::{Cell, CellId, CellInput, CommandValue, InputSource, Workflow};

use crate::device::Device;
use crate::input_copy::InputOrigin;
use crate::selection::Role;
use crate::stage_key::{CommandPart, InputPart, KeyParts};
use crate::worker::GivenInput;

/// Why a cell has no key: nothing can be looked up or run for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("input `{port}`: {why}")]
    Input { port: String, why: String },
    #[error("input `{port}`: {upstream} left its output `{output}` unwritten")]
    OutputUnwritten {
        port: String,
        upstream: String,
        output: String,
    },
    #[error(
        "input `{port}`: {upstream} has no result and is not selected. Run it first, or select it too"
    )]
    NotSelected { port: String, upstream: String },
    #[error("the code of plugin `{plugin}` could not be read: {why}")]
    Code { plugin: String, why: String },
}

/// What is known of an upstream cell's outputs.
pub(crate) enum Upstream<'a> {
    Known(&'a StageResult),
    /// It has not run yet.
    Unknown,
    /// It is outside the selection and has no result.
    Absent,
}

/// Digests that hold for a whole run or plan.
#[derive(Debug, Default)]
pub(crate) struct OutsideDigests {
    revisions: HashMap<usize, Result<Arc<str>, String>>,
    paths: HashMap<PathBuf, Result<Digest, String>>,
    urls: HashMap<String, Result<Arc<Fetched>, String>>,
    refs: HashMap<String, Result<Digest, String>>,
}

impl OutsideDigests {
    /// Reads everything from outside that the cells with a part in the run depend on.
    /// `told` hears what has to be fetched for it.
    pub(crate) async fn read(
        workflow: &Workflow,
        roles: &[Role],
        store: &Store,
        told: &(dyn Fn(Fetching) + Sync),
    ) -> OutsideDigests {
        let mut digests = OutsideDigests::default();
        let mut paths: Vec<PathBuf> = Vec::new();
        let mut urls: Vec<String> = Vec::new();
        for cell in workflow
            .cells
            .iter()
            .filter(|cell| roles[cell.id.index()] != Role::Outside)
        {
            digests
                .revisions
                .entry(address(&cell.plugin))
                .or_insert_with(|| revision_of(&cell.plugin));
            for input in cell.inputs.values().flatten() {
                match &input.source {
                    InputSource::Path(path) if !digests.paths.contains_key(path) => {
                        digests
                            .paths
                            .insert(path.clone(), Err("not read".to_owned()));
                        paths.push(path.clone());
                    }
                    InputSource::Url(url) if !digests.urls.contains_key(url.as_str()) => {
                        let url = url.to_string();
                        digests.urls.insert(url.clone(), Err("not read".to_owned()));
                        urls.push(url);
                    }
                    InputSource::Ref(name) if !digests.refs.contains_key(name) => {
                        digests
                            .refs
                            .insert(name.clone(), resolve_ref(store, name).await);
                    }
                    _ => {}
                }
            }
        }
        if !paths.is_empty() {
            let found = store.digest_paths(&paths).await;
            for (path, digest) in paths.into_iter().zip(found) {
                digests
                    .paths
                    .insert(path, digest.map_err(|error| error.to_string()));
            }
        }
        if !urls.is_empty() {
            let fetched = store.fetch(&urls, told).await;
            for (url, fetched) in urls.into_iter().zip(fetched) {
                let fetched = fetched.map(Arc::new).map_err(|error| error.to_string());
                digests.urls.insert(url, fetched);
            }
        }
        digests
    }

    /// Files and folders from outside with their digests, sorted by path or URL.
    pub(crate) fn known_paths(&self) -> Vec<(&Path, Digest)> {
        let paths = self
            .paths
            .iter()
            .filter_map(|(path, digest)| Some((path.as_path(), *digest.as_ref().ok()?)));
        let urls = self
            .urls
            .iter()
            .filter_map(|(url, fetched)| Some((Path::new(url), fetched.as_ref().ok()?.digest)));
        let mut known: Vec<(&Path, Digest)> = paths.chain(urls).collect();
        known.sort();
        known
    }

    /// What enters the key of `cell`, with what `upstream` says of the cells before it.
    pub(crate) fn parts<'a>(
        &'a self,
        workflow: &'a Workflow,
        cell: &'a Cell,
        upstream: impl Fn(CellId) -> Upstream<'a>,
    ) -> Result<KeyParts<'a>, KeyError> {
        let revision = match self.revisions.get(&address(&cell.plugin)) {
            Some(Ok(revision)) => revision.as_ref(),
            Some(Err(why)) => {
                return Err(KeyError::Code {
                    plugin: cell.plugin.manifest.name.clone(),
                    why: why.clone(),
                });
            }
            None => "",
        };
        let mut inputs = Vec::with_capacity(cell.inputs.len());
        for (port, given) in &cell.inputs {
            let mut parts = Vec::with_capacity(given.len());
            for input in given {
                let digest = match self.digest(workflow, cell, port, input, &upstream)? {
                    Found::Digest(digest) => Some(digest),
                    Found::Unknown => None,
                    Found::LeftOut => continue,
                };
                parts.push(InputPart {
                    digest,
                    extension: extension_of(input),
                    matrix: &input.matrix,
                });
            }
            if !parts.is_empty() {
                inputs.push((port.as_str(), parts));
            }
        }
        Ok(KeyParts {
            plugin: &cell.plugin.manifest.name,
            revision,
            variant: cell
                .variant
                .as_ref()
                .and_then(|choice| Some((choice.value.as_str(), choice.revision.as_deref()?))),
            params: &cell.explicit_params,
            command_values: cell
                .command_values
                .iter()
                .map(|(variable, value)| (variable.as_str(), command_part(value)))
                .collect(),
            inputs,
            env: &cell.env,
            device: Device::resolve(cell),
        })
    }

    /// The inputs of a cell whose upstream outputs are all known, as its worker gets them.
    pub(crate) fn given<'a>(
        &self,
        workflow: &Workflow,
        cell: &Cell,
        upstream: impl Fn(CellId) -> Upstream<'a>,
    ) -> Result<Vec<GivenInput>, KeyError> {
        let mut given = Vec::new();
        for (port, inputs) in &cell.inputs {
            for input in inputs {
                let Found::Digest(digest) = self.digest(workflow, cell, port, input, &upstream)?
                else {
                    continue;
                };
                let (origin, maker) = match &input.source {
                    InputSource::Output { cell, .. } => (InputOrigin::Stored, Some(*cell)),
                    InputSource::Path(path) => (InputOrigin::Outside(path.clone()), None),
                    InputSource::Url(url) => match self.urls.get(url.as_str()) {
                        Some(Ok(fetched)) => {
                            let (url, fetched) = (url.to_string(), Arc::clone(fetched));
                            (InputOrigin::Fetched { url, fetched }, None)
                        }
                        // Without it there is no digest either.
                        _ => continue,
                    },
                    InputSource::Ref(_) => (InputOrigin::Stored, None),
                };
                given.push(GivenInput {
                    port: port.clone(),
                    digest,
                    origin,
                    maker,
                    extension: extension_of(input).map(str::to_owned),
                    matrix: input.matrix.clone(),
                });
            }
        }
        Ok(given)
    }

    fn digest<'a>(
        &self,
        workflow: &Workflow,
        cell: &Cell,
        port: &str,
        input: &CellInput,
        upstream: &impl Fn(CellId) -> Upstream<'a>,
    ) -> Result<Found, KeyError> {
        let known = |found: Option<Result<Digest, &String>>| match found {
            Some(Ok(digest)) => Ok(Found::Digest(digest)),
            Some(Err(why)) => Err(KeyError::Input {
                port: port.to_owned(),
                why: why.clone(),
            }),
            None => Err(KeyError::Input {
                port: port.to_owned(),
                why: "it was not read".to_owned(),
            }),
        };
        match &input.source {
            InputSource::Path(path) => known(self.paths.get(path).map(copied)),
            InputSource::Url(url) => {
                let fetched = self.urls.get(url.as_str()).map(Result::as_ref);
                known(fetched.map(|fetched| fetched.map(|fetched| fetched.digest)))
            }
            InputSource::Ref(name) => known(self.refs.get(name).map(copied)),
            InputSource::Output {
                cell: maker,
                port: output,
            } => match upstream(*maker) {
                Upstream::Unknown => Ok(Found::Unknown),
                Upstream::Absent => Err(KeyError::NotSelected {
                    port: port.to_owned(),
                    upstream: workflow.cell(*maker).label.to_string(),
                }),
                Upstream::Known(result) => match result.outputs.get(output) {
                    Some(Artifact { digest, .. }) => Ok(Found::Digest(*digest)),
                    None if !is_required(cell, port) => Ok(Found::LeftOut),
                    None => Err(KeyError::OutputUnwritten {
                        port: port.to_owned(),
                        upstream: workflow.cell(*maker).label.to_string(),
                        output: output.clone(),
                    }),
                },
            },
        }
    }
}

fn copied(digest: &Result<Digest, String>) -> Result<Digest, &String> {
    digest.as_ref().copied()
}

enum Found {
    Digest(Digest),
    Unknown,
    /// An optional output that was left unwritten, on an optional input.
    LeftOut,
}

fn is_required(cell: &Cell, port: &str) -> bool {
    let inputs = &cell.plugin.manifest.inputs;
    // A port that the user named, on a plugin that takes any, is there because it is wanted.
    inputs.get(port).is_none_or(|declared| declared.required)
}

fn address(entry: &Arc<PluginEntry>) -> usize {
    Arc::as_ptr(entry) as usize
}

fn revision_of(entry: &PluginEntry) -> Result<Arc<str>, String> {
    match (&entry.manifest.revision, &entry.folder) {
        (Some(revision), None) => Ok(revision.as_str().into()),
        _ => code_digest(entry)
            .map(Arc::from)
            .map_err(|error| error.to_string()),
    }
}

async fn resolve_ref(store: &Store, name: &str) -> Result<Digest, String> {
    match store.resolve_ref(name).await {
        Ok(Some(entry)) => Ok(entry.artifact),
        Ok(None) => Err(format!("there is no ref `{name}` in {}", store.url())),
        Err(error) => Err(error.to_string()),
    }
}

fn command_part(value: &CommandValue) -> CommandPart<'_> {
    match value {
        CommandValue::Value { value, .. } => CommandPart::Value(value),
        CommandValue::Input { port } => CommandPart::Input(port),
        CommandValue::Output { port } => CommandPart::Output(port),
        CommandValue::Run(name) => CommandPart::Run(name.name()),
    }
}

/// The part of an outside file's name that a plugin is shown: `.csv`, `.parquet`, without the dot.
pub(crate) fn extension_of(input: &CellInput) -> Option<&str> {
    const LONGEST: usize = 12;
    let path = match &input.source {
        InputSource::Path(path) => path.as_path(),
        InputSource::Url(url) if !url.is_folder() => Path::new(url.file_name()),
        _ => return None,
    };
    let extension = path.extension()?.to_str()?;
    let plain = extension
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (plain && !extension.is_empty() && extension.len() <= LONGEST).then_some(extension)
}

/// What a stage is called when its results are compared over time.
pub(crate) fn identity(workflow: &Workflow, cell: &Cell) -> String {
    let mut identity = identity_start(&workflow.name);
    identity.push_str(&cell.label);
    identity
}

/// What the identities of a workflow's cells begin with.
pub(crate) fn identity_start(workflow: &str) -> String {
    format!("{workflow}/")
}
