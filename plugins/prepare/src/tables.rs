//! Input files as tables: Parquet, CSV and JSON lines.

use std::fs::File;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt};

use crate::error::PrepareError;
use crate::session;
use crate::sql_error;

/// The place of an only file.
const THE_FILE: &str = "the file";
/// Enough for the names of the columns.
const HEADER_ROWS: usize = 1;

/// An input port with its files or folders.
#[derive(Debug, Clone)]
pub struct Input {
    pub port: String,
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Parquet,
    Csv { delimiter: u8 },
    JsonLines,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Parquet => "Parquet",
            Format::Csv { delimiter: b'\t' } => "TSV",
            Format::Csv { .. } => "CSV",
            Format::JsonLines => "JSON lines",
        }
    }
}

/// A file of a table, and how messages call it: its own name is that of a private copy.
struct TableFile {
    path: PathBuf,
    /// `the file`, `file 2 of 3`, or where the artifact is a folder the name within.
    place: String,
}

impl Input {
    fn problem(&self, problem: impl Into<String>) -> PrepareError {
        PrepareError::Input {
            port: self.port.clone(),
            place: String::new(),
            problem: problem.into(),
        }
    }

    fn problem_in(&self, file: &TableFile, problem: impl Into<String>) -> PrepareError {
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
    fn files(&self) -> Result<Vec<TableFile>, PrepareError> {
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

    fn common_format(&self, files: &[TableFile]) -> Result<Format, PrepareError> {
        let mut common: Option<(Format, &TableFile)> = None;
        for file in files {
            let format = format_of(&file.path).map_err(|problem| self.problem_in(file, problem))?;
            match common {
                Some((other, first)) if other != format => {
                    let problem = format!(
                        "it is {}, and {} is {}; give each its own port",
                        format.name(),
                        first.place,
                        other.name()
                    );
                    return Err(self.problem_in(file, problem));
                }
                Some(_) => {}
                None => common = Some((format, file)),
            }
        }
        common
            .map(|(format, _)| format)
            .ok_or_else(|| self.problem("it has no files"))
    }
}

/// Makes each port a table of its name; the files of a port form one table.
///
/// # Errors
/// A port without files, an empty file, files of several formats or with columns or types that differ.
pub async fn register(context: &SessionContext, inputs: &[Input]) -> Result<(), PrepareError> {
    if inputs.is_empty() {
        return Err(PrepareError::param(
            "inputs",
            "none given; prepare needs at least one table",
        ));
    }
    for input in inputs {
        let files = input.files()?;
        let format = input.common_format(&files)?;
        if matches!(format, Format::Csv { .. }) {
            // Rows are read by the order of the columns, whatever the header says.
            check_columns(context, input, &files, format, HEADER_ROWS).await?;
        }
        let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        // Types are taken from all rows: a text far down would else fail the run in its middle.
        let table = match table(context, &paths, format, usize::MAX).await {
            Ok(table) => table,
            Err(error) => {
                check_columns(context, input, &files, format, usize::MAX).await?;
                return Err(input.problem(sql_error::message(&error)));
            }
        };
        let name = TableReference::bare(input.port.as_str());
        let registered = context.register_table(name, Arc::new(table));
        registered.map_err(|error| input.problem(error.strip_backtrace()))?;
    }
    Ok(())
}

/// Looks at each file alone.
///
/// # Errors
/// The first file that cannot be read, or whose columns are others than the first file's.
async fn check_columns(
    context: &SessionContext,
    input: &Input,
    files: &[TableFile],
    format: Format,
    rows: usize,
) -> Result<(), PrepareError> {
    let mut first: Option<(SchemaRef, &TableFile)> = None;
    for file in files {
        let alone = table(context, &[&file.path], format, rows).await;
        let schema = alone
            .map_err(|error| input.problem_in(file, sql_error::message(&error)))?
            .schema();
        let Some((other, first)) = &first else {
            first = Some((schema, file));
            continue;
        };
        if let Some(how) = difference(other, &schema, &first.place, format, rows) {
            return Err(input.problem_in(file, how));
        }
    }
    Ok(())
}

/// How a file's columns differ from those of another, where that matters to the format.
fn difference(
    first: &Schema,
    second: &Schema,
    place: &str,
    format: Format,
    rows: usize,
) -> Option<String> {
    let names = |schema: &Schema| -> Vec<String> {
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect()
    };
    let (of_first, of_second) = (names(first), names(second));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let only = these.iter().filter(|name| !those.contains(name));
        only.map(|name| format!("`{name}`")).collect()
    };
    let (missing, more) = (only(&of_first, &of_second), only(&of_second, &of_first));
    let by_order = matches!(format, Format::Csv { .. });
    if by_order && !(missing.is_empty() && more.is_empty()) {
        let mut how = Vec::new();
        if !missing.is_empty() {
            how.push(format!("it lacks {}", missing.join(", ")));
        }
        if !more.is_empty() {
            how.push(format!("it has {} besides", more.join(", ")));
        }
        let how = how.join(", and ");
        return Some(format!(
            "its columns are not those of {place}: {how}; files of one table have the same columns"
        ));
    }
    if by_order && of_first != of_second {
        return Some(format!(
            "its columns stand in another order than those of {place}: {}, there {}",
            of_second.join(", "),
            of_first.join(", ")
        ));
    }
    if rows == HEADER_ROWS {
        return None;
    }
    first.fields().iter().find_map(|field| {
        let (name, there) = (field.name(), field.data_type());
        let here = second.field_with_name(name).ok()?.data_type();
        (here != there).then(|| format!("its column `{name}` is {here}, that of {place} {there}"))
    })
}

/// Reads every file to its end, alone, to find the one at which a query has failed.
pub async fn faulty_file(inputs: &[Input]) -> Option<PrepareError> {
    let context = session::new();
    for input in inputs {
        let files = input.files().ok()?;
        let format = input.common_format(&files).ok()?;
        for file in &files {
            let read = AssertUnwindSafe(read_all(&context, &file.path, format)).catch_unwind();
            match read.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(input.problem_in(file, sql_error::message(&error))),
                Err(_) => {
                    let problem = "it is damaged: its Parquet metadata contradict themselves";
                    return Some(input.problem_in(file, problem));
                }
            }
        }
    }
    None
}

async fn read_all(
    context: &SessionContext,
    file: &Path,
    format: Format,
) -> Result<(), DataFusionError> {
    let table = table(context, &[file], format, usize::MAX).await?;
    let mut batches = context
        .read_table(Arc::new(table))?
        .execute_stream()
        .await?;
    while let Some(batch) = batches.next().await {
        batch?;
    }
    Ok(())
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

/// By its first bytes where they are clear, else by its extension.
fn format_of(file: &Path) -> Result<Format, String> {
    let mut head = Vec::with_capacity(4);
    let opened = File::open(file).and_then(|opened| opened.take(4).read_to_end(&mut head));
    opened.map_err(|error| format!("it cannot be read: {error}"))?;
    if head.is_empty() {
        return Err("it is empty".to_owned());
    }
    if head == *b"PAR1" {
        return Ok(Format::Parquet);
    }
    let extension = file
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    match extension.as_str() {
        "parquet" => Err("it is no Parquet file: it does not begin with PAR1".to_owned()),
        "csv" => Ok(Format::Csv { delimiter: b',' }),
        "tsv" => Ok(Format::Csv { delimiter: b'\t' }),
        "json" | "jsonl" | "ndjson" => Ok(Format::JsonLines),
        other => {
            let found = match other {
                "" => "a file without extension".to_owned(),
                other => format!(".{other}"),
            };
            Err(format!(
                "expected .parquet, .csv, .tsv, .json, .jsonl or .ndjson (a header line in CSV, one object a \
                 line in JSON), found {found}"
            ))
        }
    }
}

/// `rows`: from how many their types are taken.
async fn table(
    context: &SessionContext,
    files: &[&Path],
    format: Format,
    rows: usize,
) -> Result<ListingTable, DataFusionError> {
    let format: Arc<dyn FileFormat> = match format {
        Format::Parquet => Arc::new(ParquetFormat::default()),
        Format::Csv { delimiter } => {
            let csv = CsvFormat::default()
                .with_has_header(true)
                .with_newlines_in_values(true);
            Arc::new(
                csv.with_delimiter(delimiter)
                    .with_schema_infer_max_rec(rows),
            )
        }
        Format::JsonLines => Arc::new(JsonFormat::default().with_schema_infer_max_rec(rows)),
    };
    let options = ListingOptions::new(format).with_file_extension("");
    let urls = files
        .iter()
        .map(|file| url(file))
        .collect::<Result<Vec<_>, _>>()?;
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
    ListingTable::try_new(config.infer_schema(&context.state()).await?)
}

/// As a URL, so that no character of the path means anything.
fn url(file: &Path) -> Result<ListingTableUrl, DataFusionError> {
    let path = std::path::absolute(file)?;
    let mut url = "file://".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                url.push(char::from(byte))
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    ListingTableUrl::parse(url)
}
