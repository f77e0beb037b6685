//! Input ports, their files, and how messages call them: a file's own name is that of a private copy.

use std::path::PathBuf;

use crate::error::PrepareError;

/// The place of an only file.
const THE_FILE: &str = "the file";

/// An input port with its files or folders.
#[derive(Debug, Clone)]
pub struct Input {
    pub port: String,
    pub paths: Vec<PathBuf>,
}

/// A file of a table.
#[derive(Debug, Clone)]
pub struct TableFile {
    pub path: PathBuf,
    /// `the file`, `file 2 of 3`, or where the artifact is a folder the name within.
    pub place: String,
}

impl Input {
    pub fn problem(&self, problem: impl Into<String>) -> PrepareError {
        PrepareError::Input {
            port: self.port.clone(),
            place: String::new(),
            problem: problem.into(),
        }
    }

    pub fn problem_in(&self, file: &TableFile, problem: impl Into<String>) -> PrepareError {
        let place = match file.place.as_str() {
            THE_FILE => String::new(),
            place => format!(" ({place})"),
        };
        PrepareError::Input {
            port: self.port.clone(),
            place,
            problem: problem.into(),
        }
    }

    /// Files as they are, folders as the files in them, by name.
    ///
    /// # Errors
    /// A file that cannot be read, a port without files.
    pub fn files(&self) -> Result<Vec<TableFile>, PrepareError> {
        let mut files = Vec::new();
        let count = self.paths.len();
        for (path, number) in self.paths.iter().zip(1..) {
            let file = TableFile {
                path: path.clone(),
                place: match count {
                    1 => THE_FILE.to_owned(),
                    _ => format!("file {number} of {count}"),
                },
            };
            let unreadable = |error: std::io::Error| {
                self.problem_in(&file, format!("it cannot be read: {error}"))
            };
            if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
                files.push(file);
                continue;
            }
            let folder = match count {
                1 => String::new(),
                _ => format!(" in folder {number} of {count}"),
            };
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name();
                let first = name.as_encoded_bytes().first();
                let hidden = first.is_some_and(|&byte| byte == b'.' || byte == b'_');
                if !hidden && entry.file_type().map_err(unreadable)?.is_file() {
                    inside.push(TableFile {
                        path: entry.path(),
                        place: format!("`{}`{folder}", name.to_string_lossy()),
                    });
                }
            }
            inside.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            files.append(&mut inside);
        }
        if files.is_empty() {
            return Err(self.problem("it has no files"));
        }
        Ok(files)
    }
}

/// The error with the places of the files instead of their paths, which are those of private copies.
pub fn without_paths(error: PrepareError, inputs: &[Input]) -> PrepareError {
    let told = error.to_string();
    let mut text = told.clone();
    for input in inputs {
        let mut files = input.files().unwrap_or_default();
        // A path may begin with another.
        files.sort_by_key(|file| std::cmp::Reverse(file.path.as_os_str().len()));
        for file in &files {
            let place = match file.place.as_str() {
                THE_FILE => format!("input `{}`", input.port),
                place => format!("input `{}` ({place})", input.port),
            };
            let path = file.path.display().to_string();
            let in_store = path.trim_start_matches('/');
            text = text.replace(&format!("file://{path}"), &place);
            text = text.replace(&path, &place);
            if in_store.contains('/') {
                text = text.replace(in_store, &place);
            }
        }
    }
    match text == told {
        true => error,
        false => PrepareError::Data(text),
    }
}
