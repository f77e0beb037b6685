//! Why nothing can be chosen.

use std::path::PathBuf;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// A param that does not fit the candidates.
    #[error("`{name}`: {reason}")]
    Param { name: &'static str, reason: String },
    /// The history of a candidate cannot be compared.
    #[error("candidate {cell}: {reason}")]
    Candidate { cell: String, reason: String },
    /// A history cannot be read.
    #[error("candidate {cell}: cannot read {}: {source}; expected the output `history` of a training", path.display())]
    Io {
        cell: String,
        path: PathBuf,
        source: std::io::Error,
    },
}
