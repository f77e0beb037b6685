//! Embedding tables of id channels: outside of the device's memory, with their own sparse optimizer. A step
//! brings the rows it uses onto the tape as one leaf and takes their gradient back; its cost does not
//! depend on the table's size.

mod delayed;
mod memory;
mod row_optimizer;
mod sharded;
mod store;
mod used_rows;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

pub use delayed::UpdateWorker;
pub use memory::TablePlace;
pub(crate) use row_optimizer::RowRate;
pub use row_optimizer::{RowOptimizer, RowStep};
pub use store::{PendingUpdate, RowPart, RowUpdate, TableStore};

use self::delayed::DelayedUpdates;
use self::memory::TableMemory;
use self::sharded::{ShardedConfig, ShardedRows};
use self::used_rows::used_rows;
use crate::ops::buffers::Buffer;
use crate::ops::vectors::move_towards;
use crate::parameters::key_of;
use crate::tensors::tensor;
use crate::{Device, Error, Group, Matrix};

/// Rows of one task.
const PLACES: usize = 512;
/// Values that are drawn, read or written at a time where all are.
const BLOCK_VALUES: usize = 65_536;

/// When a step's gradient of rows is in the table.
#[derive(Clone, Debug, Default)]
pub enum RowUpdates {
    /// Before the next step.
    #[default]
    Synchronous,
    /// So many steps later than that, exactly, while the steps between run.
    Delayed {
        /// Steps.
        delay: NonZeroUsize,
        /// Who does it.
        worker: UpdateWorker,
    },
}

/// How a table is kept and updated. Values depend on neither shards nor place.
#[derive(Clone, Debug)]
pub struct TableSettings {
    /// The rule of updates.
    pub optimizer: RowOptimizer,
    /// Parts that rows are split into, by row modulo their number.
    pub shards: NonZeroUsize,
    /// Where the rows are.
    pub place: TablePlace,
    /// When rows are updated.
    pub updates: RowUpdates,
}

impl From<RowOptimizer> for TableSettings {
    /// One part, in memory, updated before the next step.
    fn from(optimizer: RowOptimizer) -> Self {
        Self {
            optimizer,
            shards: NonZeroUsize::MIN,
            place: TablePlace::Memory,
            updates: RowUpdates::Synchronous,
        }
    }
}

/// A table [rows, dim] and its optimizer's state.
pub struct Table {
    name: String,
    group: Group,
    rows: usize,
    dim: usize,
    state_dim: usize,
    /// Of its snapshots too.
    place: TablePlace,
    store: Box<dyn TableStore>,
    pub(crate) steps: u64,
}

/// The rows of a table that a batch uses.
pub struct TableRows<D: Device> {
    /// The values of the used rows [U, dim], a leaf of the tape.
    pub leaf: Matrix<D>,
    /// For each code of the batch its row in `leaf`, `[N]`.
    pub index: Arc<[u32]>,
    /// The used rows of the table, ascending, `[U]`.
    pub rows: Arc<[u32]>,
}

/// All values of a table at a moment, where the table's own are: in memory, or in a file. Cloning is
/// cheap.
#[derive(Clone)]
pub struct TableSnapshot(Arc<TableMemory>);

impl TableSnapshot {
    /// Row-major [rows, dim].
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

impl PartialEq for TableSnapshot {
    fn eq(&self, other: &Self) -> bool {
        self.values() == other.values()
    }
}

impl std::fmt::Debug for TableSnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TableSnapshot of {} values", self.0.len())
    }
}

impl Table {
    /// A table with uniform values of the given standard deviation, from the seed and the name; an error
    /// if there is no room for it, or if it has fewer rows than shards.
    pub fn new(
        name: impl Into<String>,
        rows: usize,
        dim: usize,
        deviation: f32,
        settings: impl Into<TableSettings>,
        seed: u64,
    ) -> Result<Self, Error> {
        let (name, settings) = (name.into(), settings.into());
        let shards = settings.shards.get();
        if shards > rows.max(1) {
            return Err(Error::Shards {
                table: name,
                rows,
                shards,
            });
        }
        let config = ShardedConfig {
            rows,
            dim,
            shards,
            optimizer: settings.optimizer,
            place: &settings.place,
        };
        let key = key_of(seed, &name);
        let sharded = ShardedRows::new(&config, 3f32.sqrt() * deviation, key)?;
        let store: Box<dyn TableStore> = match settings.updates {
            RowUpdates::Synchronous => Box::new(sharded),
            RowUpdates::Delayed { delay, worker } => {
                Box::new(DelayedUpdates::new(sharded, delay.get() as u64, worker))
            }
        };
        let optimizer = settings.optimizer;
        let table = Self::on_store(name, (rows, dim), optimizer, store);
        Ok(Self {
            place: settings.place,
            ..table
        })
    }

    /// A table [rows, dim] whose rows are in `store`, updated there by `optimizer`; its snapshots are in
    /// memory.
    pub fn on_store(
        name: impl Into<String>,
        (rows, dim): (usize, usize),
        optimizer: RowOptimizer,
        store: Box<dyn TableStore>,
    ) -> Self {
        Self {
            name: name.into(),
            group: Group::Tables,
            rows,
            dim,
            state_dim: optimizer.state_dim(dim),
            place: TablePlace::Memory,
            store,
            steps: 0,
        }
    }

    /// Bytes that a table of this size takes, its optimizer's state included.
    pub fn bytes(rows: usize, dim: usize, optimizer: RowOptimizer) -> u64 {
        let of_row = (dim + optimizer.state_dim(dim)) * size_of::<f32>();
        rows as u64 * of_row as u64
    }

    /// The same table in another group than [`Group::Tables`]: the classes of a head are of the towers.
    pub fn in_group(self, group: Group) -> Self {
        Self { group, ..self }
    }

    /// Which learning rate, and which part of a file, it belongs to.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Its name in files.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Where its values are.
    pub fn place(&self) -> &TablePlace {
        &self.place
    }

    /// A copy of all values, row-major, in memory.
    pub fn values(&self) -> Result<Vec<f32>, Error> {
        let mut values = vec![0.0; self.rows * self.dim];
        self.read(RowPart::Values, 0..self.rows, &mut values)?;
        Ok(values)
    }

    /// Puts values [rows, dim] in place of those that there are.
    pub fn set_values(&mut self, values: &[f32]) -> Result<(), Error> {
        let expected = self.rows * self.dim;
        if values.len() != expected {
            let what = "values of a table";
            return Err(Error::value(
                "restore",
                what,
                expected.to_string(),
                values.len(),
            ));
        }
        let rows = 0..self.rows;
        self.store.write(RowPart::Values, rows, values)
    }

    /// A copy of the values: to keep the best weights.
    pub fn snapshot(&self) -> Result<TableSnapshot, Error> {
        let mut copy = TableMemory::zeros(self.rows * self.dim, &self.place)?;
        self.read(RowPart::Values, 0..self.rows, &mut copy)?;
        Ok(TableSnapshot(Arc::new(copy)))
    }

    /// Moves what [`Table::snapshot`] gave towards the values of now, by this share of the way: with 1/n at the
    /// n-th call it becomes their mean.
    ///
    /// # Errors
    /// The snapshot has clones, and there is no room for one more.
    pub fn move_snapshot(&self, snapshot: &mut TableSnapshot, share: f32) -> Result<(), Error> {
        if Arc::get_mut(&mut snapshot.0).is_none() {
            let mut copy = TableMemory::zeros(snapshot.values().len(), &self.place)?;
            copy.copy_from_slice(snapshot.values());
            *snapshot = TableSnapshot(Arc::new(copy));
        }
        let Some(values) = Arc::get_mut(&mut snapshot.0) else {
            return Ok(());
        };
        let mut newer = vec![0.0; BLOCK_VALUES.max(self.dim)];
        for rows in self.blocks(RowPart::Values) {
            let places = rows.start * self.dim..rows.end * self.dim;
            let newer = &mut newer[..places.len()];
            self.read(RowPart::Values, rows, newer)?;
            move_towards(&mut values[places], newer, share);
        }
        Ok(())
    }

    /// Puts back what [`Table::snapshot`] gave; an error if it is of another size.
    pub fn restore(&mut self, snapshot: &TableSnapshot) -> Result<(), Error> {
        self.set_values(snapshot.values())
    }

    /// Copies a stretch of rows to `values` [rows, dim].
    pub fn read_rows(&self, rows: Range<usize>, values: &mut [f32]) -> Result<(), Error> {
        self.read(RowPart::Values, rows, values)
    }

    /// The rows that `codes` use, brought to the device. Where several channels share a table, join their
    /// codes, gather once, and split `index`. A code outside of the table is an error.
    pub fn gather<D: Device>(&self, device: &D, codes: &[u32]) -> Result<TableRows<D>, Error> {
        crate::ops::gather_rows::check_indices("table", codes, self.rows())?;
        let (rows, index) = used_rows(codes, self.rows);
        let mut values = Buffer::scratch(rows.len() * self.dim);
        self.store.lookup(&rows, &mut values)?;
        Ok(TableRows {
            leaf: tensor(device, values, (rows.len(), self.dim))?,
            index: index.into(),
            rows: rows.into(),
        })
    }

    /// The rows of a training step have been gathered: delayed updates that are due begin. Once a step,
    /// before its own update.
    pub fn release(&mut self) -> Result<(), Error> {
        self.store.release()
    }

    /// Brings delayed updates to their end, so that all that was learned is in the values.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.store.settle()
    }

    /// Updates the given rows, which ascend, with their gradient [U, dim] times `scale`.
    pub(crate) fn update(
        &mut self,
        rows: &Arc<[u32]>,
        gradient: &[f32],
        scale: f32,
        rate: &RowRate,
    ) -> Result<(), Error> {
        self.steps += 1;
        let step = RowStep::new(rate, scale, self.steps);
        self.store.apply(RowUpdate {
            rows,
            gradient,
            step,
        })
    }

    /// Width of a row's part.
    pub(crate) fn width(&self, part: RowPart) -> usize {
        match part {
            RowPart::Values => self.dim,
            RowPart::State => self.state_dim,
        }
    }

    pub(crate) fn read(
        &self,
        part: RowPart,
        rows: Range<usize>,
        values: &mut [f32],
    ) -> Result<(), Error> {
        self.store.read(part, rows, values)
    }

    pub(crate) fn write(
        &mut self,
        part: RowPart,
        rows: Range<usize>,
        values: &[f32],
    ) -> Result<(), Error> {
        self.store.write(part, rows, values)
    }

    /// Stretches of rows of about [`BLOCK_VALUES`] values of a part.
    pub(crate) fn blocks(&self, part: RowPart) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, step) = (self.rows, (BLOCK_VALUES / self.width(part).max(1)).max(1));
        (0..rows)
            .step_by(step)
            .map(move |first| first..(first + step).min(rows))
    }

    pub(crate) fn pending(&self) -> Vec<PendingUpdate> {
        self.store.pending()
    }

    pub(crate) fn set_pending(&mut self, updates: Vec<PendingUpdate>) -> Result<(), Error> {
        self.store.set_pending(updates)
    }
}

#[cfg(test)]
mod tests;
