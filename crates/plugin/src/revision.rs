//! The revision of an external plugin: a digest of its code.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use walkdir::{DirEntry, WalkDir};

use crate::catalog::PluginEntry;
use crate::manifest::Manifest;

/// Folders that hold what is made from code, not code.
const IGNORED: [&str; 3] = ["__pycache__", ".git", "target"];

/// BLAKE3, in hex, over the sorted paths and contents of an external plugin's code: the files
/// that its `code` globs match, or without globs every file of its folder but those in
/// `__pycache__`, `.git` and `target`. Globs may name files in there.
///
/// # Errors
/// A file that cannot be read, and a glob that matches nothing: a program that has to be built
/// first, or a misspelt name.
pub fn code_digest(entry: &PluginEntry) -> io::Result<String> {
    let Some(folder) = &entry.folder else {
        return Err(io::Error::other(format!(
            "`{}` is built in: its manifest states its revision",
            entry.manifest.name
        )));
    };
    digest_files(folder, &code_files(folder, &entry.manifest)?)
}

/// Relative paths, sorted.
fn code_files(folder: &Path, manifest: &Manifest) -> io::Result<Vec<PathBuf>> {
    let globs = globs(manifest)?;
    let mut files = Vec::new();
    let mut matched = vec![false; manifest.code.len()];
    let walk = WalkDir::new(folder)
        .into_iter()
        .filter_entry(|item| !manifest.code.is_empty() || !is_ignored(item));
    for item in walk {
        let item = item?;
        if item.file_type().is_dir() {
            continue;
        }
        let path = item.path().strip_prefix(folder).unwrap_or(item.path());
        if let Some(globs) = &globs {
            let hits = globs.matches(path);
            if hits.is_empty() {
                continue;
            }
            hits.into_iter().for_each(|hit| matched[hit] = true);
        }
        files.push(path.to_owned());
    }
    if let Some(missing) = matched.iter().position(|matched| !matched) {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "no file in {} matches `{}`, which `{}` names as its code: build the plugin, or correct `code` in its plugin.json",
                folder.display(),
                manifest.code[missing],
                manifest.name
            ),
        ));
    }
    files.sort();
    Ok(files)
}

fn globs(manifest: &Manifest) -> io::Result<Option<GlobSet>> {
    if manifest.code.is_empty() {
        return Ok(None);
    }
    let mut builder = GlobSetBuilder::new();
    for pattern in &manifest.code {
        let glob = GlobBuilder::new(pattern.trim_start_matches("./"))
            .literal_separator(true)
            .build()
            .map_err(io::Error::other)?;
        builder.add(glob);
    }
    builder.build().map(Some).map_err(io::Error::other)
}

fn is_ignored(item: &DirEntry) -> bool {
    item.depth() > 0
        && item.file_type().is_dir()
        && IGNORED.iter().any(|ignored| item.file_name() == *ignored)
}

fn digest_files(folder: &Path, files: &[PathBuf]) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"supermoe plugin code 1\n");
    for path in files {
        let full = folder.join(path);
        let name = path.as_os_str().as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(content_digest(&full)?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A link to a folder, or to nothing, is its target's name; a socket or pipe is nothing.
fn content_digest(path: &Path) -> io::Result<blake3::Hash> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            let mut hasher = blake3::Hasher::new();
            hasher
                .update_reader(fs::File::open(path)?)
                .map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?;
            Ok(hasher.finalize())
        }
        _ => match fs::read_link(path) {
            Ok(target) => Ok(blake3::hash(target.as_os_str().as_encoded_bytes())),
            Err(_) => Ok(blake3::hash(b"")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Origin, PluginEntry};
    use crate::sdk::manifest;

    fn entry(folder: &Path, code: &[&str]) -> PluginEntry {
        let mut built = manifest("p").command(["./p"]).build();
        built.code = code.iter().map(|glob| (*glob).to_owned()).collect();
        PluginEntry::external(built, folder.to_owned(), Origin::Project)
    }

    fn write(folder: &Path, path: &str, content: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("folder");
        fs::write(path, content).expect("file");
    }

    #[test]
    fn the_whole_folder_counts_but_not_what_is_made_from_it() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), "a.py", "1");
        let whole = code_digest(&entry(folder.path(), &[])).expect("digest");
        for made in ["__pycache__/a.pyc", ".git/HEAD", "sub/target/x"] {
            write(folder.path(), made, "made");
        }
        assert_eq!(
            code_digest(&entry(folder.path(), &[])).expect("digest"),
            whole
        );
        write(folder.path(), "sub/b.txt", "2");
        assert_ne!(
            code_digest(&entry(folder.path(), &[])).expect("digest"),
            whole
        );
    }

    #[test]
    fn globs_choose_and_may_reach_into_ignored_folders() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), "a.py", "1");
        write(folder.path(), "notes.md", "1");
        write(folder.path(), "target/release/p", "1");
        let globs = ["*.py", "target/release/p"];
        let before = code_digest(&entry(folder.path(), &globs)).expect("digest");
        write(folder.path(), "notes.md", "2");
        assert_eq!(
            code_digest(&entry(folder.path(), &globs)).expect("digest"),
            before
        );
        write(folder.path(), "target/release/p", "2");
        assert_ne!(
            code_digest(&entry(folder.path(), &globs)).expect("digest"),
            before
        );
    }

    #[test]
    fn a_glob_without_files_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let error = code_digest(&entry(folder.path(), &["gone/**"])).expect_err("nothing there");
        assert!(error.to_string().contains("`gone/**`"), "{error}");
    }

    #[test]
    fn moving_bytes_between_name_and_content_changes_the_digest() {
        let (a, b) = (
            tempfile::tempdir().expect("a"),
            tempfile::tempdir().expect("b"),
        );
        write(a.path(), "ab", "c");
        write(b.path(), "a", "bc");
        assert_ne!(
            code_digest(&entry(a.path(), &[])).expect("a"),
            code_digest(&entry(b.path(), &[])).expect("b")
        );
    }
}
