//! Takes up what a worker wrote: every output port is there and is what it was declared to be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use supermoe_plugin::manifest::OutputPort;
use supermoe_store::{Artifact, ArtifactKind, Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error(
        "it ended well and left its output `{port}` unwritten: expected a file at the path given for it"
    )]
    NoFile { port: String },
    #[error(
        "it ended well and left its output `{port}` unwritten: expected files in the folder given for it"
    )]
    EmptyFolder { port: String },
    #[error("its output `{port}` is {found}, expected {expected}")]
    WrongKind {
        port: String,
        found: &'static str,
        expected: &'static str,
    },
    #[error("its output `{port}` cannot be read: {source}")]
    Unreadable { port: String, source: io::Error },
    #[error("its output `{port}`: {why}")]
    NotStorable { port: String, why: String },
    #[error("its output `{port}` could not be stored: {why}")]
    NotStored { port: String, why: String },
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
        let artifact = store.put(path, kind).await.map_err(|error| {
            let (port, why) = (port.clone(), without_folder(&error.to_string(), path));
            match error {
                StoreError::NotStorable { .. } => OutputError::NotStorable { port, why },
                _ => OutputError::NotStored { port, why },
            }
        })?;
        artifacts.insert(port.clone(), artifact);
    }
    Ok(artifacts)
}

/// Names what is in an attempt's folder by its path in there: the folder is gone by the time that
/// somebody reads this.
pub(crate) fn without_folder(text: &str, folder: &Path) -> String {
    let real = fs::canonicalize(folder).ok();
    let mut text = text.to_owned();
    for folder in real.iter().map(PathBuf::as_path).chain([folder]) {
        let folder = folder.display();
        text = text
            .replace(&format!("`{folder}`"), "it")
            .replace(&format!("`{folder}/"), "`");
    }
    text
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
            return absent(port, declared);
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
            None => absent(port, declared),
        },
        (true, ..) => wrong("a file"),
        (_, true, _) => wrong("a folder"),
        _ if found.is_symlink() => wrong("a link"),
        _ => wrong("neither a file nor a folder"),
    }
}

fn absent(port: &str, declared: &OutputPort) -> Result<Option<ArtifactKind>, OutputError> {
    let port = port.to_owned();
    match (declared.required, declared.port_type.is_file()) {
        (false, _) => Ok(None),
        (true, true) => Err(OutputError::NoFile { port }),
        (true, false) => Err(OutputError::EmptyFolder { port }),
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
            Err(error) => error.to_string(),
        };
        assert_eq!(told("file", PortType::File, true), "Some(File)");
        assert_eq!(told("full", PortType::Model, true), "Some(Folder)");
        assert_eq!(told("none", PortType::File, false), "None");
        assert_eq!(told("empty", PortType::Folder, false), "None");
        insta::assert_snapshot!(told("none", PortType::File, true), @"it ended well and left its output `none` unwritten: expected a file at the path given for it");
        insta::assert_snapshot!(told("empty", PortType::Model, true), @"it ended well and left its output `empty` unwritten: expected files in the folder given for it");
        insta::assert_snapshot!(told("full", PortType::File, true), @"its output `full` is a folder, expected a file");
        insta::assert_snapshot!(told("file", PortType::Folder, true), @"its output `file` is a file, expected a folder");
        insta::assert_snapshot!(told("link", PortType::File, true), @"its output `link` is a link, expected a file");
    }

    #[test]
    fn what_is_in_an_output_is_named_by_its_path_in_there() {
        let output = Path::new("/nowhere/stages/0/outputs/o");
        let told = |text| without_folder(text, output);
        assert_eq!(
            told("`/nowhere/stages/0/outputs/o/a/p` cannot be stored: it is a socket"),
            "`a/p` cannot be stored: it is a socket"
        );
        assert_eq!(
            told("`/nowhere/stages/0/outputs/o` cannot be stored: it is a file"),
            "it cannot be stored: it is a file"
        );
    }
}
