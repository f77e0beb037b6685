//! The files of a folder, and which of them cannot be stored.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};
use crate::error_mapping::local_error;
use crate::listing::{EntryKind, MOST_ENTRIES, check_path};

/// Deepest nesting of folders, also through links.
const DEEPEST: usize = 128;

/// A file or an empty folder that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Relative to the folder, parts divided by `/`.
    pub(crate) path: String,
    /// Where its content is: behind a link, the place it points to.
    pub(crate) content: PathBuf,
    pub(crate) kind: EntryKind,
    pub(crate) metadata: Metadata,
}

/// Finds what is in `folder`, sorted by path. A link that stays inside stands for what it points
/// to; one that leaves, points nowhere or leads round in a circle is an error, as are sockets,
/// pipes, devices, and names that are not UTF-8.
pub(crate) fn walk(folder: &Path) -> Result<Vec<Found>> {
    let root = fs::canonicalize(folder).map_err(|error| local_error(folder, "read", error))?;
    let mut walk = Walk {
        found: Vec::new(),
        root: &root,
    };
    walk.folder(&root, "", &mut vec![root.clone()])?;
    walk.found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.found)
}

/// The kind that a file's permissions give.
pub(crate) fn file_kind(metadata: &Metadata) -> EntryKind {
    if metadata.permissions().mode() & 0o100 != 0 {
        EntryKind::Executable
    } else {
        EntryKind::File
    }
}

/// Says why something that is neither file, folder nor link cannot be stored.
pub(crate) fn refuse_special(path: &Path, metadata: &Metadata) -> StoreError {
    let kind = metadata.file_type();
    let name = if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a device"
    };
    refuse(
        path,
        format!("it is {name}; only files and folders can be stored"),
    )
}

pub(crate) fn refuse(path: &Path, why: impl Into<String>) -> StoreError {
    StoreError::NotStorable {
        path: path.to_owned(),
        why: why.into(),
    }
}

struct Walk<'r> {
    root: &'r Path,
    found: Vec<Found>,
}

impl Walk<'_> {
    /// `folder` is canonical; `above` holds it and the folders that were gone through.
    fn folder(&mut self, folder: &Path, path: &str, above: &mut Vec<PathBuf>) -> Result<()> {
        let entries = fs::read_dir(folder).map_err(|error| local_error(folder, "read", error))?;
        let mut is_empty = true;
        for entry in entries {
            let entry = entry.map_err(|error| local_error(folder, "read", error))?;
            is_empty = false;
            let at = entry.path();
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| refuse(&at, "its name is not UTF-8"))?;
            let path = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            };
            check_path(&path).map_err(|why| refuse(&at, why))?;
            let metadata =
                fs::symlink_metadata(&at).map_err(|error| local_error(&at, "read", error))?;
            if metadata.is_symlink() {
                let (content, metadata) = self.behind_link(&at)?;
                self.entry(content, path, metadata, above)?;
            } else {
                self.entry(at, path, metadata, above)?;
            }
        }
        if is_empty && !path.is_empty() {
            let metadata =
                fs::metadata(folder).map_err(|error| local_error(folder, "read", error))?;
            self.add(Found {
                path: path.to_owned(),
                content: folder.to_owned(),
                kind: EntryKind::EmptyFolder,
                metadata,
            })?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        at: PathBuf,
        path: String,
        metadata: Metadata,
        above: &mut Vec<PathBuf>,
    ) -> Result<()> {
        if metadata.is_file() {
            let kind = file_kind(&metadata);
            return self.add(Found {
                path,
                content: at,
                kind,
                metadata,
            });
        }
        if !metadata.is_dir() {
            return Err(refuse_special(&at, &metadata));
        }
        if above.contains(&at) {
            return Err(refuse(
                &at,
                format!("the link `{path}` leads round in a circle"),
            ));
        }
        if above.len() > DEEPEST {
            return Err(refuse(
                &at,
                format!("its folders are nested more than {DEEPEST} deep"),
            ));
        }
        above.push(at.clone());
        self.folder(&at, &path, above)?;
        above.pop();
        Ok(())
    }

    fn behind_link(&self, link: &Path) -> Result<(PathBuf, Metadata)> {
        let target = fs::canonicalize(link).map_err(|error| {
            refuse(
                link,
                format!("it is a link that cannot be followed: {error}"),
            )
        })?;
        if !target.starts_with(self.root) {
            return Err(refuse(
                link,
                format!(
                    "it is a link that leaves the folder, to `{}`",
                    target.display()
                ),
            ));
        }
        let metadata =
            fs::symlink_metadata(&target).map_err(|error| local_error(&target, "read", error))?;
        Ok((target, metadata))
    }

    fn add(&mut self, found: Found) -> Result<()> {
        if self.found.len() >= MOST_ENTRIES {
            return Err(refuse(
                self.root,
                format!("it has more than {MOST_ENTRIES} files"),
            ));
        }
        self.found.push(found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("in/sub")).expect("makes folders");
        fs::write(folder.path().join("in/a.txt"), "a").expect("writes");
        fs::write(folder.path().join("in/sub/b.txt"), "b").expect("writes");
        fs::write(folder.path().join("out.txt"), "o").expect("writes");
        folder
    }

    fn paths(folder: &Path) -> Result<Vec<String>, String> {
        walk(&folder.join("in"))
            .map(|found| found.into_iter().map(|found| found.path).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn links_inside_stand_for_their_content() {
        let folder = folder();
        symlink("a.txt", folder.path().join("in/link")).expect("links");
        symlink("sub", folder.path().join("in/again")).expect("links");
        fs::create_dir(folder.path().join("in/none")).expect("makes a folder");
        assert_eq!(
            paths(folder.path()),
            Ok(["a.txt", "again/b.txt", "link", "none", "sub/b.txt"]
                .map(str::to_owned)
                .to_vec())
        );
    }

    #[test]
    fn links_that_leave_are_refused() {
        for target in [
            "../out.txt",
            "/etc/passwd",
            "..",
            "nowhere",
            "sub/../../out.txt",
        ] {
            let folder = folder();
            symlink(target, folder.path().join("in/link")).expect("links");
            let message = paths(folder.path()).expect_err(target);
            assert!(message.contains("link"), "{message}");
        }
    }

    #[test]
    fn circles_are_refused() {
        for target in [".", "../sub", "loop"] {
            let folder = folder();
            symlink(target, folder.path().join("in/sub/loop")).expect("links");
            assert!(paths(folder.path()).is_err(), "{target}");
        }
    }

    #[test]
    fn pipes_sockets_and_strange_names_are_refused() {
        let with_pipe = folder();
        nix::unistd::mkfifo(
            &with_pipe.path().join("in/pipe"),
            nix::sys::stat::Mode::S_IRWXU,
        )
        .expect("makes a pipe");
        assert!(
            paths(with_pipe.path())
                .expect_err("a pipe")
                .contains("named pipe")
        );

        let with_socket = folder();
        let _listener =
            std::os::unix::net::UnixListener::bind(with_socket.path().join("in/socket"))
                .expect("binds");
        assert!(
            paths(with_socket.path())
                .expect_err("a socket")
                .contains("a socket")
        );

        let strange = folder();
        fs::write(
            strange
                .path()
                .join("in")
                .join(std::ffi::OsStr::from_bytes(b"\xff")),
            "x",
        )
        .expect("writes");
        assert!(
            paths(strange.path())
                .expect_err("not UTF-8")
                .contains("UTF-8")
        );
    }
}
