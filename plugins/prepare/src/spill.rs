//! Batches set aside in files of the work folder, and read back one by one.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

use crate::error::PrepareError;

/// A file that batches of one schema are appended to.
pub struct SpillWriter {
    path: PathBuf,
    writer: FileWriter<BufWriter<File>>,
}

impl SpillWriter {
    /// # Errors
    /// A work folder that cannot be written to, or is full; so of the methods below.
    pub fn create(path: PathBuf, schema: &SchemaRef) -> Result<Self, PrepareError> {
        let file = File::create(&path).map_err(|error| failed(error.into()))?;
        let writer = FileWriter::try_new(BufWriter::new(file), schema).map_err(failed)?;
        Ok(Self { path, writer })
    }

    pub fn append(&mut self, batch: &RecordBatch) -> Result<(), PrepareError> {
        self.writer.write(batch).map_err(failed)
    }

    pub fn finish(mut self) -> Result<SpillFile, PrepareError> {
        self.writer.finish().map_err(failed)?;
        Ok(SpillFile { path: self.path })
    }
}

/// A finished file.
#[derive(Debug)]
pub struct SpillFile {
    path: PathBuf,
}

impl SpillFile {
    /// All batches in the order in which they were appended.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(
        &self,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, PrepareError>>, PrepareError> {
        let batches = open(&self.path)?;
        Ok(batches.map(|batch| batch.map_err(lost)))
    }

    /// The batch that was appended as the `index`-th.
    ///
    /// # Errors
    /// A file that cannot be read, or has no such batch.
    pub fn batch(&self, index: usize) -> Result<RecordBatch, PrepareError> {
        let mut reader = open(&self.path)?;
        reader.set_index(index).map_err(lost)?;
        let missing = || lost(ArrowError::IpcError("a batch is missing".to_owned()));
        reader.next().ok_or_else(missing)?.map_err(lost)
    }
}

/// What was set aside is read once or twice; afterwards it only takes room.
impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "a file of the work folder is left to whoever clears it");
        }
    }
}

fn open(path: &Path) -> Result<FileReader<std::io::BufReader<File>>, PrepareError> {
    let file = File::open(path).map_err(|error| lost(error.into()))?;
    FileReader::try_new_buffered(file, None).map_err(lost)
}

fn failed(source: ArrowError) -> PrepareError {
    PrepareError::Arrow {
        action: "write to the work folder",
        source,
    }
}

fn lost(source: ArrowError) -> PrepareError {
    PrepareError::Arrow {
        action: "read the work folder",
        source,
    }
}
