//! Takes up what a worker wrote: every output port is there and is what it was declared to be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use supermoe_plugin::manifest::OutputPort;
use supermoe_store::{Artifact, ArtifactKind, Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("it ended well and left its output `{port}` unwritten: expected a file at `{}`", .path.display())]
    NoFile { port: String, path: PathBuf },
    #[error("it ended well and left its output `{port}` unwritten: expected files in the folder `{}`", .path.display())]
    EmptyFolder { port: String, path: PathBuf },
    #[error("its output `{port}` is {found}, expected {expected}")]
    WrongKind {
        port: String,
        found: &'static str,
        expected: &'static str,
    },
    #[error("its output `{port}` cannot be read: {source}")]
    Unreadable { port: String, source: io::Error },
    #[error("its output `{port}`: {source}")]
    NotStorable { port: String, source: StoreError },
    #[error("its output `{port}` could not be stored: {source}")]
    NotStored { port: String, source: StoreError },
}

/// Where a worker writes its outputs, by port.
pub(crate) fn prepare(
    folder: &Path,
    ports: &IndexMap<String, OutputPort>,
) -> io::Result<IndexMap<String, PathBuf>> {
    let mut paths = IndexMap::with_capacity(ports.len());
    for (port, declared) in ports {
        let path = folder.join(port);
        if !declared.port_type.is_file() {
            fs::create_dir(&path)?;
        }
        paths.insert(port.clone(), path);
    }
    Ok(paths)
}

/// Stores every output that was written. Looks at all of them before storing the first.
pub(crate) async fn collect(
    store: &Store,
    ports: &IndexMap<String, OutputPort>,
    paths: &IndexMap<String, PathBuf>,
) -> Result<IndexMap<String, Artifact>, OutputError> {
    let mut written: Vec<(&String, &PathBuf, ArtifactKind)> = Vec::with_capacity(ports.len());
    for (port, declared) in ports {
        let Some(path) = paths.get(port) else {
            continue;
        };
        if let Some(kind) = look(port, declared, path)? {
            written.push((port, path, kind));
        }
    }
    let mut artifacts = IndexMap::with_capacity(written.len());
    for (port, path, kind) in written {
        let artifact = store.put(path, kind).await.map_err(|source| match source {
            StoreError::NotStorable { .. } => OutputError::NotStorable {
                port: port.clone(),
                source,
            },
            source => OutputError::NotStored {
                port: port.clone(),
                source,
            },
        })?;
        artifacts.insert(port.clone(), artifact);
    }
    Ok(artifacts)
}

/// What stands at an output's path; none where an optional one was left unwritten.
fn look(
    port: &str,
    declared: &OutputPort,
    path: &Path,
) -> Result<Option<ArtifactKind>, OutputError> {
    let unreadable = |source| OutputError::Unreadable {
        port: port.to_owned(),
        source,
    };
    let expects_file = declared.port_type.is_file();
    let found = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return absent(port, declared, path);
        }
        Err(error) => return Err(unreadable(error)),
    };
    let wrong = |found| {
        let expected = if expects_file { "a file" } else { "a folder" };
        Err(OutputError::WrongKind {
            port: port.to_owned(),
            found,
            expected,
        })
    };
    match (found.is_file(), found.is_dir(), expects_file) {
        (true, _, true) => Ok(Some(ArtifactKind::File)),
        (_, true, false) => match fs::read_dir(path).map_err(unreadable)?.next() {
            Some(_) => Ok(Some(ArtifactKind::Folder)),
            None => absent(port, declared, path),
        },
        (true, ..) => wrong("a file"),
        (_, true, _) => wrong("a folder"),
        _ if found.is_symlink() => wrong("a link"),
        _ => wrong("neither a file nor a folder"),
    }
}

fn absent(
    port: &str,
    declared: &OutputPort,
    path: &Path,
) -> Result<Option<ArtifactKind>, OutputError> {
    let (port, path) = (port.to_owned(), path.to_owned());
    match (declared.required, declared.port_type.is_file()) {
        (false, _) => Ok(None),
        (true, true) => Err(OutputError::NoFile { port, path }),
        (true, false) => Err(OutputError::EmptyFolder { port, path }),
    }
}

#[cfg(test)]
mod tests {
    use supermoe_plugin::ports::PortType;

    use super::*;

    fn port(port_type: PortType, required: bool) -> OutputPort {
        OutputPort {
            port_type,
            required,
            description: String::new(),
        }
    }

    #[test]
    fn outputs_are_there_and_of_their_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "x").expect("a file");
        fs::create_dir_all(at("full/inside")).expect("a folder");
        fs::create_dir(at("empty")).expect("a folder");
        std::os::unix::fs::symlink("file", at("link")).expect("a link");
        let told = |name: &str, port_type, required| match look(
            name,
            &port(port_type, required),
            &at(name),
        ) {
            Ok(found) => format!("{found:?}"),
            Err(error) => error
                .to_string()
                .replace(&folder.path().display().to_string(), "WORK"),
        };
        assert_eq!(told("file", PortType::File, true), "Some(File)");
        assert_eq!(told("full", PortType::Model, true), "Some(Folder)");
        assert_eq!(told("none", PortType::File, false), "None");
        assert_eq!(told("empty", PortType::Folder, false), "None");
        insta::assert_snapshot!(told("none", PortType::File, true), @"it ended well and left its output `none` unwritten: expected a file at `WORK/none`");
        insta::assert_snapshot!(told("empty", PortType::Model, true), @"it ended well and left its output `empty` unwritten: expected files in the folder `WORK/empty`");
        insta::assert_snapshot!(told("full", PortType::File, true), @"its output `full` is a folder, expected a file");
        insta::assert_snapshot!(told("file", PortType::Folder, true), @"its output `file` is a file, expected a folder");
        insta::assert_snapshot!(told("link", PortType::File, true), @"its output `link` is a link, expected a file");
    }
}
