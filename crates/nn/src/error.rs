//! What can go wrong in operations, parameters and optimizers.

use std::path::PathBuf;

/// An error of this crate. Every message names the thing, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operand has a shape that the operation cannot take.
    #[error("{operation}: {what} must have shape {expected:?}, but has {found:?}")]
    Shape {
        /// The operation or layer.
        operation: &'static str,
        /// The operand.
        what: &'static str,
        /// The shape that fits the other operands.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },
    /// A value is outside of what the operation or layer can take.
    #[error("{operation}: {what} must be {expected}, but is {found}")]
    Value {
        /// The operation or layer.
        operation: &'static str,
        /// The value's name.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Two parameters of one name.
    #[error("parameter {name:?} is already there; names must differ")]
    DuplicateParameter {
        /// The name.
        name: String,
    },
    /// The system has no memory for an id table.
    #[error(
        "an id table of {bytes} bytes does not fit into memory ({source}); make the channel's vocabulary smaller (`min_count`, `max_size`, `hash`), or its embeddings narrower"
    )]
    TableMemory {
        /// What was asked for.
        bytes: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// The disk has no space for an id table that is larger than memory may be.
    #[error(
        "an id table of {bytes} bytes, more than is left of the tables' memory, does not fit into a file in {folder} ({source}); make room there, allow the tables more memory, or make the channel's vocabulary smaller (`min_count`, `max_size`, `hash`)"
    )]
    TableFile {
        /// Where the file would be.
        folder: PathBuf,
        /// What was asked for.
        bytes: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table cannot be split into so many parts.
    #[error(
        "the id table {table:?} has {rows} rows, and `shards` asks for {shards} parts: a part needs a row; give at most {rows} shards"
    )]
    Shards {
        /// Its name.
        table: String,
        /// Its rows.
        rows: usize,
        /// The parts that were asked for.
        shards: usize,
    },
    /// The device failed (out of memory).
    #[error("the device failed: {0}")]
    Device(String),
    /// A parameters file lacks a tensor.
    #[error(
        "{path}: tensor {name:?} is missing; the file was written by another model or another configuration"
    )]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor of a parameters file has another shape or type.
    #[error("{path}: tensor {name:?} must be f32 {expected:?}, but is {found}")]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape of the parameter.
        expected: Vec<usize>,
        /// Type and shape in the file.
        found: String,
    },
    /// A parameters or state file is no valid safetensors file.
    #[error("{path}: not a whole safetensors file ({reason})")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    /// A failure of a dfdx device.
    pub fn device(error: impl std::fmt::Display) -> Self {
        Error::Device(error.to_string())
    }

    pub(crate) fn value(
        operation: &'static str,
        what: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Error::Value {
            operation,
            what,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}

/// Checks that an operand has the expected shape.
pub(crate) fn check_shape(
    operation: &'static str,
    what: &'static str,
    expected: &[usize],
    found: &[usize],
) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape {
        operation,
        what,
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}
