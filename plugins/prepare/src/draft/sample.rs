//! Rows of a table that guesses are made from: columns of texts, each distinct text kept once.

use std::collections::HashMap;

use crate::draft::number::is_nothing;

/// The code of a cell without a value.
const NO_VALUE: u32 = u32::MAX;

/// What a file itself says of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: CSV.
    Unknown,
    Text,
    Number,
    Truth,
    Time,
    /// A list, a map, bytes: nothing that a channel can hold.
    Nested,
}

/// The rows that were looked at.
#[derive(Debug)]
pub struct Sample {
    pub format: Format,
    pub columns: Vec<Column>,
    pub rows: usize,
    /// Whether these are all rows that there are.
    pub complete: bool,
    /// Rows in all files; where not all were read, about so many.
    pub total_rows: u64,
    /// Rows with more or fewer fields than the header.
    pub odd_rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv { delimiter: u8, encoding: Encoding },
    JsonLines,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Latin1,
    Utf16,
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    pub origin: Origin,
    values: Vec<String>,
    counts: Vec<u32>,
    codes: Vec<u32>,
    index: HashMap<String, u32>,
}

impl Column {
    pub fn new(name: impl Into<String>, origin: Origin) -> Column {
        Column {
            name: name.into(),
            origin,
            values: Vec::new(),
            counts: Vec::new(),
            codes: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Adds a cell; an empty text is no value.
    pub fn push(&mut self, value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            self.codes.push(NO_VALUE);
            return;
        };
        let code = match self.index.get(value) {
            Some(&code) => code,
            None => {
                // Fewer distinct values than rows, and those are bounded.
                let code = self.values.len() as u32;
                self.index.insert(value.to_owned(), code);
                self.values.push(value.to_owned());
                self.counts.push(0);
                code
            }
        };
        self.counts[code as usize] += 1;
        self.codes.push(code);
    }

    pub fn rows(&self) -> usize {
        self.codes.len()
    }

    /// By row: the index of its value among [`Column::values`].
    pub fn code(&self, row: usize) -> Option<usize> {
        match self.codes[row] {
            NO_VALUE => None,
            code => Some(code as usize),
        }
    }

    pub fn value(&self, row: usize) -> Option<&str> {
        self.code(row).map(|code| self.values[code].as_str())
    }

    /// Each value once.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Each value that is none of `NULL`, `NA`, `-` and their like, with how often it stands there.
    pub fn real_values(&self) -> impl Iterator<Item = (&str, u32)> + Clone {
        let pairs = self.values.iter().zip(&self.counts);
        pairs
            .map(|(value, &count)| (value.as_str(), count))
            .filter(|(value, _)| !is_nothing(value))
    }

    /// The values of `NULL`'s like that stand there.
    pub fn nothings(&self) -> Vec<&str> {
        let values = self.values.iter().map(String::as_str);
        values.filter(|value| is_nothing(value)).collect()
    }

    /// How many cells have a value.
    pub fn present(&self) -> usize {
        self.real_values().map(|(_, count)| count as usize).sum()
    }

    pub fn distinct(&self) -> usize {
        self.real_values().count()
    }

    pub fn missing(&self) -> usize {
        self.rows() - self.present()
    }
}
