//! Rows sorted into partitions by a hash of their entity, set aside in files when they are many.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::{cast, interleave_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use supermoe_channels::{HashPurpose, stable_hash};

use crate::error::PrepareError;
use crate::spill::{SpillFile, SpillWriter};

/// The same for every run, so that what is worked on together never hangs on the machine.
const PARTITIONS: usize = 256;

/// Rows are set aside when they take this many bytes.
const BUFFER_BYTES: usize = 96 << 20;

/// A bucket is closed when it has this many rows.
const BUCKET_ROWS: u64 = 200_000;

/// Takes rows in any order.
pub struct Partitions {
    folder: PathBuf,
    name: &'static str,
    buffer: Buffer,
    bytes: usize,
    rows: Vec<u64>,
    all_bytes: u64,
    flushed: Vec<Flushed>,
    /// Sets a full buffer aside while the next one fills.
    flushing: Option<JoinHandle<Result<Flushed, PrepareError>>>,
}

/// Rows in memory.
struct Buffer {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// By batch and row: the partition.
    places: Vec<Vec<u8>>,
}

struct Flushed {
    file: SpillFile,
    /// By partition: its batch in the file.
    batches: Vec<Option<usize>>,
}

/// All rows, by partition.
pub struct Partitioned {
    schema: SchemaRef,
    flushed: Vec<Flushed>,
    /// By partition: what was never set aside.
    in_memory: Vec<Option<RecordBatch>>,
    rows: Vec<u64>,
    bytes_per_row: u64,
}

/// Neighbouring partitions that are worked on together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub partitions: std::ops::Range<usize>,
    pub rows: u64,
}

impl Partitions {
    /// `name` tells the files of one table from those of another.
    pub fn new(folder: &Path, name: &'static str, schema: &Schema) -> Self {
        Self {
            folder: folder.to_owned(),
            name,
            buffer: Buffer::new(plain_schema(schema)),
            bytes: 0,
            rows: vec![0; PARTITIONS],
            all_bytes: 0,
            flushed: Vec::new(),
            flushing: None,
        }
    }

    /// Takes rows with the keys of their entities.
    ///
    /// # Errors
    /// Rows of another type; a work folder that cannot be written to.
    pub fn add(&mut self, columns: &[ArrayRef], keys: &StringArray) -> Result<(), PrepareError> {
        let mut plain = Vec::with_capacity(columns.len());
        let schema = &self.buffer.schema;
        for (column, field) in columns.iter().zip(schema.fields()) {
            let column = match column.data_type() == field.data_type() {
                true => column.clone(),
                false => cast(column, field.data_type())
                    .map_err(PrepareError::arrow("gather the events"))?,
            };
            plain.push(column);
        }
        let batch = RecordBatch::try_new(schema.clone(), plain)
            .map_err(PrepareError::arrow("gather the events"))?;
        let places: Vec<u8> = keys
            .iter()
            .map(|key| {
                let hash = stable_hash(HashPurpose::Bucket, key.unwrap_or_default());
                // Below PARTITIONS, which is 256.
                (hash % PARTITIONS as u64) as u8
            })
            .collect();
        for &place in &places {
            self.rows[usize::from(place)] += 1;
        }
        let bytes = bytes_of(&batch);
        self.bytes += bytes;
        self.all_bytes += bytes as u64;
        self.buffer.batches.push(batch);
        self.buffer.places.push(places);
        if self.bytes >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PrepareError> {
        self.wait()?;
        let number = self.flushed.len();
        let path = self.folder.join(format!("{}-{number}.arrow", self.name));
        let empty = Buffer::new(self.buffer.schema.clone());
        let full = std::mem::replace(&mut self.buffer, empty);
        self.bytes = 0;
        let thread = std::thread::Builder::new().name("flush".to_owned());
        let flushing = thread.spawn(move || full.set_aside(path));
        self.flushing = Some(flushing.map_err(PrepareError::Threads)?);
        Ok(())
    }

    /// Until the buffer before is set aside.
    fn wait(&mut self) -> Result<(), PrepareError> {
        if let Some(flushing) = self.flushing.take() {
            let flushed = flushing
                .join()
                .map_err(|_| PrepareError::Data("setting rows aside failed".to_owned()))?;
            self.flushed.push(flushed?);
        }
        Ok(())
    }

    /// # Errors
    /// Rows that cannot be gathered, or could not be set aside.
    pub fn finish(mut self) -> Result<Partitioned, PrepareError> {
        self.wait()?;
        let rows: u64 = self.rows.iter().sum();
        Ok(Partitioned {
            in_memory: self.buffer.partitions()?,
            schema: self.buffer.schema,
            flushed: self.flushed,
            rows: self.rows,
            bytes_per_row: self.all_bytes / rows.max(1) + 1,
        })
    }
}

impl Buffer {
    fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            batches: Vec::new(),
            places: Vec::new(),
        }
    }

    fn set_aside(self, path: PathBuf) -> Result<Flushed, PrepareError> {
        let mut writer = SpillWriter::create(path, &self.schema)?;
        let mut batches = vec![None; PARTITIONS];
        let mut written = 0;
        for (partition, rows) in self.by_partition().into_iter().enumerate() {
            if let Some(batch) = self.gathered(&rows)? {
                writer.append(&batch)?;
                batches[partition] = Some(written);
                written += 1;
            }
        }
        Ok(Flushed {
            file: writer.finish()?,
            batches,
        })
    }

    /// The rows of each partition.
    fn partitions(&self) -> Result<Vec<Option<RecordBatch>>, PrepareError> {
        let places = self.by_partition();
        places.iter().map(|rows| self.gathered(rows)).collect()
    }

    /// Places of the rows, by partition: batch and row within it.
    fn by_partition(&self) -> Vec<Vec<(usize, usize)>> {
        let mut all = vec![Vec::new(); PARTITIONS];
        for (batch, places) in self.places.iter().enumerate() {
            for (row, &place) in places.iter().enumerate() {
                all[usize::from(place)].push((batch, row));
            }
        }
        all
    }

    fn gathered(&self, rows: &[(usize, usize)]) -> Result<Option<RecordBatch>, PrepareError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        interleave_record_batch(&batches, rows)
            .map(Some)
            .map_err(PrepareError::arrow("gather the events"))
    }
}

impl Partitioned {
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All partitions in buckets of enough rows; which ones hangs on the rows alone.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut start = 0;
        let mut rows = 0;
        for (partition, of_partition) in self.rows.iter().enumerate() {
            rows += of_partition;
            if rows >= BUCKET_ROWS || partition + 1 == PARTITIONS {
                buckets.push(Bucket {
                    partitions: start..partition + 1,
                    rows,
                });
                (start, rows) = (partition + 1, 0);
            }
        }
        buckets.retain(|bucket| bucket.rows > 0);
        buckets
    }

    /// About how many bytes so many rows take.
    pub fn bytes(&self, rows: u64) -> u64 {
        rows * self.bytes_per_row
    }

    /// The rows of a bucket, in no order that means anything.
    ///
    /// # Errors
    /// Files of the work folder that cannot be read.
    pub fn read(&self, bucket: &Bucket) -> Result<Vec<RecordBatch>, PrepareError> {
        let mut batches = Vec::new();
        for partition in bucket.partitions.clone() {
            for flushed in &self.flushed {
                if let Some(index) = flushed.batches[partition] {
                    batches.push(flushed.file.batch(index)?);
                }
            }
            batches.extend(self.in_memory[partition].clone());
        }
        Ok(batches)
    }
}

/// Text and bytes as they are held by rows that stand alone: a view keeps all that it was cut from.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let plain = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            DataType::Dictionary(_, values) => match values.as_ref() {
                DataType::Utf8View => DataType::Utf8,
                values => values.clone(),
            },
            other => other.clone(),
        };
        // A query may promise fewer NULLs than it gives.
        Field::new(field.name(), data_type, true)
    });
    Arc::new(Schema::new(plain.collect::<Vec<_>>()))
}

/// What the rows take when they are set aside; a slice counts its own rows alone.
fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| {
            let data = column.to_data();
            data.get_slice_memory_size()
                .unwrap_or_else(|_| column.get_array_memory_size())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn every_row_comes_back_once_with_the_others_of_its_entity() {
        let folder = tempfile::tempdir().expect("a folder");
        let schema = Schema::new(vec![Field::new("row", DataType::Int64, true)]);
        let mut partitions = Partitions::new(folder.path(), "test", &schema);
        for batch in 0..4i64 {
            let rows = Int64Array::from_iter_values(batch * 100..batch * 100 + 100);
            let keys = (0..100).map(|i| format!("entity {}", i % 10));
            let keys = StringArray::from_iter_values(keys);
            partitions.add(&[Arc::new(rows)], &keys).expect("rows");
            if batch == 1 {
                partitions.flush().expect("a folder to write to");
            }
        }
        let partitioned = partitions.finish().expect("rows");
        let buckets = partitioned.buckets();
        assert_eq!(buckets.len(), 1);
        assert_eq!(buckets[0].rows, 400);
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let bucket = Bucket {
                partitions: partition..partition + 1,
                rows: 0,
            };
            let batches = partitioned.read(&bucket).expect("rows");
            let rows: Vec<i64> = batches
                .iter()
                .flat_map(|batch| {
                    batch
                        .column(0)
                        .as_primitive::<Int64Type>()
                        .values()
                        .to_vec()
                })
                .collect();
            // 40 rows of each entity stand together.
            assert_eq!(rows.len() % 40, 0);
            all.extend(rows);
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..400));
    }
}
