//! Reads a Parquet table that others wrote, such as predictions or embeddings: batch by batch, and columns of
//! the expected type.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::error::DatasetError;

/// The type of the column `snapshot`.
pub const SNAPSHOT_TYPE: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// What takes in a table: first the file's own entries (key and value), then batch after batch.
pub trait TakeIn: Default {
    /// An error is what is wrong with the file, in words.
    fn entry(&mut self, key: &str, value: &str) -> Result<(), String>;
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), String>;
}

/// # Errors
/// A missing or damaged file, and what `T` does not take.
pub fn read<T: TakeIn>(path: &Path) -> Result<T, DatasetError> {
    // The Parquet reader asserts some of what a damaged file may say of itself.
    let read = catch_unwind(AssertUnwindSafe(|| decode(path)));
    read.unwrap_or_else(|_| {
        let problem = "it is damaged: its Parquet metadata contradict themselves".to_owned();
        Err(malformed(path, problem))
    })
}

/// The file, and what is wrong with it.
pub fn malformed(path: &Path, problem: String) -> DatasetError {
    DatasetError::Malformed {
        path: path.to_owned(),
        problem,
    }
}

fn decode<T: TakeIn>(path: &Path) -> Result<T, DatasetError> {
    let file = File::open(path).map_err(|source| DatasetError::Io {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    // Types come from Parquet's own schema: Arrow's copy of it may be damaged without notice.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|error| malformed(path, error.to_string()))?;
    let mut table = T::default();
    let entries = builder.metadata().file_metadata().key_value_metadata();
    for entry in entries.into_iter().flatten() {
        let value = entry.value.as_deref().unwrap_or_default();
        table
            .entry(&entry.key, value)
            .map_err(|problem| malformed(path, problem))?;
    }
    let reader = builder
        .build()
        .map_err(|error| malformed(path, error.to_string()))?;
    for batch in reader {
        let batch = batch.map_err(|error| malformed(path, error.to_string()))?;
        table
            .batch(&batch)
            .map_err(|problem| malformed(path, problem))?;
    }
    Ok(table)
}

/// The column of this name, of any type.
pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    batch
        .column_by_name(name)
        .ok_or_else(|| format!("it has no column `{name}`"))
}

/// The column of this name, which has to be of this type.
pub fn column_of<'a>(
    batch: &'a RecordBatch,
    name: &str,
    data_type: &DataType,
) -> Result<&'a ArrayRef, String> {
    let column = column(batch, name)?;
    if column.data_type() != data_type {
        return Err(format!(
            "column `{name}` is {}; expected {data_type}",
            column.data_type()
        ));
    }
    Ok(column)
}

/// A column of text without NULLs.
pub fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, String> {
    let texts = texts_or_null(batch, name)?;
    if texts.null_count() > 0 {
        return Err(format!("column `{name}` has NULLs"));
    }
    Ok(texts)
}

/// A column of text; a column of NULLs alone is one too.
pub fn texts_or_null(batch: &RecordBatch, name: &str) -> Result<StringArray, String> {
    let column = column(batch, name)?;
    let is_text = matches!(
        column.data_type(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    );
    if !is_text {
        return Err(format!(
            "column `{name}` is {}; expected text",
            column.data_type()
        ));
    }
    let texts = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    Ok(texts.as_string::<i32>().clone())
}
