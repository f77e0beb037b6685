//! What the files of a port are: Parquet, or text in one of many styles.

use std::fs::File;
use std::io::Read;

use jiff::tz::TimeZone;

use crate::error::PrepareError;
use crate::files::{Input, TableFile};
use crate::source_params::{ColumnType, SourceFormat, SourceParams, TextEncoding};
use crate::text::time_format::TimeStyle;

/// How the files of a port are read.
#[derive(Debug, Clone)]
pub enum Source {
    Parquet,
    Text(Box<TextStyle>),
}

/// How a text file is read.
#[derive(Debug, Clone)]
pub struct TextStyle {
    pub layout: TextLayout,
    pub encoding: TextEncoding,
    pub times: TimeStyle,
    pub params: SourceParams,
    /// The column that is read as a time, whatever else is said.
    pub time_column: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextLayout {
    Csv { delimiter: u8, quote: u8 },
    JsonLines,
}

/// What a file is by its first bytes and its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Parquet,
    Csv { delimiter: u8 },
    JsonLines,
}

impl Found {
    fn name(self) -> &'static str {
        match self {
            Found::Parquet => "Parquet",
            Found::Csv { delimiter: b'\t' } => "TSV",
            Found::Csv { .. } => "CSV",
            Found::JsonLines => "JSON lines",
        }
    }
}

impl Source {
    /// `params`: what is said of the port. `time`: the column that the events' time stands in.
    ///
    /// # Errors
    /// Files of several formats, an ending that says nothing, params that do not go with the format.
    pub fn of(
        input: &Input,
        files: &[TableFile],
        params: &SourceParams,
        time: &str,
    ) -> Result<Self, PrepareError> {
        let mut common: Option<(Found, &TableFile)> = None;
        for file in files {
            let found =
                format_of(file, params).map_err(|problem| input.problem_in(file, problem))?;
            match common {
                Some((other, first)) if other != found => {
                    let problem = format!(
                        "it is {}, and {} is {}; give each its own port",
                        found.name(),
                        first.place,
                        other.name()
                    );
                    return Err(input.problem_in(file, problem));
                }
                Some(_) => {}
                None => common = Some((found, file)),
            }
        }
        let Some((found, _)) = common else {
            return Err(input.problem("it has no files"));
        };
        refuse_other_formats(&input.port, params, found)?;
        let layout = match found {
            Found::Parquet => return Ok(Source::Parquet),
            Found::JsonLines => TextLayout::JsonLines,
            Found::Csv { delimiter } => TextLayout::Csv {
                delimiter: character(
                    &input.port,
                    "delimiter",
                    params.delimiter.as_deref(),
                    delimiter,
                )?,
                quote: character(&input.port, "quote", params.quote.as_deref(), b'"')?,
            },
        };
        let time_zone = match &params.time_zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                let problem =
                    format!("`{name}` is no time zone: expected one such as Europe/Berlin");
                PrepareError::param(format!("with.sources.{}.time_zone", input.port), problem)
            })?,
        };
        Ok(Source::Text(Box::new(TextStyle {
            layout,
            encoding: params.encoding.unwrap_or_default(),
            times: TimeStyle::new(params.time_format.clone(), time_zone).map_err(|problem| {
                PrepareError::param(format!("with.sources.{}.time_format", input.port), problem)
            })?,
            params: params.clone(),
            time_column: params.time_format.as_ref().map(|_| time.to_owned()),
        })))
    }
}

impl TextStyle {
    /// The type that is said of a column.
    pub fn declared(&self, column: &str) -> Option<ColumnType> {
        let declared = self.params.types.get(column).copied();
        let of_time = self.time_column.as_deref() == Some(column);
        declared.or_else(|| of_time.then_some(ColumnType::Time))
    }
}

fn refuse_other_formats(
    port: &str,
    params: &SourceParams,
    found: Found,
) -> Result<(), PrepareError> {
    let of_csv = [
        ("delimiter", params.delimiter.is_some()),
        ("quote", params.quote.is_some()),
        ("header", params.header.is_some()),
        ("columns", !params.columns.is_empty()),
    ];
    let of_text = [
        ("encoding", params.encoding.is_some()),
        ("types", !params.types.is_empty()),
        ("time_format", params.time_format.is_some()),
        ("time_zone", params.time_zone.is_some()),
    ];
    let csv = matches!(found, Found::Csv { .. });
    let text = found != Found::Parquet;
    let wrong = of_csv
        .iter()
        .filter(|_| !csv)
        .chain(of_text.iter().filter(|_| !text));
    if let Some((key, _)) = wrong.into_iter().find(|(_, given)| *given) {
        let advice = match *key {
            "types" | "time_format" | "time_zone" => "; convert its columns in with.events",
            _ => "",
        };
        let problem = format!("it means nothing for {}{advice}", found.name());
        return Err(PrepareError::param(
            format!("with.sources.{port}.{key}"),
            problem,
        ));
    }
    Ok(())
}

fn character(
    port: &str,
    key: &str,
    given: Option<&str>,
    otherwise: u8,
) -> Result<u8, PrepareError> {
    match given.map(str::as_bytes) {
        None => Ok(otherwise),
        Some(b"\\t") => Ok(b'\t'),
        Some([byte]) if byte.is_ascii() && *byte != b'\n' && *byte != b'\r' => Ok(*byte),
        Some(_) => {
            let given = given.unwrap_or_default();
            let problem = format!("`{given}` is not one ASCII character such as `;` or a tab");
            Err(PrepareError::param(
                format!("with.sources.{port}.{key}"),
                problem,
            ))
        }
    }
}

fn format_of(file: &TableFile, params: &SourceParams) -> Result<Found, String> {
    let mut head = Vec::with_capacity(4);
    let opened = File::open(&file.path).and_then(|opened| opened.take(4).read_to_end(&mut head));
    opened.map_err(|error| format!("it cannot be read: {error}"))?;
    if head.is_empty() {
        return Err("it is empty".to_owned());
    }
    let is_parquet = head == *b"PAR1";
    let name = file
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    let plain = [".gz", ".zst"]
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending));
    let plain = plain.unwrap_or(&name);
    let ending = plain.rsplit_once('.').map_or("", |(_, ending)| ending);
    let delimiter = if ending == "tsv" { b'\t' } else { b',' };
    match params.format {
        Some(SourceFormat::Csv) => return Ok(Found::Csv { delimiter }),
        Some(SourceFormat::Jsonl) => return Ok(Found::JsonLines),
        Some(SourceFormat::Parquet) if !is_parquet => {
            return Err("it is no Parquet file: it does not begin with PAR1".to_owned());
        }
        Some(SourceFormat::Parquet) => return Ok(Found::Parquet),
        None if is_parquet => return Ok(Found::Parquet),
        None => {}
    }
    let says_csv =
        params.delimiter.is_some() || params.header.is_some() || !params.columns.is_empty();
    match ending {
        "parquet" => Err("it is no Parquet file: it does not begin with PAR1".to_owned()),
        "csv" | "tsv" => Ok(Found::Csv { delimiter }),
        "json" | "jsonl" | "ndjson" => Ok(Found::JsonLines),
        _ if says_csv => Ok(Found::Csv { delimiter }),
        other => {
            let found = match other {
                "" => "a file without extension".to_owned(),
                other => format!(".{other}"),
            };
            Err(format!(
                "expected .parquet, .csv, .tsv, .json, .jsonl or .ndjson (a header line in CSV, one object a \
                 line in JSON), found {found}; with.sources says what else it is, such as {{ format: csv }}"
            ))
        }
    }
}
