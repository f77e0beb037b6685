//! JSON lines: one object a line, its keys the columns.

use std::path::Path;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::draft::error::DraftError;
use crate::draft::sample::{Column, Format, Origin, Sample};
use crate::draft::text_file::TextFile;

const EXPECTED: &str =
    "Expected one JSON object a line: {\"user\": 1, \"time\": \"2021-03-04T05:06:07Z\"}";

/// # Errors
/// A line that is no object, no lines.
pub fn read(path: &Path, file: &TextFile) -> Result<Sample, DraftError> {
    let mut columns: IndexMap<String, Column> = IndexMap::new();
    let mut rows = 0;
    let mut seen_bytes = 0;
    for block in &file.blocks {
        let mut lines: Vec<&str> = block
            .text
            .trim_start_matches('\u{FEFF}')
            .split('\n')
            .collect();
        if block.ends_inside {
            lines.pop();
        }
        let cut = usize::from(block.begins_inside);
        for (line, number) in lines.into_iter().zip(1..).skip(cut) {
            if line.trim().is_empty() {
                continue;
            }
            let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
                let place = match block.begins_inside {
                    true => "a line in its middle".to_owned(),
                    false => format!("line {number}"),
                };
                // The parser has seen this line alone.
                let told = error.to_string();
                let problem = told.split(" at line ").next().unwrap_or_default();
                let column = error.column();
                DraftError::of_file(
                    path,
                    format!("has no JSON object on {place}, column {column}: {problem}"),
                )
                .help(EXPECTED)
            })?;
            add(&mut columns, rows, object);
            rows += 1;
            seen_bytes += line.len() + 1;
        }
    }
    if rows == 0 {
        return Err(DraftError::of_file(path, "has no whole line").help(EXPECTED));
    }
    Ok(Sample {
        format: Format::JsonLines,
        columns: columns.into_values().collect(),
        rows,
        complete: file.complete,
        total_rows: match file.complete {
            true => rows as u64,
            false => (file.bytes as f64 / (seen_bytes as f64 / rows as f64)) as u64,
        },
        odd_rows: 0,
    })
}

fn add(columns: &mut IndexMap<String, Column>, rows: usize, object: Map<String, Value>) {
    for (key, value) in object {
        let origin = match &value {
            Value::Null => Origin::Unknown,
            Value::Bool(_) => Origin::Truth,
            Value::Number(_) => Origin::Number,
            Value::String(_) => Origin::Text,
            Value::Array(_) | Value::Object(_) => Origin::Nested,
        };
        let column = columns.entry(key).or_insert_with_key(|key| {
            let mut column = Column::new(key.as_str(), Origin::Unknown);
            (0..rows).for_each(|_| column.push(None));
            column
        });
        column.origin = match (column.origin, origin) {
            (Origin::Unknown, new) => new,
            (old, Origin::Unknown) => old,
            (old, new) if old == new => old,
            (Origin::Nested, _) | (_, Origin::Nested) => Origin::Nested,
            // Numbers and texts in one column: DataFusion reads them as text.
            _ => Origin::Text,
        };
        match value {
            Value::Null => column.push(None),
            Value::String(text) => column.push(Some(&text)),
            Value::Array(_) | Value::Object(_) => column.push(Some("…")),
            other => column.push(Some(&other.to_string())),
        }
    }
    for column in columns.values_mut() {
        if column.rows() == rows {
            column.push(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::sample::Encoding;
    use crate::draft::text_file::Block;

    fn sample(text: &str) -> Result<Sample, DraftError> {
        let block = Block {
            text: text.to_owned(),
            begins_inside: false,
            ends_inside: false,
        };
        let file = TextFile {
            blocks: vec![block],
            encoding: Encoding::Utf8,
            bytes: text.len() as u64,
            complete: true,
        };
        read(Path::new("data.jsonl"), &file)
    }

    #[test]
    fn keys_are_columns_whenever_they_come() {
        let sample = sample("{\"a\":1}\n\n{\"b\":\"x\",\"c\":[1]}\r\n{\"a\":2.5,\"b\":null}\n")
            .expect("rows");
        let seen: Vec<(&str, Origin, usize)> = sample
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.origin, column.present()))
            .collect();
        let expected = [
            ("a", Origin::Number, 2),
            ("b", Origin::Text, 1),
            ("c", Origin::Nested, 1),
        ];
        assert_eq!(seen, expected);
        assert!(sample.columns.iter().all(|column| column.rows() == 3));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = sample("{\"a\":1}\n[1]\n").expect_err("no object");
        assert!(error.message.contains("line 2"), "{}", error.message);
    }
}
