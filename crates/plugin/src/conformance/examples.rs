//! What a plugin is tried with: params from its schema's examples and defaults, and what its
//! `conformance.json` says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::EXAMPLES_FILE;
use crate::catalog::PluginEntry;
use crate::manifest::WILDCARD_PORT;
use crate::ports::PortType;
use crate::request::InputArtifact;

/// `conformance.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExamplesFile {
    #[serde(default)]
    params: Map<String, Value>,
    /// Paths relative to the file, by port.
    #[serde(default)]
    inputs: IndexMap<String, Paths>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// A run long enough to be stopped in its middle.
    slow: Option<CaseText>,
    /// A run that writes much.
    large: Option<CaseText>,
}

/// What differs from the example.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    inputs: IndexMap<String, Paths>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

/// One way to run the plugin; params are after defaults.
#[derive(Debug, Clone)]
pub struct Case {
    pub params: Map<String, Value>,
    pub inputs: IndexMap<String, Vec<InputArtifact>>,
}

#[derive(Debug, Clone)]
pub struct Examples {
    pub example: Case,
    pub slow: Option<Case>,
    pub large: Option<Case>,
    pub env: BTreeMap<String, String>,
}

/// What is wrong with the examples, and what to do.
#[derive(Debug, Clone)]
pub struct ExamplesError {
    pub why: String,
    pub what_to_do: String,
}

/// Reads and completes the examples of a plugin.
pub fn read(entry: &PluginEntry) -> Result<Examples, ExamplesError> {
    let folder = entry.folder.as_deref().unwrap_or(Path::new("."));
    let text = read_file(&folder.join(EXAMPLES_FILE))?;
    let example = CaseText {
        params: text.params,
        inputs: text.inputs,
    };
    let case = |over: &CaseText| complete(entry, folder, &example, over);
    Ok(Examples {
        slow: text.slow.as_ref().map(case).transpose()?,
        large: text.large.as_ref().map(case).transpose()?,
        example: case(&CaseText::default())?,
        env: text.env,
    })
}

fn read_file(path: &Path) -> Result<ExamplesFile, ExamplesError> {
    let wrong = |why: String| ExamplesError {
        why,
        what_to_do: format!(
            "correct {EXAMPLES_FILE}: it may hold params, inputs (port: path or paths), env, slow and large"
        ),
    };
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| wrong(format!("{EXAMPLES_FILE} is not right: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ExamplesFile::default()),
        Err(error) => Err(wrong(format!("{EXAMPLES_FILE} cannot be read: {error}"))),
    }
}

fn complete(
    entry: &PluginEntry,
    folder: &Path,
    example: &CaseText,
    over: &CaseText,
) -> Result<Case, ExamplesError> {
    let schema = entry.params_schema().map_err(|error| ExamplesError {
        why: error.to_string(),
        what_to_do: "correct the schema of its params".to_owned(),
    })?;
    let mut params = schema.example();
    if let Some(variant) = &entry.manifest.variant {
        params.insert(variant.param.clone(), Value::String(variant.value.clone()));
    }
    for (name, value) in example.params.iter().chain(&over.params) {
        params.insert(name.clone(), value.clone());
    }
    let params = schema.with_defaults(&params);
    if let Some(error) = schema.validate(&params).first() {
        let field = error.field();
        return Err(ExamplesError {
            why: format!(
                "no params to try it with: {}{}",
                if field.is_empty() {
                    String::new()
                } else {
                    format!("`{field}`: ")
                },
                error.message
            ),
            what_to_do: format!(
                "give the schema `examples` or a `default`, or write params into {EXAMPLES_FILE}"
            ),
        });
    }
    let mut named: IndexMap<String, Paths> = example.inputs.clone();
    named.extend(over.inputs.clone());
    Ok(Case {
        params,
        inputs: inputs(entry, folder, &named)?,
    })
}

fn inputs(
    entry: &PluginEntry,
    folder: &Path,
    named: &IndexMap<String, Paths>,
) -> Result<IndexMap<String, Vec<InputArtifact>>, ExamplesError> {
    let ports = &entry.manifest.inputs;
    for (name, port) in ports {
        if port.required && !named.contains_key(name) {
            return Err(ExamplesError {
                why: format!(
                    "nothing to give to its input `{name}`, a {}",
                    port.port_type
                ),
                what_to_do: format!(
                    "write {EXAMPLES_FILE} beside the manifest: {{\"inputs\": {{\"{name}\": \"path/of/an/example\"}}}}"
                ),
            });
        }
    }
    let mut inputs = IndexMap::new();
    for (name, paths) in named {
        let port = ports.get(name).or_else(|| ports.get(WILDCARD_PORT));
        let Some(port) = port else {
            return Err(ExamplesError {
                why: format!(
                    "{EXAMPLES_FILE} names the input `{name}`, which the plugin does not have"
                ),
                what_to_do: "correct the name".to_owned(),
            });
        };
        let paths = match paths {
            Paths::One(path) => vec![path.clone()],
            Paths::Many(paths) => paths.clone(),
        };
        let artifacts = paths
            .iter()
            .map(|path| artifact(&folder.join(path), port.port_type))
            .collect::<Result<_, _>>()?;
        inputs.insert(name.clone(), artifacts);
    }
    Ok(inputs)
}

fn artifact(path: &Path, port_type: PortType) -> Result<InputArtifact, ExamplesError> {
    let path = fs::canonicalize(path).map_err(|error| ExamplesError {
        why: format!("the example input {} is not there: {error}", path.display()),
        what_to_do: format!("paths in {EXAMPLES_FILE} are relative to it"),
    })?;
    let given = if path.is_dir() {
        PortType::Folder
    } else {
        PortType::File
    };
    Ok(InputArtifact {
        path,
        // Where a port takes anything, what it was given.
        port_type: if port_type == PortType::Any {
            given
        } else {
            port_type
        },
        matrix: IndexMap::new(),
    })
}
