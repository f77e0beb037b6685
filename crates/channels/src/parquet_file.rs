//! Whole Parquet files as columns, written so that the same columns give the same bytes.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Float32Type, Schema as ArrowSchema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::error::DatasetError;
use crate::layout;

/// Row groups end at this many rows, whatever the machine.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 64 * 1024;

/// Writes columns of equal length to a new file, making its folder where it is missing.
pub(crate) fn write(path: &Path, columns: Vec<(String, ArrayRef)>) -> Result<(), DatasetError> {
    let mut writer = TableWriter::new(path.to_owned());
    writer.append(columns)?;
    writer.close()
}

/// A file that is written part by part; the first part says which columns there are.
pub(crate) struct TableWriter {
    path: PathBuf,
    file: Option<ArrowWriter<File>>,
}

impl TableWriter {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Appends columns of equal length: the same names and types every time.
    pub(crate) fn append(&mut self, columns: Vec<(String, ArrayRef)>) -> Result<(), DatasetError> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, array)| {
                let data_type = array.data_type();
                Field::new(name, data_type.clone(), may_be_null(data_type))
            })
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays);
        let batch = batch.map_err(|source| DatasetError::Arrow {
            action: "write",
            path: self.path.clone(),
            source,
        })?;
        if self.file.is_none() {
            self.file = Some(self.create(batch.schema())?);
        }
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write(&batch));
        written.map_err(|source| self.failed(source))
    }

    pub(crate) fn close(mut self) -> Result<(), DatasetError> {
        let closed = self
            .file
            .take()
            .map_or(Ok(()), |file| file.close().map(drop));
        closed.map_err(|source| self.failed(source))
    }

    fn create(&self, schema: SchemaRef) -> Result<ArrowWriter<File>, DatasetError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| DatasetError::Io {
                action,
                path,
                source,
            }
        };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(io("make", folder))?;
        }
        let file = File::create(&self.path).map_err(io("write", &self.path))?;
        let options = ArrowWriterOptions::new()
            .with_properties(properties())
            // A copy of the schema in Arrow's own form would change with Arrow.
            .with_skip_arrow_metadata(true);
        ArrowWriter::try_new_with_options(file, schema, options)
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: parquet::errors::ParquetError) -> DatasetError {
        DatasetError::Parquet {
            action: "write",
            path: self.path.clone(),
            source,
        }
    }
}

/// Numbers may be missing. By type, so that every part of a file says the same.
fn may_be_null(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::LargeList(_))
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

/// A file's rows, in batches.
pub(crate) struct Table {
    path: PathBuf,
    batches: Vec<RecordBatch>,
    schema: SchemaRef,
}

impl Table {
    pub(crate) fn read(path: &Path) -> Result<Self, DatasetError> {
        // The Parquet reader asserts some of what a damaged file may say of itself.
        let read = catch_unwind(AssertUnwindSafe(|| Self::decode(path)));
        read.unwrap_or_else(|_| {
            let problem = "it is damaged: its Parquet metadata contradict themselves".to_owned();
            Err(DatasetError::Malformed {
                path: path.to_owned(),
                problem,
            })
        })
    }

    /// All shards of a folder, in order.
    ///
    /// # Errors
    /// A folder without shards, a shard that is missing between others, and what [`Table::read`] says.
    pub(crate) fn read_shards(folder: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io {
            action: "read",
            path: folder.to_owned(),
            source,
        };
        let mut found = 0;
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            found += usize::from(name.as_encoded_bytes().ends_with(b".parquet"));
        }
        let mut all = Self::read(&folder.join(layout::shard_file(0)))?;
        for index in 1..found {
            let shard = Self::read(&folder.join(layout::shard_file(index)))?;
            if shard.schema.fields() != all.schema.fields() {
                let first = layout::shard_file(0);
                return Err(shard.malformed(format!("its columns are not those of {first}")));
            }
            all.batches.extend(shard.batches);
        }
        Ok(all)
    }

    fn decode(path: &Path) -> Result<Self, DatasetError> {
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
        // Types come from Parquet's own schema: Arrow's copy of it, where a file has one, may be damaged
        // without notice.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(parquet)?;
        let schema = reader.schema().clone();
        let reader = reader
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(parquet)?;
        let arrow = |source| DatasetError::Arrow {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let batches = reader.collect::<Result<_, _>>().map_err(arrow)?;
        Ok(Self {
            path: path.to_owned(),
            batches,
            schema,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.schema.index_of(name).is_ok()
    }

    /// The values of a column without NULLs.
    pub(crate) fn values<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Vec<T::Native>, DatasetError> {
        let index = self.index(name, &T::DATA_TYPE)?;
        self.values_of::<T>(
            name,
            self.batches.iter().map(|batch| batch.column(index).clone()),
        )
    }

    /// The values of an f32 column, NaN for NULL.
    pub(crate) fn numbers(&self, name: &str) -> Result<Vec<f32>, DatasetError> {
        let index = self.index(name, &DataType::Float32)?;
        Ok(numbers_of(
            self.batches.iter().map(|batch| batch.column(index).clone()),
            self.rows(),
        ))
    }

    /// The values of a text column without NULLs.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, DatasetError> {
        let index = self.index(name, &DataType::Utf8)?;
        let texts = self
            .batches
            .iter()
            .flat_map(|batch| batch.column(index).as_string::<i32>());
        let texts: Option<Vec<String>> = texts.map(|text| text.map(str::to_owned)).collect();
        texts.ok_or_else(|| self.malformed(format!("column `{name}` has NULLs")))
    }

    /// The values in the lists of a column, without NULLs; `lengths` are the lengths that the lists must
    /// have.
    pub(crate) fn flattened_values<T: ArrowPrimitiveType>(
        &self,
        name: &str,
        lengths: &[u32],
    ) -> Result<Vec<T::Native>, DatasetError> {
        let arrays = self.flattened(name, lengths, &T::DATA_TYPE)?;
        self.values_of::<T>(name, arrays.into_iter())
    }

    /// The f32 values in the lists of a column, NaN for NULL.
    pub(crate) fn flattened_numbers(
        &self,
        name: &str,
        lengths: &[u32],
    ) -> Result<Vec<f32>, DatasetError> {
        let arrays = self.flattened(name, lengths, &DataType::Float32)?;
        let count = arrays.iter().map(|array| array.len()).sum();
        Ok(numbers_of(arrays.into_iter(), count))
    }

    pub(crate) fn malformed(&self, problem: String) -> DatasetError {
        DatasetError::Malformed {
            path: self.path.clone(),
            problem,
        }
    }

    /// The place of the column of that name and type.
    fn index(&self, name: &str, data_type: &DataType) -> Result<usize, DatasetError> {
        let index = self.schema.index_of(name);
        let index = index.map_err(|_| self.malformed(format!("it has no column `{name}`")))?;
        let found = self.schema.field(index).data_type();
        if found != data_type {
            return Err(self.malformed(format!("column `{name}` is {found}; expected {data_type}")));
        }
        Ok(index)
    }

    fn values_of<T: ArrowPrimitiveType>(
        &self,
        name: &str,
        arrays: impl Iterator<Item = ArrayRef>,
    ) -> Result<Vec<T::Native>, DatasetError> {
        let mut values = Vec::new();
        for array in arrays {
            if array.null_count() > 0 {
                return Err(self.malformed(format!("column `{name}` has NULLs")));
            }
            // The callers have checked the type.
            values.extend_from_slice(array.as_primitive::<T>().values());
        }
        Ok(values)
    }

    fn flattened(
        &self,
        name: &str,
        lengths: &[u32],
        inner: &DataType,
    ) -> Result<Vec<ArrayRef>, DatasetError> {
        let index = self.schema.index_of(name);
        let index = index.map_err(|_| self.malformed(format!("it has no column `{name}`")))?;
        let mut arrays = Vec::with_capacity(self.batches.len());
        let mut lengths = lengths.iter();
        for batch in &self.batches {
            let column = batch.column(index);
            let lists = column
                .as_list_opt::<i32>()
                .filter(|lists| lists.values().data_type() == inner);
            let Some(lists) = lists else {
                let found = column.data_type();
                return Err(self.malformed(format!(
                    "column `{name}` is {found}; expected lists of {inner}"
                )));
            };
            let offsets = lists.value_offsets();
            // The offsets come first, so that `lengths` is not moved on past this batch.
            let mut pairs = offsets.windows(2).zip(lengths.by_ref());
            let fits =
                pairs.all(|(ends, &length)| i64::from(ends[1] - ends[0]) == i64::from(length));
            if !fits || lists.null_count() > 0 {
                return Err(self.malformed(format!(
                    "a list of column `{name}` is not as long as its sample"
                )));
            }
            let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
            arrays.push(lists.values().slice(start, end - start));
        }
        Ok(arrays)
    }
}

fn numbers_of(arrays: impl Iterator<Item = ArrayRef>, count: usize) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count);
    for array in arrays {
        // The callers have checked the type.
        numbers.extend(
            array
                .as_primitive::<Float32Type>()
                .iter()
                .map(|value| value.unwrap_or(f32::NAN)),
        );
    }
    numbers
}
