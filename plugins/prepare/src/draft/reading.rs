//! Files to one sample: what format each has, and whether they belong together.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::draft::column_name::shown;
use crate::draft::error::DraftError;
use crate::draft::sample::{Format, Sample};
use crate::draft::{delimited, json_lines, parquet_file, text_file};

/// Reads a bounded part of each file.
///
/// # Errors
/// A file that is missing, empty, no table, or has other columns than the first.
pub fn read(files: &[PathBuf]) -> Result<Sample, DraftError> {
    let mut whole: Option<Sample> = None;
    for file in files {
        let sample = read_one(file, files.len())?;
        whole = Some(match whole {
            None => sample,
            Some(first) => joined(first, sample, &files[0], file)?,
        });
    }
    whole.ok_or_else(|| DraftError::new("No file is given"))
}

fn read_one(path: &Path, files: usize) -> Result<Sample, DraftError> {
    let unreadable = |error: std::io::Error| {
        DraftError::of_file(path, format!("cannot be read: {error}"))
            .help("Give the path of a CSV, JSON lines or Parquet file")
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(DraftError::of_file(path, "is a folder, expected a file")
            .help("Name the files in it; several of the same columns form one table"));
    }
    if !metadata.is_file() {
        return Err(DraftError::of_file(path, "is no regular file")
            .help("Write the data to a file first: it is read more than once"));
    }
    if metadata.len() == 0 {
        return Err(DraftError::of_file(path, "is empty"));
    }
    let mut start = Vec::with_capacity(4);
    let opened = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
    opened.map_err(unreadable)?;
    if start == *b"PAR1" {
        return parquet_file::read(path, files);
    }
    let text = text_file::read(path, files)?;
    match text.blocks[0].text.trim_start_matches('\u{FEFF}').trim_start().chars().next() {
        Some('{') => json_lines::read(path, &text),
        Some('[') => Err(DraftError::of_file(path, "is one JSON array").help(
            "Write one object a line, without the brackets and commas around them (JSON lines): jq -c '.[]'",
        )),
        _ => delimited::read(path, &text),
    }
}

fn joined(
    mut first: Sample,
    mut next: Sample,
    first_path: &Path,
    path: &Path,
) -> Result<Sample, DraftError> {
    let other = |problem: String| {
        DraftError::of_file(path, format!("{problem} `{}`", first_path.display()))
            .help("Files of one table have the same format and columns; write a workflow with one port each")
    };
    if first.format != next.format {
        return Err(other(
            "has another format, delimiter or encoding than".to_owned(),
        ));
    }
    let names = |sample: &Sample| -> Vec<String> {
        sample
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    };
    let (here, there) = (names(&next), names(&first));
    if let Some(odd) = here.iter().find(|name| !there.contains(name)) {
        return Err(other(format!(
            "has a column {} besides those of",
            shown(odd)
        )));
    }
    if let Some(odd) = there.iter().find(|name| !here.contains(name)) {
        return Err(other(format!("lacks the column {} of", shown(odd))));
    }
    if matches!(first.format, Format::Csv { .. }) && here != there {
        return Err(other("has its columns in another order than".to_owned()));
    }
    for column in &mut first.columns {
        let same = next
            .columns
            .iter()
            .position(|other| other.name == column.name);
        // Each name of the first is in the next one, as was just seen.
        let Some(same) = same.map(|at| next.columns.swap_remove(at)) else {
            continue;
        };
        (0..same.rows()).for_each(|row| column.push(same.value(row)));
    }
    first.rows += next.rows;
    first.total_rows += next.total_rows;
    first.odd_rows += next.odd_rows;
    first.complete &= next.complete;
    Ok(first)
}
