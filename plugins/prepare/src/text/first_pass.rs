//! A first look through text files: their columns, what types these could have, and the bad rows.

use std::collections::HashSet;
use std::io;

use supermoe_channels::{BadRow, BadRows};

use crate::error::PrepareError;
use crate::files::{Input, TableFile};
use crate::reporter::Reporter;
use crate::source::{TextLayout, TextStyle};
use crate::source_params::BadRowPolicy;
use crate::text::cell_type::{Candidates, expected};
use crate::text::characters;
use crate::text::rows::{BadCells, Next, Row, Rows, shown};
use crate::text::table::{start, unreadable, wrong_cell};

/// How many bad rows are shown.
const SHOWN_ROWS: usize = 10;
/// Rows between two looks at whether to stop.
const ROWS_BETWEEN: u64 = 65_536;

/// What stands in the files of a port.
pub struct FirstPass<'a> {
    input: &'a Input,
    style: &'a TextStyle,
    /// All columns, in the order in which they came.
    pub columns: Vec<String>,
    /// By column.
    pub candidates: Vec<Candidates>,
    pub bad_rows: BadRows,
}

impl<'a> FirstPass<'a> {
    /// # Errors
    /// A file that cannot be read, a header that is none, columns that differ from file to file, bad rows
    /// where they are errors or too many.
    pub fn over(
        input: &'a Input,
        files: &[TableFile],
        style: &'a TextStyle,
        reporter: &dyn Reporter,
    ) -> Result<Self, PrepareError> {
        let mut pass = Self {
            input,
            style,
            columns: Vec::new(),
            candidates: Vec::new(),
            bad_rows: BadRows::default(),
        };
        let mut first: Option<(Vec<String>, &TableFile)> = None;
        for file in files {
            let header = pass.look_through(file, first.as_ref(), reporter)?;
            if first.is_none() {
                first = Some((header, file));
            }
        }
        Ok(pass)
    }

    /// Reads a file to its end. Its columns are told, as its header has them.
    fn look_through(
        &mut self,
        file: &TableFile,
        first: Option<&(Vec<String>, &TableFile)>,
        reporter: &dyn Reporter,
    ) -> Result<Vec<String>, PrepareError> {
        let unreadable = |error: io::Error| self.input.problem_in(file, unreadable(&error));
        let mut header = Vec::new();
        if matches!(self.style.layout, TextLayout::Csv { .. }) {
            header = self.header(file)?;
            if let Some((of_first, first)) = first
                && let Some(how) = difference(of_first, &header, &first.place)
            {
                return Err(self.input.problem_in(file, how));
            }
            self.columns.clone_from(&header);
            self.candidates.resize(header.len(), Candidates::default());
        }
        let mut rows = start(file, self.style, &self.columns).map_err(unreadable)?;
        let mut row = Row::default();
        for number in 1u64.. {
            match rows.next(&mut row).map_err(unreadable)? {
                Next::End => break,
                Next::Bad(bad) => self.bad(file, bad, None)?,
                Next::Row => {
                    self.add_columns(&rows);
                    self.look_at(file, &row)?;
                }
            }
            if number.is_multiple_of(ROWS_BETWEEN) && reporter.stop_requested() {
                return Err(PrepareError::Stopped);
            }
        }
        Ok(header)
    }

    fn add_columns(&mut self, rows: &Rows) {
        if rows.width() > self.columns.len() {
            self.columns = rows.columns();
            self.candidates
                .resize(self.columns.len(), Candidates::default());
        }
    }

    fn look_at(&mut self, file: &TableFile, row: &Row) -> Result<(), PrepareError> {
        let wrong = wrong_cell(row, &self.columns, self.style);
        if let Some((column, of)) = wrong {
            let (text, _) = row.cell(column);
            let bad = BadCells {
                line: row.line,
                value: shown(text),
                why: format!("it is not {}", expected(of, &self.style.times)),
            };
            let name = self.columns[column].clone();
            return self.bad(file, bad, Some(name));
        }
        for (column, candidates) in self.candidates.iter_mut().enumerate() {
            let (text, kind) = row.cell(column);
            candidates.look_at(text, kind);
        }
        Ok(())
    }

    fn bad(
        &mut self,
        file: &TableFile,
        bad: BadCells,
        column: Option<String>,
    ) -> Result<(), PrepareError> {
        let BadCells { line, value, why } = bad;
        let row = BadRow {
            file: file.place.clone(),
            line,
            column,
            value,
            why,
        };
        let params = &self.style.params;
        if params.bad_rows == BadRowPolicy::Error {
            let problem = format!(
                "{}; with.sources.{}.bad_rows: skip leaves such rows out",
                described(&row),
                self.input.port
            );
            return Err(self.input.problem_in(file, problem));
        }
        self.bad_rows.count += 1;
        if self.bad_rows.first.len() < SHOWN_ROWS {
            self.bad_rows.first.push(row);
        }
        if self.bad_rows.count > params.max_bad_rows {
            let first: Vec<String> = self.bad_rows.first.iter().map(described_in).collect();
            let problem = format!(
                "more than {} bad rows (with.sources.{}.max_bad_rows): {}",
                params.max_bad_rows,
                self.input.port,
                first.join("; ")
            );
            return Err(self.input.problem(problem));
        }
        Ok(())
    }

    /// The names of the columns of a CSV file.
    fn header(&self, file: &TableFile) -> Result<Vec<String>, PrepareError> {
        let params = &self.style.params;
        let has_header = params.header.unwrap_or(true);
        let characters = characters::open(&file.path, self.style.encoding);
        let unreadable = |error: io::Error| self.input.problem_in(file, unreadable(&error));
        let mut rows = Rows::new(characters.map_err(unreadable)?, self.style.layout, &[]);
        let mut row = Row::default();
        let width = match rows.next(&mut row).map_err(unreadable)? {
            Next::End => return Err(self.input.problem_in(file, "it is empty")),
            Next::Bad(bad) => {
                let problem = format!("line {}: {}", bad.line, bad.why);
                return Err(self.input.problem_in(file, problem));
            }
            Next::Row => row.width(),
        };
        let first: Vec<&str> = (0..width).map(|column| row.cell(column).0).collect();
        if let [only] = first.as_slice() {
            self.refuse_other_delimiter(file, only)?;
        }
        if !params.columns.is_empty() && params.columns.len() != width {
            let problem = format!(
                "its first line has {width} fields, with.sources.{}.columns has {} names",
                self.input.port,
                params.columns.len()
            );
            return Err(self.input.problem_in(file, problem));
        }
        let names: Vec<String> = (0..width)
            .map(|column| match (params.columns.get(column), has_header) {
                (Some(name), _) => name.clone(),
                (None, true) if !first[column].trim().is_empty() => first[column].to_owned(),
                (None, _) => format!("column_{}", column + 1),
            })
            .collect();
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            let problem = format!("two of its columns are called `{twice}`");
            return Err(self.input.problem_in(file, problem));
        }
        Ok(names)
    }

    fn refuse_other_delimiter(&self, file: &TableFile, line: &str) -> Result<(), PrepareError> {
        let TextLayout::Csv { delimiter, .. } = self.style.layout else {
            return Ok(());
        };
        let others = [b',', b';', b'\t', b'|'].into_iter();
        let mut others = others.filter(|other| *other != delimiter);
        let Some(other) = others.find(|other| line.as_bytes().contains(other)) else {
            return Ok(());
        };
        let written = |byte: u8| match byte {
            b'\t' => "\\t".to_owned(),
            byte => char::from(byte).to_string(),
        };
        let problem = format!(
            "its first line has no `{}`, so it would be one column; with.sources.{}.delimiter may be meant to be \"{}\"",
            written(delimiter),
            self.input.port,
            written(other)
        );
        Err(self.input.problem_in(file, problem))
    }
}

/// A bad row in words, its file left out.
fn described(row: &BadRow) -> String {
    let column = row
        .column
        .as_ref()
        .map(|column| format!(", column `{column}`"));
    format!(
        "line {}{}: `{}`: {}",
        row.line,
        column.unwrap_or_default(),
        row.value,
        row.why
    )
}

/// A bad row in words.
pub fn described_in(row: &BadRow) -> String {
    format!("{}, {}", row.file, described(row))
}

/// How the columns of a file differ from those of another.
fn difference(first: &[String], second: &[String], place: &str) -> Option<String> {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let only = these.iter().filter(|name| !those.contains(name));
        only.map(|name| format!("`{name}`")).collect()
    };
    let (missing, more) = (only(first, second), only(second, first));
    if !(missing.is_empty() && more.is_empty()) {
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
    (first != second).then(|| {
        format!(
            "its columns stand in another order than those of {place}: {}, there {}",
            second.join(", "),
            first.join(", ")
        )
    })
}
