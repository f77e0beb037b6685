//! Input files as tables: Parquet, CSV and JSON lines.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

use crate::error::PrepareError;

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

/// Makes each port a table of its name; the files of a port form one table.
///
/// # Errors
/// A port without files, an empty file, files of several formats or with types that differ.
pub async fn register(context: &SessionContext, inputs: &[Input]) -> Result<(), PrepareError> {
    if inputs.is_empty() {
        return Err(PrepareError::param(
            "inputs",
            "none given; prepare needs at least one table",
        ));
    }
    for input in inputs {
        let problem = |problem| PrepareError::Input {
            port: input.port.clone(),
            problem,
        };
        let files = files(&input.paths).map_err(problem)?;
        let format = common_format(&files).map_err(problem)?;
        let table = table(context, &files, format).await;
        let table = table.map_err(|error| problem(error.find_root().strip_backtrace()))?;
        let name = TableReference::bare(input.port.as_str());
        let registered = context.register_table(name, Arc::new(table));
        registered.map_err(|error| problem(error.strip_backtrace()))?;
    }
    Ok(())
}

/// Files as they are, folders as the files in them, by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let hidden = entry
                    .file_name()
                    .as_encoded_bytes()
                    .first()
                    .is_some_and(|&b| b == b'.' || b == b'_');
                if !hidden && entry.file_type().map_err(unreadable)?.is_file() {
                    inside.push(entry.path());
                }
            }
            inside.sort_unstable();
            files.append(&mut inside);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        return Err("it has no files".to_owned());
    }
    Ok(files)
}

fn common_format(files: &[PathBuf]) -> Result<Format, String> {
    let mut common: Option<(Format, &Path)> = None;
    for file in files {
        let format = format_of(file)?;
        match common {
            Some((other, first)) if other != format => {
                let (first, file) = (first.display(), file.display());
                return Err(format!(
                    "{first} and {file} are of different formats; give each its own port"
                ));
            }
            _ => common = Some((format, file)),
        }
    }
    common
        .map(|(format, _)| format)
        .ok_or_else(|| "it has no files".to_owned())
}

/// By its first bytes where they are clear, else by its extension.
fn format_of(file: &Path) -> Result<Format, String> {
    let mut head = Vec::with_capacity(4);
    let opened = File::open(file).and_then(|opened| opened.take(4).read_to_end(&mut head));
    opened.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if head.is_empty() {
        return Err(format!("{} is empty", file.display()));
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
        "parquet" => Err(format!(
            "{} is no Parquet file: it does not begin with PAR1",
            file.display()
        )),
        "csv" => Ok(Format::Csv { delimiter: b',' }),
        "tsv" => Ok(Format::Csv { delimiter: b'\t' }),
        "json" | "jsonl" | "ndjson" => Ok(Format::JsonLines),
        _ => Err(format!(
            "{}: expected .parquet, .csv, .tsv, .json, .jsonl or .ndjson (a header line in CSV, one object a \
             line in JSON)",
            file.display()
        )),
    }
}

async fn table(
    context: &SessionContext,
    files: &[PathBuf],
    format: Format,
) -> Result<ListingTable, DataFusionError> {
    // Types are taken from all rows: a text far down would else fail the run in its middle.
    let format: Arc<dyn FileFormat> = match format {
        Format::Parquet => Arc::new(ParquetFormat::default()),
        Format::Csv { delimiter } => {
            let csv = CsvFormat::default()
                .with_has_header(true)
                .with_newlines_in_values(true);
            Arc::new(
                csv.with_delimiter(delimiter)
                    .with_schema_infer_max_rec(usize::MAX),
            )
        }
        Format::JsonLines => Arc::new(JsonFormat::default().with_schema_infer_max_rec(usize::MAX)),
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
