//! What a run of the plugin wrote: whether it can be collected, and its digest.

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value;
use walkdir::WalkDir;

use super::examples::Case;
use crate::manifest::{Manifest, OutputPort};
use crate::ports::PortType;

/// The manifest's outputs and those that the params name.
pub fn ports(manifest: &Manifest, case: &Case) -> IndexMap<String, OutputPort> {
    let mut ports = manifest.outputs.clone();
    let named = manifest
        .outputs_param
        .as_ref()
        .and_then(|param| case.params.get(param)?.as_object());
    for (name, kind) in named.into_iter().flatten() {
        let port_type = match kind.as_str() {
            Some("file") => PortType::File,
            _ => serde_json::from_value::<PortType>(Value::clone(kind)).unwrap_or(PortType::Folder),
        };
        ports.entry(name.clone()).or_insert(OutputPort {
            port_type,
            required: true,
            description: String::new(),
        });
    }
    ports
}

/// The content of a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub digest: String,
    pub bytes: u64,
    pub files: u64,
}

/// Reads one output. `Err` says why a store would not take it.
pub fn collect(port: &str, output: &OutputPort, path: &Path) -> Result<Option<Content>, String> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return match output.required {
            true => Err(format!("the output `{port}` was not written")),
            false => Ok(None),
        };
    };
    let (is_right, expected) = match output.port_type.is_file() {
        true => (metadata.is_file(), "file"),
        false => (metadata.is_dir(), "folder"),
    };
    if !is_right {
        return Err(format!("the output `{port}` is not a {expected}"));
    }
    let content = digest(path).map_err(|why| format!("the output `{port}`: {why}"))?;
    if content.files == 0 && output.required {
        return Err(format!("the output `{port}` is an empty folder"));
    }
    Ok((content.files > 0).then_some(content))
}

/// BLAKE3 of all files below `path`, by name; sockets, pipes, links that leave the folder and
/// names that are not UTF-8 are refused.
pub fn digest(path: &Path) -> Result<Content, String> {
    let mut hasher = blake3::Hasher::new();
    let mut content = Content {
        digest: String::new(),
        bytes: 0,
        files: 0,
    };
    for item in WalkDir::new(path).sort_by_file_name() {
        let item = item.map_err(|error| error.to_string())?;
        let name = item.path().strip_prefix(path).unwrap_or(item.path());
        let Some(name) = name.to_str() else {
            return Err(format!("the name {} is not UTF-8", name.display()));
        };
        let kind = item.file_type();
        if kind.is_dir() {
            continue;
        }
        let real = fs::canonicalize(item.path()).map_err(|error| format!("{name}: {error}"))?;
        let root = fs::canonicalize(path).map_err(|error| error.to_string())?;
        if !real.starts_with(&root) {
            return Err(format!("{name} is a link that leaves the folder"));
        }
        let metadata = fs::metadata(&real).map_err(|error| format!("{name}: {error}"))?;
        if metadata.is_dir() {
            continue;
        }
        if !metadata.is_file() {
            return Err(format!("{name} is neither a file nor a folder"));
        }
        let mut file = blake3::Hasher::new();
        fs::File::open(&real)
            .and_then(|open| file.update_reader(open).map(|_| ()))
            .map_err(|error| format!("{name}: {error}"))?;
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(file.finalize().as_bytes());
        content.bytes += metadata.len();
        content.files += 1;
    }
    content.digest = hasher.finalize().to_hex().to_string();
    Ok(content)
}
