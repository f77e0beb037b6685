//! A log in CSV, read row by row.

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
    let columns =
        Columns::find(params, &names).map_err(|problem| AbtestError::log(place, problem))?;
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
                format!("it has {len} fields; expected {expected_len}, as in the header line"),
            )
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            AbtestError::log(format!("{place}, line {line}"), "it is no UTF-8 text")
        }
        _ => unreadable(place, error),
    }
}
