//! Where the rows of a table are, behind one contract: in this process, or, later, on other machines.

use std::ops::Range;
use std::sync::Arc;

use super::RowStep;
use crate::{Buffer, Error};

/// What is kept for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPart {
    /// The embedding.
    Values,
    /// What the optimizer keeps.
    State,
}

/// A step's gradient of some rows.
#[derive(Clone, Copy, Debug)]
pub struct RowUpdate<'a> {
    /// Ascending. `[U]`
    pub rows: &'a Arc<[u32]>,
    /// [U, dim], row-major.
    pub gradient: &'a [f32],
    /// What they are updated with.
    pub step: RowStep,
}

/// An update that a store has taken and not begun.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingUpdate {
    /// Ascending. `[U]`
    pub rows: Arc<[u32]>,
    /// [U, dim], row-major.
    pub gradient: Buffer,
    /// What they are updated with.
    pub step: RowStep,
    /// After so many more calls of [`TableStore::release`] it begins.
    pub wait: u64,
}

impl PendingUpdate {
    /// To apply it.
    pub fn as_update(&self) -> RowUpdate<'_> {
        RowUpdate {
            rows: &self.rows,
            gradient: &self.gradient,
            step: self.step,
        }
    }
}

/// The rows of a table. A training step looks up the rows it uses, calls [`TableStore::release`], and
/// hands in their gradients; a store may take its time with those, but what a lookup finds must depend
/// on the order of these calls alone, never on how fast anything is.
pub trait TableStore: Send + Sync {
    /// Copies rows, in this order, to `values` [rows, dim]. Rows are of the table.
    fn lookup(&self, rows: &[u32], values: &mut [f32]) -> Result<(), Error>;

    /// Updates rows, now or later.
    fn apply(&mut self, update: RowUpdate<'_>) -> Result<(), Error>;

    /// The step's rows have been looked up: updates that it must not see may begin.
    fn release(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Brings all updates to their end.
    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Copies a stretch of rows to `values`: for files.
    fn read(&self, part: RowPart, rows: Range<usize>, values: &mut [f32]) -> Result<(), Error>;

    /// Puts back what [`TableStore::read`] gave.
    fn write(&mut self, part: RowPart, rows: Range<usize>, values: &[f32]) -> Result<(), Error>;

    /// Updates that have not begun, in their order: for checkpoints.
    fn pending(&self) -> Vec<PendingUpdate> {
        Vec::new()
    }

    /// Puts [`TableStore::pending`] in place of those that there are.
    fn set_pending(&mut self, updates: Vec<PendingUpdate>) -> Result<(), Error>;
}
