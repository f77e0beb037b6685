//! Embedding tables of id channels: in host memory, with their own sparse optimizer. A step brings the
//! rows it uses onto the tape as one leaf and takes their gradient back; its cost does not depend on
//! the table's size.

use std::sync::Arc;

use rayon::prelude::*;

use crate::ops::buffers::Buffer;
use crate::ops::dropout::mix;
use crate::parameters::key_of;
use crate::table_memory::TableMemory;
use crate::tensors::tensor;
use crate::{Device, Error, Group, Matrix};

/// How rows are updated. Only rows that a step uses change, their moments included: a step's cost does
/// not depend on the table's size, and a row that rests neither decays nor drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOptimizer {
    /// Adam whose moments decay only where a row is used (torch's SparseAdam). State: 2 values for each value.
    LazyAdam,
    /// Adagrad with one sum of mean squares for each row (Mudigere et al. 2022). State: 1 value a row.
    RowAdagrad,
}

/// A table [rows, dim] and its optimizer's state.
pub struct Table {
    name: String,
    group: Group,
    dim: usize,
    values: TableMemory,
    optimizer: RowOptimizer,
    state: TableMemory,
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

impl Table {
    /// A table with uniform values of the given standard deviation, from the seed and the name; an error
    /// if there is no memory for it.
    pub fn new(
        name: impl Into<String>,
        rows: usize,
        dim: usize,
        deviation: f32,
        optimizer: RowOptimizer,
        seed: u64,
    ) -> Result<Self, Error> {
        let name = name.into();
        let key = key_of(seed, &name);
        let limit = 3f32.sqrt() * deviation;
        let count = rows.saturating_mul(dim);
        let mut values = TableMemory::zeros(count)?;
        const BLOCK: usize = 65_536;
        values
            .par_chunks_mut(BLOCK)
            .enumerate()
            .for_each(|(block, values)| {
                for (i, value) in values.iter_mut().enumerate() {
                    let bits = mix(key, (block * BLOCK + i) as u64) >> 40; // 24 bits
                    *value = (bits as f32 / 8_388_608.0 - 1.0) * limit;
                }
            });
        let state = TableMemory::zeros(match optimizer {
            RowOptimizer::LazyAdam => count.saturating_mul(2),
            RowOptimizer::RowAdagrad => rows,
        })?;
        Ok(Self {
            name,
            group: Group::Tables,
            dim,
            values,
            optimizer,
            state,
            steps: 0,
        })
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
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Values of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn set_values(&mut self, values: Vec<f32>) {
        self.values.copy_from_slice(&values);
    }

    /// A copy of the values: to keep the best weights.
    pub fn snapshot(&self) -> Vec<f32> {
        self.values.to_vec()
    }

    /// Puts back what [`Table::snapshot`] gave; an error if it is of another size.
    pub fn restore(&mut self, snapshot: Vec<f32>) -> Result<(), Error> {
        if snapshot.len() != self.values.len() {
            return Err(Error::value(
                "restore",
                "values of a table",
                self.values.len().to_string(),
                snapshot.len(),
            ));
        }
        self.values.copy_from_slice(&snapshot);
        Ok(())
    }

    /// The rows that `codes` use, brought to the device. Where several channels share a table, join their
    /// codes, gather once, and split `index`. A code outside of the table is an error.
    pub fn gather<D: Device>(&self, device: &D, codes: &[u32]) -> Result<TableRows<D>, Error> {
        crate::ops::gather_rows::check_indices("table", codes, self.rows())?;
        let mut rows = codes.to_vec();
        rows.sort_unstable();
        rows.dedup();
        // Every code is among the rows, so the search finds it.
        let place = |code: &u32| rows.partition_point(|row| row < code) as u32;
        let index: Vec<u32> = codes.par_iter().with_min_len(PLACES).map(place).collect();
        let mut values = Buffer::scratch(rows.len() * self.dim);
        values
            .par_chunks_mut(PLACES * self.dim.max(1))
            .zip(rows.par_chunks(PLACES))
            .for_each(|(values, rows)| {
                for (to, &row) in values.chunks_exact_mut(self.dim.max(1)).zip(rows) {
                    to.copy_from_slice(self.row(row));
                }
            });
        Ok(TableRows {
            leaf: tensor(device, values, (rows.len(), self.dim))?,
            index: index.into(),
            rows: rows.into(),
        })
    }

    /// What its optimizer keeps.
    pub(crate) fn state(&self) -> &[f32] {
        &self.state
    }

    /// Puts back what [`Table::state`] gave.
    pub(crate) fn set_state(&mut self, state: &[f32]) {
        self.state.copy_from_slice(state);
    }

    fn row(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.dim..][..self.dim]
    }

    /// Updates the given rows, which ascend, with their gradient [U, dim] times `scale`.
    pub(crate) fn update(&mut self, rows: &[u32], gradient: &[f32], scale: f32, rate: &RowRate) {
        self.steps += 1;
        let step = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let update = RowUpdate {
            scale,
            learning_rate: rate.learning_rate,
            take1: 1.0 - rate.beta1,
            take2: 1.0 - rate.beta2,
            first_correction: 1.0 - rate.beta1.powi(step),
            second_correction: 1.0 - rate.beta2.powi(step),
            epsilon: rate.epsilon,
        };
        if self.dim == 0 {
            return;
        }
        let (dim, optimizer) = (self.dim, self.optimizer);
        let state_dim = match optimizer {
            RowOptimizer::LazyAdam => 2 * dim,
            RowOptimizer::RowAdagrad => 1,
        };
        // Each task has the stretch of the table from its first row to that of the next.
        let (mut values, mut state) = (&mut self.values[..], &mut self.state[..]);
        let (mut tasks, mut first) = (Vec::with_capacity(rows.len().div_ceil(PLACES)), 0);
        for rows in rows.chunks(PLACES) {
            let end = rows.last().map_or(first, |&row| row as usize + 1);
            let (own_values, later_values) = values.split_at_mut((end - first) * dim);
            let (own_state, later_state) = state.split_at_mut((end - first) * state_dim);
            tasks.push((first, rows, own_values, own_state));
            (values, state, first) = (later_values, later_state, end);
        }
        tasks
            .into_par_iter()
            .zip(gradient.par_chunks(PLACES * dim))
            .for_each(|((first, rows, values, state), gradient)| {
                for (&row, gradient) in rows.iter().zip(gradient.chunks_exact(dim)) {
                    let place = row as usize - first;
                    let values = &mut values[place * dim..][..dim];
                    let state = &mut state[place * state_dim..][..state_dim];
                    match optimizer {
                        RowOptimizer::LazyAdam => update.lazy_adam(values, state, gradient),
                        RowOptimizer::RowAdagrad => update.row_adagrad(values, state, gradient),
                    }
                }
            });
    }
}

/// Rows of one task.
const PLACES: usize = 512;

/// One step of a row optimizer.
struct RowUpdate {
    scale: f32,
    learning_rate: f32,
    take1: f32,
    take2: f32,
    first_correction: f32,
    second_correction: f32,
    epsilon: f32,
}

impl RowUpdate {
    fn lazy_adam(&self, values: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        let (m, v) = state.split_at_mut(values.len());
        for (((value, m), v), g) in values.iter_mut().zip(m).zip(v).zip(gradient) {
            let g = g * self.scale;
            *m += self.take1 * (g - *m);
            *v += self.take2 * (g * g - *v);
            let deviation = (*v / self.second_correction).sqrt() + self.epsilon;
            *value -= self.learning_rate * (*m / self.first_correction) / deviation;
        }
    }

    fn row_adagrad(&self, values: &mut [f32], sum: &mut [f32], gradient: &[f32]) {
        let scaled = gradient.iter().map(|g| g * self.scale);
        let squares: f32 = scaled.map(|g| g * g).sum();
        sum[0] += squares / values.len() as f32;
        let step = self.learning_rate / (sum[0].sqrt() + self.epsilon);
        for (value, g) in values.iter_mut().zip(gradient) {
            *value -= step * g * self.scale;
        }
    }
}

/// Rate and constants of a row update.
pub(crate) struct RowRate {
    pub(crate) learning_rate: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cpu, read};

    #[test]
    fn gather_gives_each_row_once_and_the_way_back() {
        let table = Table::new("item", 10, 2, 1.0, RowOptimizer::LazyAdam, 1).unwrap();
        let rows = table.gather(&Cpu::default(), &[7, 3, 7, 9]).unwrap();
        assert_eq!(
            (&rows.rows[..], &rows.index[..]),
            (&[3, 7, 9][..], &[1, 0, 1, 2][..])
        );
        assert_eq!(read(&rows.leaf)[2..4], table.values()[14..16]);
        assert!(table.gather(&Cpu::default(), &[10]).is_err());
    }

    #[test]
    fn only_used_rows_change() {
        for optimizer in [RowOptimizer::LazyAdam, RowOptimizer::RowAdagrad] {
            let mut table = Table::new("item", 4, 2, 1.0, optimizer, 1).unwrap();
            let before = table.snapshot();
            let rate = RowRate {
                learning_rate: 0.1,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
            };
            table.update(&[2], &[3.0, -3.0], 1.0, &rate);
            assert_eq!(table.values()[..4], before[..4]);
            assert_eq!(table.values()[6..], before[6..]);
            // The first step of either is the rate against the sign of the gradient.
            assert!((table.values()[4] - before[4] + 0.1).abs() < 1e-5);
            assert!((table.values()[5] - before[5] - 0.1).abs() < 1e-5);
        }
    }
}
