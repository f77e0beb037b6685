//! Whole Parquet files as columns, written so that the same columns give the same bytes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float32Type, Schema as ArrowSchema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::DatasetError;

/// Row groups end at this many rows, whatever the machine.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Writes columns of equal length to a new file, making its folder where it is missing.
pub(crate) fn write(path: &Path, columns: Vec<(String, ArrayRef)>) -> Result<(), DatasetError> {
    if let Some(folder) = path.parent() {
        let io = |source| DatasetError::Io {
            action: "make",
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| {
            let nullable = array.is_nullable();
            (name, array, nullable)
        }));
    let arrow = |source| DatasetError::Arrow {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let batch = batch.map_err(arrow)?;
    let io = |source| DatasetError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let file = File::create(path).map_err(io)?;
    let parquet = |source| DatasetError::Parquet {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties())).map_err(parquet)?;
    writer.write(&batch).map_err(parquet)?;
    writer.close().map_err(parquet)?;
    Ok(())
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        // Not the library's own name and version: an upgrade that writes the same data is no change.
        .set_created_by("supermoe".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build()
}

/// A file's rows, one batch.
pub(crate) struct Table {
    path: PathBuf,
    batch: RecordBatch,
}

impl Table {
    pub(crate) fn read(path: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io {
            action: "open",
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let parquet = |source| DatasetError::Parquet {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
        let schema: Arc<ArrowSchema> = reader.schema().clone();
        let reader = reader.with_batch_size(64 * 1024).build().map_err(parquet)?;
        let arrow = |source| DatasetError::Arrow {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(arrow)?;
        let batch = concat_batches(&schema, &batches).map_err(arrow)?;
        Ok(Self {
            path: path.to_owned(),
            batch,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.batch.column_by_name(name).is_some()
    }

    /// The column of that name and type.
    pub(crate) fn column(
        &self,
        name: &str,
        data_type: &DataType,
    ) -> Result<&ArrayRef, DatasetError> {
        let column = self.batch.column_by_name(name);
        let column = column.ok_or_else(|| self.malformed(format!("it has no column `{name}`")))?;
        if column.data_type() != data_type {
            let found = column.data_type();
            return Err(self.malformed(format!("column `{name}` is {found}; expected {data_type}")));
        }
        Ok(column)
    }

    /// The values of a column without NULLs.
    pub(crate) fn values<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Vec<T::Native>, DatasetError> {
        let column = self.column(name, &T::DATA_TYPE)?;
        self.values_of::<T>(name, column)
    }

    fn values_of<T: ArrowPrimitiveType>(
        &self,
        name: &str,
        column: &ArrayRef,
    ) -> Result<Vec<T::Native>, DatasetError> {
        if column.null_count() > 0 {
            return Err(self.malformed(format!("column `{name}` has NULLs")));
        }
        // `column` has checked the type.
        Ok(column.as_primitive::<T>().values().to_vec())
    }

    /// The values of an f32 column, NaN for NULL.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f32>, DatasetError> {
        Ok(nulls_to_nan(
            self.column(name, &DataType::Float32)?.as_primitive(),
        ))
    }

    /// Text of any Arrow string type, without NULLs.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, DatasetError> {
        let column = self.batch.column_by_name(name);
        let column = column.ok_or_else(|| self.malformed(format!("it has no column `{name}`")))?;
        if !matches!(
            column.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ) {
            let found = column.data_type();
            return Err(self.malformed(format!("column `{name}` is {found}; expected text")));
        }
        let arrow = |source| DatasetError::Arrow {
            action: "read",
            path: self.path.clone(),
            source,
        };
        let column = cast(column, &DataType::Utf8).map_err(arrow)?;
        let texts = column
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(str::to_owned));
        let texts: Option<Vec<String>> = texts.collect();
        texts.ok_or_else(|| self.malformed(format!("column `{name}` has NULLs")))
    }

    /// The inner values of a list column; `lengths` are the lengths that its lists must have.
    pub(crate) fn flattened(&self, name: &str, lengths: &[u32]) -> Result<ArrayRef, DatasetError> {
        let column = self.batch.column_by_name(name);
        let column = column.ok_or_else(|| self.malformed(format!("it has no column `{name}`")))?;
        let Some(lists) = column.as_list_opt::<i64>() else {
            let found = column.data_type();
            return Err(
                self.malformed(format!("column `{name}` is {found}; expected a large list"))
            );
        };
        let offsets = lists.value_offsets();
        let fits = lists.null_count() == 0
            && offsets
                .windows(2)
                .zip(lengths)
                .all(|(ends, &length)| ends[1] - ends[0] == i64::from(length));
        if !fits {
            return Err(self.malformed(format!(
                "a list of column `{name}` is not as long as its sample"
            )));
        }
        // A batch that `concat_batches` made begins at 0, but a slice need not.
        let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
        Ok(lists.values().slice(start, end - start))
    }

    pub(crate) fn flattened_values<T: ArrowPrimitiveType>(
        &self,
        name: &str,
        lengths: &[u32],
    ) -> Result<Vec<T::Native>, DatasetError> {
        let values = self.flattened_primitive::<T>(name, lengths)?;
        self.values_of::<T>(name, &values)
    }

    pub(crate) fn flattened_numbers(
        &self,
        name: &str,
        lengths: &[u32],
    ) -> Result<Vec<f32>, DatasetError> {
        Ok(nulls_to_nan(
            self.flattened_primitive::<Float32Type>(name, lengths)?
                .as_primitive(),
        ))
    }

    fn flattened_primitive<T: ArrowPrimitiveType>(
        &self,
        name: &str,
        lengths: &[u32],
    ) -> Result<ArrayRef, DatasetError> {
        let values = self.flattened(name, lengths)?;
        if values.data_type() != &T::DATA_TYPE {
            let (found, expected) = (values.data_type(), T::DATA_TYPE);
            return Err(self.malformed(format!(
                "column `{name}` has lists of {found}; expected {expected}"
            )));
        }
        Ok(values)
    }

    pub(crate) fn malformed(&self, problem: String) -> DatasetError {
        DatasetError::Malformed {
            path: self.path.clone(),
            problem,
        }
    }
}

fn nulls_to_nan(column: &PrimitiveArray<Float32Type>) -> Vec<f32> {
    column
        .iter()
        .map(|value| value.unwrap_or(f32::NAN))
        .collect()
}
