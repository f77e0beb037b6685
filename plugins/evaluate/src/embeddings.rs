//! `embeddings.parquet` of an embeddings artifact: entity, snapshot, split, embedding.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, TimestampMillisecondType};
use indexmap::IndexMap;
use serde_json::Value;

use crate::cell::{Sample, matrix_text};
use crate::error::EvaluateError;
use crate::parquet_table::{SNAPSHOT_TYPE, TakeIn, column, column_of, malformed, read, texts};

/// The file within the artifact.
pub const EMBEDDINGS_FILE: &str = "embeddings.parquet";

/// One cell's embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The cell's matrix values; empty where there is one cell.
    pub matrix: IndexMap<String, Value>,
    pub samples: Vec<Sample>,
    /// d, at least 1.
    pub width: usize,
    /// Row-major [samples, d], all finite.
    pub values: Vec<f32>,
}

impl Embeddings {
    /// # Errors
    /// A missing or damaged file, a column that is missing or of another type, no rows, embeddings of
    /// several widths, or a value that is no finite number.
    pub fn read(artifact: &Path, matrix: IndexMap<String, Value>) -> Result<Self, EvaluateError> {
        let path = artifact.join(EMBEDDINGS_FILE);
        let rows: Rows = read(&path)?;
        let Some(width) = rows.width.filter(|&width| width > 0) else {
            return Err(malformed(&path, "it has no embeddings".to_owned()));
        };
        Ok(Embeddings {
            matrix,
            samples: rows.samples,
            width,
            values: rows.values,
        })
    }

    /// As in messages.
    pub fn name(&self) -> String {
        if self.matrix.is_empty() {
            "embeddings".to_owned()
        } else {
            format!("embeddings, {}", matrix_text(&self.matrix))
        }
    }

    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }
}

#[derive(Default)]
struct Rows {
    samples: Vec<Sample>,
    width: Option<usize>,
    values: Vec<f32>,
}

impl TakeIn for Rows {
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
            let width = *self.width.get_or_insert(list.len());
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
