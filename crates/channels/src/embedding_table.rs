//! The table of an embeddings artifact, `embeddings.parquet`: entity, snapshot, embedding.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, TimestampMillisecondType};

use crate::error::DatasetError;
use crate::parquet_table::{SNAPSHOT_TYPE, TakeIn, column, column_of, malformed, read, texts};

/// The file within the artifact.
pub const EMBEDDINGS_FILE: &str = "embeddings.parquet";

/// What an artifact holds, row by row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EmbeddingTable {
    /// Entity, and milliseconds from 1970-01-01 UTC of the snapshot.
    pub samples: Vec<(Arc<str>, i64)>,
    /// Numbers of an embedding, at least 1.
    pub width: usize,
    /// Row-major [samples, width], all finite.
    pub values: Vec<f32>,
}

impl EmbeddingTable {
    /// Reads the table of an artifact's folder.
    ///
    /// # Errors
    /// A missing or damaged file, a column that is missing or of another type, no rows, embeddings of
    /// several widths, or a value that is no finite number.
    pub fn read(artifact: &Path) -> Result<Self, DatasetError> {
        let path = artifact.join(EMBEDDINGS_FILE);
        let table: EmbeddingTable = read(&path)?;
        if table.width == 0 {
            return Err(malformed(&path, "it has no embeddings".to_owned()));
        }
        Ok(table)
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }
}

impl TakeIn for EmbeddingTable {
    fn entry(&mut self, _key: &str, _value: &str) -> Result<(), String> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let entities = texts(batch, "entity")?;
        let snapshots = column_of(batch, "snapshot", &SNAPSHOT_TYPE)?;
        let snapshots = snapshots.as_primitive::<TimestampMillisecondType>();
        if snapshots.null_count() > 0 {
            return Err("a snapshot is NULL".to_owned());
        }
        // Parquet itself knows lists only: that they have one length is looked at here.
        let lists = column(batch, "embedding")?;
        let lists = match lists.data_type() {
            DataType::List(item) if *item.data_type() == DataType::Float32 => {
                lists.as_list::<i32>()
            }
            other => {
                return Err(format!(
                    "column `embedding` is {other}; expected a list of Float32"
                ));
            }
        };
        for row in 0..batch.num_rows() {
            let entity = entities.value(row);
            if lists.is_null(row) {
                return Err(format!("the embedding of entity {entity} is NULL"));
            }
            let list = lists.value(row);
            let list = list.as_primitive::<Float32Type>();
            if self.samples.is_empty() {
                self.width = list.len();
            }
            let width = self.width;
            if list.len() != width {
                return Err(format!(
                    "the embedding of entity {entity} has {} numbers, and others {width}",
                    list.len()
                ));
            }
            let values = list.values();
            if list.null_count() > 0 || values.iter().any(|value| !value.is_finite()) {
                return Err(format!(
                    "the embedding of entity {entity} holds NULL, NaN or infinity"
                ));
            }
            self.values.extend_from_slice(values);
            self.samples.push((entity.into(), snapshots.value(row)));
        }
        Ok(())
    }
}
