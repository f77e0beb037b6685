//! CSV: the delimiter, the header, and the rows of the blocks that were read.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use crate::draft::column_name::shown;
use crate::draft::error::DraftError;
use crate::draft::number::NumberStyle;
use crate::draft::sample::{Column, Format, Origin, Sample};
use crate::draft::text_file::{Block, TextFile};
use crate::draft::time_fits::fits;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Records that the delimiter is guessed from.
const FEW_RECORDS: usize = 1000;
/// Rows that the header is compared with.
const HEADER_ROWS: usize = 200;

/// The rows of a CSV file, as columns of texts.
///
/// # Errors
/// One column only, no header line, two columns of one name, no rows, a line without end.
pub fn read(path: &Path, file: &TextFile) -> Result<Sample, DraftError> {
    let head = &file.blocks[0];
    if head.text.trim_start_matches('\u{FEFF}').trim().is_empty() {
        return Err(DraftError::of_file(path, "has no text in it").help(EXPECTED));
    }
    let delimiter = delimiter(path, head)?;
    let mut head_records = records(&head.text, delimiter);
    if head.ends_inside {
        head_records.pop();
    }
    if head_records.is_empty() {
        let problem = format!("has a first line of more than {} bytes", head.text.len());
        return Err(DraftError::of_file(path, problem).help(EXPECTED));
    }
    let header = head_records.remove(0);
    let names: Vec<&str> = header.iter().collect();
    check_header(path, &names, &head_records)?;
    let mut columns: Vec<Column> = names
        .iter()
        .map(|name| Column::new(*name, Origin::Unknown))
        .collect();
    let mut odd_rows = 0;
    let mut seen_bytes = 0_u64;
    let mut add = |records: &[StringRecord], inside: bool| {
        for record in records {
            if record.len() == columns.len() {
                for (column, value) in columns.iter_mut().zip(record) {
                    column.push(Some(value));
                }
                seen_bytes += record.as_slice().len() as u64 + record.len() as u64;
            } else if !inside {
                odd_rows += 1;
            }
        }
    };
    add(&head_records, false);
    for block in &file.blocks[1..] {
        add(&records_inside(block, delimiter, header.len()), true);
    }
    let rows = columns[0].rows();
    if rows == 0 {
        let problem = match odd_rows {
            0 => "has a header line and no rows".to_owned(),
            _ => format!("has no row with the {} fields of its header", names.len()),
        };
        return Err(DraftError::of_file(path, problem).help(EXPECTED));
    }
    let row_bytes = seen_bytes as f64 / rows as f64;
    Ok(Sample {
        format: Format::Csv {
            delimiter,
            encoding: file.encoding,
        },
        columns,
        rows,
        complete: file.complete,
        total_rows: match file.complete {
            true => rows as u64,
            false => (file.bytes as f64 / row_bytes.max(1.0)) as u64,
        },
        odd_rows,
    })
}

const EXPECTED: &str = "Expected a table with a header line, one event a row: who, when, what";

/// All records, the first and the last perhaps in part.
fn records(text: &str, delimiter: u8) -> Vec<StringRecord> {
    let text = text.trim_start_matches('\u{FEFF}');
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    // UTF-8 read from memory has no errors.
    reader.records().map_while(Result::ok).collect()
}

/// The whole records of a block that begins anywhere: perhaps between quotes.
fn records_inside(block: &Block, delimiter: u8, fields: usize) -> Vec<StringRecord> {
    let outside = block.text.split_once('\n').map_or("", |(_, rest)| rest);
    let readings = [outside.to_owned(), format!("\"{}", block.text)];
    let whole = readings.map(|text| {
        let mut records = records(&text, delimiter);
        if block.ends_inside {
            records.pop();
        }
        let all = records.len().max(1);
        records.retain(|record| record.len() == fields);
        (records.len() as f64 / all as f64, records)
    });
    let [(share_outside, outside), (share_inside, mut inside)] = whole;
    if share_inside > share_outside {
        // The first is a part of one.
        return inside.split_off(1.min(inside.len()));
    }
    outside
}

/// The delimiter with which most records have as many fields as the header.
fn delimiter(path: &Path, head: &Block) -> Result<u8, DraftError> {
    let few = beginning(&head.text);
    let mut best: Option<(f64, u8)> = None;
    for delimiter in DELIMITERS {
        let mut records = records(few, delimiter);
        if records.len() > 2 && (few.len() < head.text.len() || head.ends_inside) {
            records.pop();
        }
        let Some(fields) = records
            .first()
            .map(StringRecord::len)
            .filter(|&fields| fields > 1)
        else {
            continue;
        };
        let same = records
            .iter()
            .filter(|record| record.len() == fields)
            .count();
        let share = same as f64 / records.len() as f64;
        // Of two that fit alike the one with more fields: a decimal comma splits some.
        let score = share * share * (fields as f64).ln_1p();
        if best.is_none_or(|(other, _)| score > other) {
            best = Some((score, delimiter));
        }
    }
    let nothing = || {
        let first = few.lines().next().unwrap_or_default();
        let problem = format!("has one column only: its first line is {}", shown(first));
        let help = "Fields are separated by a comma, a semicolon, a tab or |; an event needs who and \
                    when at least";
        DraftError::of_file(path, problem).help(help)
    };
    best.map(|(_, delimiter)| delimiter).ok_or_else(nothing)
}

/// About so many lines as records are looked at.
fn beginning(text: &str) -> &str {
    let end = text
        .match_indices('\n')
        .nth(FEW_RECORDS)
        .map(|(at, _)| at + 1);
    end.map_or(text, |end| &text[..end])
}

fn check_header(path: &Path, names: &[&str], records: &[StringRecord]) -> Result<(), DraftError> {
    for (at, name) in names.iter().enumerate() {
        if !name.trim().is_empty() && names[..at].contains(name) {
            let problem = format!("has two columns called {}", shown(name));
            return Err(DraftError::of_file(path, problem).help("Rename one in the header line"));
        }
    }
    if is_header(names, records) {
        return Ok(());
    }
    let first = names.join(", ");
    let problem = format!(
        "has no header line: its first line looks like data, {}",
        shown(&first)
    );
    Err(DraftError::of_file(path, problem).help(
        "Write the names of the columns on the first line (or see `sources` in docs/data.md for files \
         without)",
    ))
}

/// A header is no data: no number, no time, and no text that stands in the rows of its column too.
fn is_header(names: &[&str], records: &[StringRecord]) -> bool {
    let is_data = |name: &str| {
        NumberStyle::Comma.parse(name).is_some()
            || NumberStyle::PointGrouped.parse(name).is_some()
            || !fits(&[(name, 1)]).is_empty()
    };
    if names.iter().any(|name| is_data(name)) || names.iter().all(|name| name.trim().is_empty()) {
        return false;
    }
    let again = names.iter().enumerate().filter(|(at, name)| {
        let rows = records.iter().take(HEADER_ROWS);
        !name.is_empty()
            && rows
                .filter_map(|record| record.get(*at))
                .any(|value| value == **name)
    });
    again.count() * 2 <= names.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::sample::Encoding;

    fn file(parts: &[(&str, bool, bool)]) -> TextFile {
        let blocks = parts
            .iter()
            .map(|&(text, begins_inside, ends_inside)| Block {
                text: text.to_owned(),
                begins_inside,
                ends_inside,
            });
        TextFile {
            blocks: blocks.collect(),
            encoding: Encoding::Utf8,
            bytes: parts.iter().map(|(text, ..)| text.len() as u64).sum(),
            complete: parts.len() == 1,
        }
    }

    fn whole(text: &str) -> Result<Sample, DraftError> {
        read(Path::new("data.csv"), &file(&[(text, false, false)]))
    }

    fn told(text: &str) -> String {
        whole(text).expect_err("it is wrong").message
    }

    #[test]
    fn the_delimiter_is_that_of_the_header() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n3,5;1\n", b';'),
            ("a\tb\n\"x, y\"\t2\n", b'\t'),
            ("a|b|c\n1|2|3\n", b'|'),
        ] {
            let sample = whole(text).expect("a table");
            assert!(
                matches!(sample.format, Format::Csv { delimiter: found, .. } if found == delimiter),
                "{text:?}"
            );
        }
    }

    #[test]
    fn byte_order_marks_and_mixed_line_ends_are_read() {
        let sample = whole("\u{FEFF}a,b\r\n1,2\n3,4\r5,6").expect("a table");
        assert_eq!(sample.columns[0].name, "a");
        assert_eq!(sample.rows, 3);
    }

    #[test]
    fn what_is_no_table_is_told() {
        assert_eq!(
            told("a\n1\n2\n"),
            "`data.csv` has one column only: its first line is `a`"
        );
        assert_eq!(told(" \n"), "`data.csv` has no text in it");
        assert_eq!(told("a,b\n"), "`data.csv` has a header line and no rows");
        assert_eq!(told("a,a\n1,2\n"), "`data.csv` has two columns called `a`");
        assert!(told("1,2021-01-01\n2,2021-01-02\n").contains("no header line"));
        assert!(told("ann,x\nann,x\nbob,x\n").contains("no header line"));
    }

    #[test]
    fn rows_of_other_lengths_are_counted() {
        let sample = whole("a,b\n1,2\n3\n4,5,6\n7,8\n").expect("a table");
        assert_eq!((sample.rows, sample.odd_rows), (2, 2));
    }

    #[test]
    fn pieces_from_inside_are_joined_at_whole_rows() {
        let head = ("a,b\n1,\"x\ny\"\n2,z\n3,", false, true);
        let cut_outside = ("4,cut\n5,v\n6,w\n7,", true, true);
        let cut_inside = ("in quotes\nand on\"\n8,u\n9,\"a\nb\"\n10,t", true, false);
        let sample =
            read(Path::new("x"), &file(&[head, cut_outside, cut_inside])).expect("a table");
        let keys: Vec<&str> = (0..sample.rows)
            .filter_map(|row| sample.columns[0].value(row))
            .collect();
        assert_eq!(keys, ["1", "2", "5", "6", "8", "9", "10"]);
    }
}
