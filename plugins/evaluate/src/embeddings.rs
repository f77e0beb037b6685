//! The embeddings of one cell.

use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value;
use supermoe_channels::embedding_table::EmbeddingTable;
use supermoe_plugin::matrix_text::matrix_text;

use crate::error::EvaluateError;

/// One cell's embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The cell's matrix values; empty where there is one cell.
    pub matrix: IndexMap<String, Value>,
    pub table: EmbeddingTable,
}

impl Embeddings {
    /// # Errors
    /// What [`EmbeddingTable::read`] says.
    pub fn read(artifact: &Path, matrix: IndexMap<String, Value>) -> Result<Self, EvaluateError> {
        let table = EmbeddingTable::read(artifact).map_err(EvaluateError::of_table)?;
        Ok(Embeddings { matrix, table })
    }

    /// As in messages.
    pub fn name(&self) -> String {
        if self.matrix.is_empty() {
            "embeddings".to_owned()
        } else {
            format!("embeddings, {}", matrix_text(&self.matrix))
        }
    }
}
