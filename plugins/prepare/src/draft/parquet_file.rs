//! Parquet: rows from all over the file, by row group.

use std::fs::File;
use std::path::Path;

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use crate::draft::error::DraftError;
use crate::draft::sample::{Column, Format, Origin, Sample};

/// Rows of all files together; a file of no more is read as a whole.
const MOST_ROWS: u64 = 200_000;
const FEWEST_ROWS: u64 = 20_000;
/// Places that rows are taken from.
const PLACES: u64 = 16;
const BATCH_ROWS: usize = 2048;

/// # Errors
/// A damaged file, one without rows.
pub fn read(path: &Path, files: usize) -> Result<Sample, DraftError> {
    let damaged = |error: &dyn std::fmt::Display| {
        DraftError::of_file(path, format!("cannot be read as Parquet: {error}"))
            .help("The file is damaged: write it again, or give the data as CSV")
    };
    let file = File::open(path)
        .map_err(|error| DraftError::of_file(path, format!("cannot be read: {error}")))?;
    let metadata =
        ArrowReaderMetadata::load(&file, Default::default()).map_err(|error| damaged(&error))?;
    let total_rows: u64 = metadata
        .metadata()
        .row_groups()
        .iter()
        .map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
        .sum();
    if total_rows == 0 {
        return Err(DraftError::of_file(path, "has no rows"));
    }
    let mut columns: Vec<Column> = metadata
        .schema()
        .fields()
        .iter()
        .map(|field| Column::new(field.name(), origin(field.data_type())))
        .collect();
    let most = (MOST_ROWS / files.max(1) as u64).max(FEWEST_ROWS);
    for (offset, limit) in places(total_rows, most) {
        let file = file.try_clone().map_err(|error| damaged(&error))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_offset(offset)
            .with_limit(limit)
            .build()
            .map_err(|error| damaged(&error))?;
        for batch in reader {
            let batch = batch.map_err(|error| damaged(&error))?;
            for (column, values) in columns.iter_mut().zip(batch.columns()) {
                add(column, values).map_err(|error| damaged(&error))?;
            }
        }
    }
    let rows = columns.first().map_or(0, Column::rows);
    Ok(Sample {
        format: Format::Parquet,
        columns,
        rows,
        complete: total_rows <= most,
        total_rows,
        odd_rows: 0,
    })
}

fn places(total: u64, most: u64) -> Vec<(usize, usize)> {
    if total <= most {
        return vec![(0, total as usize)];
    }
    let each = most / PLACES;
    let last = total - each;
    let starts = (0..PLACES).map(|place| place * last / (PLACES - 1));
    starts
        .map(|start| (start as usize, each as usize))
        .collect()
}

fn origin(data_type: &DataType) -> Origin {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Origin::Text,
        DataType::Boolean => Origin::Truth,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Origin::Time,
        DataType::Dictionary(_, values) => origin(values),
        DataType::Null => Origin::Unknown,
        other if other.is_numeric() => Origin::Number,
        _ => Origin::Nested,
    }
}

fn add(column: &mut Column, values: &dyn Array) -> Result<(), arrow::error::ArrowError> {
    if column.origin == Origin::Nested {
        (0..values.len()).for_each(|row| column.push(values.is_valid(row).then_some("…")));
        return Ok(());
    }
    let options = FormatOptions::default().with_null("");
    let formatter = ArrayFormatter::try_new(values, &options)?;
    for row in 0..values.len() {
        let text = formatter.value(row).try_to_string()?;
        column.push(Some(&text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_from_all_over() {
        assert_eq!(places(10, 100), [(0, 10)]);
        let places = places(1_000_000, 160_000);
        assert_eq!(places.len() as u64, PLACES);
        assert_eq!(places[0], (0, 10_000));
        assert_eq!(places[15], (990_000, 10_000));
    }
}
