//! A log in CSV, read row by row.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use crate::columns::Columns;
use crate::error::AbtestError;
use crate::log::{ROWS_BETWEEN_STOPS, Stop, finite, unreadable};
use crate::params::Params;
use crate::users::{LogRow, Users};

pub fn read(
    path: &Path,
    place: &str,
    params: &Params,
    users: &mut Users,
    stop: Stop<'_>,
) -> Result<(), AbtestError> {
    refuse_utf16(path, place)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(params.delimiter.as_bytes()[0])
        .from_path(path)
        .map_err(|error| unreadable(place, &error))?;
    let head = reader
        .headers()
        .map_err(|error| malformed(place, &error))?
        .clone();
    let names: Vec<&str> = head.iter().collect();
    let names: Vec<&str> = match names.first() {
        None => {
            return Err(AbtestError::log(
                place,
                "it is empty; expected a header line",
            ));
        }
        // The mark that some programs put before UTF-8.
        Some(first) => {
            let first = first.trim_start_matches('\u{feff}');
            std::iter::once(first)
                .chain(names[1..].iter().copied())
                .collect()
        }
    };
    let columns = Columns::find_in_text(params, &names)
        .map_err(|problem| AbtestError::log(place, problem))?;
    let mut record = StringRecord::new();
    let (mut sums, mut pre) = (Vec::new(), Vec::new());
    let mut rows = 0;
    while reader
        .read_record(&mut record)
        .map_err(|error| malformed(place, &error))?
    {
        rows += 1;
        if rows % ROWS_BETWEEN_STOPS == 0 && stop() {
            return Err(AbtestError::Stopped);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |problem: String| AbtestError::log(format!("{place}, line {line}"), problem);
        let numbers = |places: &[usize], into: &mut Vec<f64>, empty: Empty| -> Result<(), String> {
            into.clear();
            for &at in places {
                into.push(number(&record[at], names[at], empty)?);
            }
            Ok(())
        };
        numbers(&columns.sums, &mut sums, Empty::IsWrong).map_err(wrong)?;
        numbers(&columns.pre, &mut pre, Empty::IsNone).map_err(wrong)?;
        let row = LogRow {
            user: &record[columns.user],
            bucket: &record[columns.bucket],
            sums: &sums,
            pre: &pre,
        };
        users.add(&row).map_err(wrong)?;
    }
    Ok(())
}

/// Text of two bytes a letter, which some programs write, begins with one of these marks.
const UTF16_MARKS: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

fn refuse_utf16(path: &Path, place: &str) -> Result<(), AbtestError> {
    let mut head = Vec::with_capacity(2);
    let file = File::open(path).map_err(|error| unreadable(place, &error))?;
    let read = file.take(2).read_to_end(&mut head);
    read.map_err(|error| unreadable(place, &error))?;
    match UTF16_MARKS.iter().any(|mark| head == mark) {
        true => Err(AbtestError::log(
            place,
            "it is UTF-16 text; save the log as UTF-8",
        )),
        false => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Empty {
    IsWrong,
    IsNone,
}

fn number(text: &str, column: &str, empty: Empty) -> Result<f64, String> {
    let text = text.trim();
    if text.is_empty() {
        return match empty {
            Empty::IsNone => Ok(f64::NAN),
            Empty::IsWrong => Err(format!(
                "column `{column}` is empty; expected a number, 0 where the user did nothing"
            )),
        };
    }
    let value: f64 = text
        .parse()
        .map_err(|_| format!("column `{column}` is `{text}`; expected a number"))?;
    if value.is_infinite() && text.contains(|letter: char| letter.is_ascii_digit()) {
        return Err(format!(
            "column `{column}` is {text}, which is beyond 64 bits; expected a smaller number"
        ));
    }
    finite(value, column)
}

fn malformed(place: &str, error: &csv::Error) -> AbtestError {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            AbtestError::log(
                format!("{place}, line {line}"),
                format!(
                    "it has {len} field{}; expected {expected_len}, as in the header line: look for a delimiter or a \
                     quotation mark too many, or one that is missing",
                    if *len == 1 { "" } else { "s" }
                ),
            )
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            AbtestError::log(
                format!("{place}, line {line}"),
                "it is no UTF-8 text; save the log as UTF-8",
            )
        }
        _ => unreadable(place, error),
    }
}
