//! Rows of a text file, one by one: fields of CSV, or the values of a JSON object.

use std::io::{self, BufRead};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::source::TextLayout;

/// Longest part of a value that is shown.
const SHOWN: usize = 60;

/// The cells of a row, without an allocation each.
#[derive(Debug, Default)]
pub struct Row {
    pub line: u64,
    text: String,
    cells: Vec<Cell>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    start: usize,
    end: usize,
    kind: CellKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// No value.
    Null,
    /// Text that says by itself what it is.
    Plain,
    /// Text that is no number and no truth value, such as a string of JSON.
    Quoted,
}

impl Row {
    fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    fn push(&mut self, text: &str, kind: CellKind) {
        let start = self.text.len();
        self.text.push_str(text);
        self.cells.push(Cell {
            start,
            end: self.text.len(),
            kind,
        });
    }

    /// How many cells it has.
    pub fn width(&self) -> usize {
        self.cells.len()
    }

    /// Null where the row has no such cell.
    pub fn cell(&self, column: usize) -> (&str, CellKind) {
        match self.cells.get(column) {
            Some(cell) => (&self.text[cell.start..cell.end], cell.kind),
            None => ("", CellKind::Null),
        }
    }
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCells {
    pub line: u64,
    pub value: String,
    pub why: String,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Row,
    Bad(BadCells),
    End,
}

/// Reads rows.
pub enum Rows {
    Csv(Box<CsvRows>),
    JsonLines(JsonRows),
}

impl Rows {
    /// `columns`: how many fields a row of CSV has; the columns of JSON that are known, to which others
    /// are added as they come.
    pub fn new(input: Box<dyn BufRead + Send>, layout: TextLayout, columns: &[String]) -> Self {
        match layout {
            TextLayout::Csv { delimiter, quote } => {
                let reader = csv::ReaderBuilder::new()
                    .delimiter(delimiter)
                    .quote(quote)
                    .flexible(true)
                    .has_headers(false)
                    .buffer_capacity(64 * 1024)
                    .from_reader(input);
                Rows::Csv(Box::new(CsvRows {
                    reader,
                    record: csv::ByteRecord::new(),
                    delimiter,
                    width: columns.len(),
                }))
            }
            TextLayout::JsonLines => Rows::JsonLines(JsonRows {
                input,
                line: Vec::new(),
                number: 0,
                columns: columns.iter().cloned().zip(0..).collect(),
            }),
        }
    }

    /// # Errors
    /// A file that cannot be read on.
    pub fn next(&mut self, row: &mut Row) -> io::Result<Next> {
        match self {
            Rows::Csv(rows) => rows.next(row),
            Rows::JsonLines(rows) => rows.next(row),
        }
    }

    /// Passes over the first line of CSV.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn skip_header(&mut self) -> io::Result<()> {
        match self {
            Rows::Csv(rows) => {
                let read = rows.reader.read_byte_record(&mut rows.record);
                read.map(|_| ()).map_err(csv_error)
            }
            Rows::JsonLines(_) => Ok(()),
        }
    }

    /// How many columns of JSON have come so far.
    pub fn width(&self) -> usize {
        match self {
            Rows::Csv(_) => 0,
            Rows::JsonLines(rows) => rows.columns.len(),
        }
    }

    /// The columns of JSON that have come so far.
    pub fn columns(&self) -> Vec<String> {
        match self {
            Rows::Csv(_) => Vec::new(),
            Rows::JsonLines(rows) => rows.columns.keys().cloned().collect(),
        }
    }
}

pub struct CsvRows {
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    record: csv::ByteRecord,
    delimiter: u8,
    /// Fields of a row; 0 where any number is right, as in a header.
    width: usize,
}

impl CsvRows {
    fn next(&mut self, row: &mut Row) -> io::Result<Next> {
        row.clear();
        let read = self.reader.read_byte_record(&mut self.record);
        if !read.map_err(csv_error)? {
            return Ok(Next::End);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        row.line = line;
        let bytes = self.record.as_slice();
        let bad = |value: &[u8], why: String| {
            Ok(Next::Bad(BadCells {
                line,
                value: shown(&String::from_utf8_lossy(value)),
                why,
            }))
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            let field = self
                .record
                .iter()
                .find(|field| std::str::from_utf8(field).is_err());
            let why = "it has bytes that are no UTF-8; with.sources says what they are, such as { encoding: latin-1 }";
            return bad(field.unwrap_or(bytes), why.to_owned());
        };
        if self.width > 0 && self.record.len() != self.width {
            let (found, expected) = (self.record.len(), self.width);
            let fields: Vec<&[u8]> = self.record.iter().collect();
            let line = fields.join(&self.delimiter);
            return bad(&line, format!("it has {found} fields, expected {expected}"));
        }
        row.text.push_str(text);
        for field in 0..self.record.len() {
            // Fields end at ASCII characters, so each is text of its own.
            let range = self.record.range(field).unwrap_or(0..0);
            row.cells.push(Cell {
                start: range.start,
                end: range.end,
                kind: match range.is_empty() {
                    true => CellKind::Null,
                    false => CellKind::Plain,
                },
            });
        }
        Ok(Next::Row)
    }
}

fn csv_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, format!("{other:?}")),
    }
}

pub struct JsonRows {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
    columns: IndexMap<String, usize>,
}

impl JsonRows {
    fn next(&mut self, row: &mut Row) -> io::Result<Next> {
        row.clear();
        loop {
            self.line.clear();
            if self.input.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(Next::End);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        row.line = self.number;
        let mut object: Map<String, Value> = match serde_json::from_slice(&self.line) {
            Ok(object) => object,
            Err(error) => {
                let why = format!("it is no JSON object on one line: {error}");
                return Ok(Next::Bad(BadCells {
                    line: self.number,
                    value: shown(String::from_utf8_lossy(&self.line).trim()),
                    why,
                }));
            }
        };
        for column in self.columns.keys() {
            push_json(row, object.remove(column));
        }
        for (name, value) in object {
            self.columns.insert(name, self.columns.len());
            push_json(row, Some(value));
        }
        Ok(Next::Row)
    }
}

fn push_json(row: &mut Row, value: Option<Value>) {
    match value {
        None | Some(Value::Null) => row.push("", CellKind::Null),
        Some(Value::String(text)) => row.push(&text, CellKind::Quoted),
        Some(Value::Bool(truth)) => row.push(if truth { "true" } else { "false" }, CellKind::Plain),
        Some(Value::Number(number)) => row.push(&number.to_string(), CellKind::Plain),
        Some(nested @ (Value::Array(_) | Value::Object(_))) => {
            row.push(&nested.to_string(), CellKind::Quoted);
        }
    }
}

/// A value as messages have it: cut where it is long.
pub fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}
