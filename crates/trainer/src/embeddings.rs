//! The embeddings artifact: one row per sample in Parquet and in NumPy's format, row indices the same
//! in both, written block by block so that the same embeddings give the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde::Serialize;
use supermoe_channels::embedding_table::EMBEDDINGS_FILE;
use supermoe_channels::{Dataset, SampleId};

use crate::error::TrainError;
use crate::pooling::Pooling;

/// The embeddings alone. [n, d]
const NPY_FILE: &str = "embeddings.npy";
/// What they are.
const CONFIG_FILE: &str = "config.json";

/// `config.json` of an embeddings artifact.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddingsConfig {
    /// The name of the model that made them.
    pub model: String,
    /// The revision of the model's code that trained it.
    pub revision: String,
    /// Width of an embedding.
    pub d: usize,
    pub pooling: Pooling,
    /// Number of embeddings, n.
    pub rows: usize,
}

/// Writes an embeddings artifact.
pub struct EmbeddingsWriter {
    width: usize,
    rows_left: usize,
    parquet: ArrowWriter<File>,
    npy: BufWriter<File>,
    npy_path: PathBuf,
    parquet_path: PathBuf,
}

impl EmbeddingsWriter {
    /// Begins one in an existing folder, of `config.rows` embeddings.
    pub fn create(folder: &Path, config: &EmbeddingsConfig) -> Result<Self, TrainError> {
        let config_path = folder.join(CONFIG_FILE);
        let mut text = serde_json::to_string_pretty(config)
            .map_err(|error| TrainError::io(&config_path)(std::io::Error::from(error)))?;
        text.push('\n');
        std::fs::write(&config_path, text).map_err(TrainError::io(&config_path))?;

        let npy_path = folder.join(NPY_FILE);
        let file = File::create(&npy_path).map_err(TrainError::io(&npy_path))?;
        let mut npy = BufWriter::new(file);
        npy.write_all(&npy_header(config.rows, config.d))
            .map_err(TrainError::io(&npy_path))?;

        let parquet_path = folder.join(EMBEDDINGS_FILE);
        // Every number is another: a dictionary would only take time.
        let numbers = ["embedding", "list", ITEM].map(str::to_owned).to_vec();
        let properties = WriterProperties::builder()
            .set_created_by("supermoe".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_dictionary_enabled(ColumnPath::new(numbers), false)
            .build();
        let file = File::create(&parquet_path).map_err(TrainError::io(&parquet_path))?;
        let schema = Arc::new(arrow_schema(config.d));
        let parquet = ArrowWriter::try_new(file, schema, Some(properties))
            .map_err(|error| parquet_failed(&parquet_path, &error.to_string()))?;
        Ok(EmbeddingsWriter {
            width: config.d,
            rows_left: config.rows,
            parquet,
            npy,
            npy_path,
            parquet_path,
        })
    }

    /// Appends these samples; `values` is row-major [samples, d].
    pub fn append(
        &mut self,
        dataset: &Dataset,
        samples: &[SampleId],
        values: Vec<f32>,
    ) -> Result<(), TrainError> {
        self.rows_left -= samples.len();
        for value in &values {
            self.npy
                .write_all(&value.to_le_bytes())
                .map_err(TrainError::io(&self.npy_path))?;
        }
        let splits = samples
            .iter()
            .map(|id| dataset.samples().split[id.index()].name());
        let item = item_field();
        let lists = FixedSizeListArray::try_new(
            item,
            self.width as i32,
            Arc::new(Float32Array::from(values)),
            None,
        );
        let batch = lists.and_then(|lists| {
            let columns: [ArrayRef; 4] = [
                Arc::new(StringArray::from_iter_values(
                    samples.iter().map(|&id| dataset.entity(id)),
                )),
                Arc::new(TimestampMillisecondArray::from_iter_values(
                    samples.iter().map(|&id| dataset.snapshot_ms(id)),
                )),
                Arc::new(StringArray::from_iter_values(splits)),
                Arc::new(lists),
            ];
            RecordBatch::try_new(Arc::new(arrow_schema(self.width)), columns.into())
        });
        let batch =
            batch.map_err(|error| parquet_failed(&self.parquet_path, &error.to_string()))?;
        self.parquet
            .write(&batch)
            .map_err(|error| parquet_failed(&self.parquet_path, &error.to_string()))
    }

    /// Ends both files; every row that was announced has been appended.
    pub fn finish(mut self) -> Result<(), TrainError> {
        debug_assert_eq!(self.rows_left, 0);
        self.npy.flush().map_err(TrainError::io(&self.npy_path))?;
        self.parquet
            .close()
            .map_err(|error| parquet_failed(&self.parquet_path, &error.to_string()))?;
        Ok(())
    }
}

/// Name of a list's numbers in the file.
const ITEM: &str = "item";

fn item_field() -> FieldRef {
    Arc::new(Field::new(ITEM, DataType::Float32, false))
}

fn arrow_schema(width: usize) -> ArrowSchema {
    ArrowSchema::new(vec![
        Field::new("entity", DataType::Utf8, false),
        Field::new(
            "snapshot",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            false,
        ),
        Field::new("split", DataType::Utf8, false),
        Field::new(
            "embedding",
            DataType::FixedSizeList(item_field(), width as i32),
            false,
        ),
    ])
}

fn parquet_failed(path: &Path, reason: &str) -> TrainError {
    TrainError::Embeddings {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The header of version 1.0 of NumPy's format: f32, little-endian, C order, [rows, width].
fn npy_header(rows: usize, width: usize) -> Vec<u8> {
    let mut dictionary =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version and length take 10 bytes; the whole header is a multiple of 64 and ends a line.
    let padding = 63 - (10 + dictionary.len()) % 64;
    dictionary.push_str(&" ".repeat(padding));
    dictionary.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((dictionary.len() as u16).to_le_bytes());
    header.extend(dictionary.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_npy_header_is_aligned_for_every_shape() {
        for rows in [0, 1, 99_999, 100_000_000_000_000] {
            for width in 1..70 {
                let header = npy_header(rows, width);
                assert_eq!(header.len() % 64, 0, "{rows} {width}");
                assert_eq!(header.last(), Some(&b'\n'));
                let length = u16::from_le_bytes([header[8], header[9]]) as usize;
                assert_eq!(header.len(), 10 + length);
            }
        }
    }
}
