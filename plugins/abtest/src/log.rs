//! The files of the log: CSV with a header line, or Parquet.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::csv_log;
use crate::error::AbtestError;
use crate::params::Params;
use crate::parquet_log;
use crate::users::Users;

/// Asks whether the stage is to stop.
pub type Stop<'a> = &'a dyn Fn() -> bool;

/// Rows that are read before it is asked again.
pub const ROWS_BETWEEN_STOPS: u64 = 65_536;

/// Reads all files of the log; folders as the files in them, by name.
///
/// # Errors
/// A file that cannot be read, a column that is missing, a value that is no number, a user in two
/// buckets; each with its place.
pub fn read_log(paths: &[PathBuf], params: &Params, stop: Stop<'_>) -> Result<Users, AbtestError> {
    let files = files(paths)?;
    let pre_names = params.pre_columns().into_iter().map(str::to_owned);
    let mut users = Users {
        pre_names: pre_names.collect(),
        ..Users::default()
    };
    let count = files.len();
    for (path, number) in files.iter().zip(1..) {
        let place = match count {
            1 => "the log".to_owned(),
            _ => format!("file {number} of {count} of the log"),
        };
        if is_parquet(path).map_err(|error| unreadable(&place, &error))? {
            parquet_log::read(path, &place, params, &mut users, stop)?;
        } else {
            csv_log::read(path, &place, params, &mut users, stop)?;
        }
    }
    Ok(users)
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, AbtestError> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |error: std::io::Error| unreadable("the log", &error);
        if !std::fs::metadata(path).map_err(failed)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden && entry.file_type().map_err(failed)?.is_file() {
                inside.push(entry.path());
            }
        }
        inside.sort_unstable();
        files.append(&mut inside);
    }
    match files.is_empty() {
        true => Err(AbtestError::log("the log", "it has no files")),
        false => Ok(files),
    }
}

fn is_parquet(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::with_capacity(4);
    File::open(path)?.take(4).read_to_end(&mut head)?;
    Ok(head == b"PAR1")
}

pub fn unreadable(place: &str, error: &dyn std::fmt::Display) -> AbtestError {
    AbtestError::log(place, format!("it cannot be read: {error}"))
}

/// What a metric's value has to be.
pub fn finite(value: f64, column: &str) -> Result<f64, String> {
    match value.is_finite() {
        true => Ok(value),
        false => Err(format!(
            "column `{column}` is {value}; expected a finite number"
        )),
    }
}
