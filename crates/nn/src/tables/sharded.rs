//! The rows of a table in this process, split into shards by row modulo their number. The same values
//! for any number of shards.

use std::ops::Range;

use super::memory::{TableMemory, TablePlace};
use super::store::{PendingUpdate, RowPart, RowUpdate, TableStore};
use super::{BLOCK_VALUES, PLACES, RowOptimizer};
use crate::Error;
use crate::ops::dropout::mix;
use crate::threads::OnThreads;

/// Size and place of a [`ShardedRows`].
pub(super) struct ShardedConfig<'a> {
    pub(super) rows: usize,
    pub(super) dim: usize,
    pub(super) shards: usize,
    pub(super) optimizer: RowOptimizer,
    pub(super) place: &'a TablePlace,
}

/// See the module.
pub(super) struct ShardedRows {
    dim: usize,
    optimizer: RowOptimizer,
    /// Row r is row r / n of shard r % n.
    shards: Vec<Shard>,
}

struct Shard {
    values: TableMemory,
    state: TableMemory,
}

impl ShardedRows {
    /// With values that are uniform in -`limit` to `limit`, drawn by key and place in the whole table.
    pub(super) fn new(config: &ShardedConfig<'_>, limit: f32, key: u64) -> Result<Self, Error> {
        let &ShardedConfig {
            rows,
            dim,
            shards,
            optimizer,
            place,
        } = config;
        let count = shards;
        let shards = (0..count).map(|number| {
            let rows = (rows + count - 1 - number) / count;
            let state = rows.saturating_mul(optimizer.state_dim(dim));
            let mut values = TableMemory::zeros(rows.saturating_mul(dim), place)?;
            let state = TableMemory::zeros(state, place)?;
            let block_rows = (BLOCK_VALUES / dim.max(1)).max(1);
            values
                .chunks_mut(block_rows * dim.max(1))
                .enumerate()
                .for_each_on_threads(|(block, values)| {
                    for (i, values) in values.chunks_exact_mut(dim).enumerate() {
                        let row = (block * block_rows + i) * count + number;
                        for (j, value) in values.iter_mut().enumerate() {
                            let bits = mix(key, (row * dim + j) as u64) >> 40; // 24 bits
                            *value = (bits as f32 / 8_388_608.0 - 1.0) * limit;
                        }
                    }
                });
            Ok(Shard { values, state })
        });
        Ok(Self {
            dim,
            optimizer,
            shards: shards.collect::<Result<_, Error>>()?,
        })
    }

    fn width(&self, part: RowPart) -> usize {
        match part {
            RowPart::Values => self.dim,
            RowPart::State => self.optimizer.state_dim(self.dim),
        }
    }

    fn row(&self, part: RowPart, row: usize) -> &[f32] {
        let (shard, place) = (row % self.shards.len(), row / self.shards.len());
        let width = self.width(part);
        &self.shards[shard].part(part)[place * width..][..width]
    }

    /// The places in `rows` of those of each shard.
    fn places(&self, rows: &[u32]) -> Vec<Vec<u32>> {
        let count = self.shards.len();
        let mut places = vec![Vec::with_capacity(rows.len().div_ceil(count)); count];
        for (place, &row) in (0..).zip(rows) {
            places[row as usize % count].push(place);
        }
        places
    }
}

impl Shard {
    fn part(&self, part: RowPart) -> &[f32] {
        match part {
            RowPart::Values => &self.values,
            RowPart::State => &self.state,
        }
    }

    fn part_mut(&mut self, part: RowPart) -> &mut [f32] {
        match part {
            RowPart::Values => &mut self.values,
            RowPart::State => &mut self.state,
        }
    }
}

impl TableStore for ShardedRows {
    fn lookup(&self, rows: &[u32], values: &mut [f32]) -> Result<(), Error> {
        let dim = self.dim.max(1);
        values
            .chunks_mut(PLACES * dim)
            .zip(rows.chunks(PLACES))
            .for_each_on_threads(|(values, rows)| {
                for (to, &row) in values.chunks_exact_mut(dim).zip(rows) {
                    to.copy_from_slice(self.row(RowPart::Values, row as usize));
                }
            });
        Ok(())
    }

    fn apply(&mut self, update: RowUpdate<'_>) -> Result<(), Error> {
        let (dim, optimizer, count) = (self.dim, self.optimizer, self.shards.len());
        if dim == 0 {
            return Ok(());
        }
        let state_dim = optimizer.state_dim(dim);
        let places = self.places(update.rows);
        let row = |place: u32| update.rows[place as usize] as usize / count;
        // Each task has the stretch of a shard from its first row to that of the next.
        let mut tasks = Vec::with_capacity(update.rows.len() / PLACES + count);
        for (shard, places) in self.shards.iter_mut().zip(&places) {
            let (mut values, mut state) = (&mut shard.values[..], &mut shard.state[..]);
            let mut first = 0;
            for places in places.chunks(PLACES) {
                let end = places.last().map_or(first, |&place| row(place) + 1);
                let (own_values, later_values) = values.split_at_mut((end - first) * dim);
                let (own_state, later_state) = state.split_at_mut((end - first) * state_dim);
                tasks.push((first, places, own_values, own_state));
                (values, state, first) = (later_values, later_state, end);
            }
        }
        tasks
            .into_iter()
            .for_each_on_threads(|(first, places, values, state)| {
                for &place in places {
                    let gradient = &update.gradient[place as usize * dim..][..dim];
                    let row = row(place) - first;
                    let values = &mut values[row * dim..][..dim];
                    let state = &mut state[row * state_dim..][..state_dim];
                    optimizer.update(&update.step, values, state, gradient);
                }
            });
        Ok(())
    }

    fn read(&self, part: RowPart, rows: Range<usize>, values: &mut [f32]) -> Result<(), Error> {
        let width = self.width(part).max(1);
        for (to, row) in values.chunks_exact_mut(width).zip(rows) {
            to.copy_from_slice(self.row(part, row));
        }
        Ok(())
    }

    fn write(&mut self, part: RowPart, rows: Range<usize>, values: &[f32]) -> Result<(), Error> {
        let (width, count) = (self.width(part), self.shards.len());
        for (from, row) in values.chunks_exact(width.max(1)).zip(rows) {
            let shard = self.shards[row % count].part_mut(part);
            shard[row / count * width..][..width].copy_from_slice(from);
        }
        Ok(())
    }

    /// Nothing waits here: they are applied.
    fn set_pending(&mut self, updates: Vec<PendingUpdate>) -> Result<(), Error> {
        for update in &updates {
            self.apply(update.as_update())?;
        }
        Ok(())
    }
}
