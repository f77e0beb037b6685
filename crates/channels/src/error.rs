//! What can be wrong with a dataset.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("dataset: cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("dataset: {} is not what was expected: {problem}", path.display())]
    Malformed { path: PathBuf, problem: String },
    #[error("dataset: {} is not valid JSON of its kind: {source}", path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("dataset: cannot {action} {}: {source}", path.display())]
    Parquet {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    #[error("dataset: cannot {action} {}: {source}", path.display())]
    Arrow {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: arrow::error::ArrowError,
    },
    #[error("dataset: schema.json has version {found}, this build reads version {expected}")]
    Version { found: u32, expected: u32 },
    #[error("dataset: {0}")]
    Inconsistent(String),
}
