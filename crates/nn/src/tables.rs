//! Embedding tables of id channels: in host memory, with their own sparse optimizer. A step brings the
//! rows it uses onto the tape as one leaf and takes their gradient back; its cost does not depend on
//! the table's size.

use std::sync::Arc;

use rayon::prelude::*;

use crate::ops::dropout::mix;
use crate::parameters::key_of;
use crate::tensors::matrix;
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
    values: Vec<f32>,
    optimizer: RowOptimizer,
    pub(crate) state: Vec<f32>,
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
    /// A table with uniform values of the given standard deviation, from the seed and the name.
    pub fn new(
        name: impl Into<String>,
        rows: usize,
        dim: usize,
        deviation: f32,
        optimizer: RowOptimizer,
        seed: u64,
    ) -> Self {
        let name = name.into();
        let key = key_of(seed, &name);
        let limit = 3f32.sqrt() * deviation;
        let mut values = vec![0.0; rows * dim];
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
        let state = match optimizer {
            RowOptimizer::LazyAdam => vec![0.0; 2 * rows * dim],
            RowOptimizer::RowAdagrad => vec![0.0; rows],
        };
        Self {
            name,
            group: Group::Tables,
            dim,
            values,
            optimizer,
            state,
            steps: 0,
        }
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
        debug_assert_eq!(values.len(), self.values.len());
        self.values = values;
    }

    /// A copy of the values: to keep the best weights.
    pub fn snapshot(&self) -> Vec<f32> {
        self.values.clone()
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
        self.values = snapshot;
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
        let index = codes
            .iter()
            .map(|code| rows.partition_point(|row| row < code) as u32)
            .collect();
        let mut values = Vec::with_capacity(rows.len() * self.dim);
        for &row in &rows {
            values.extend_from_slice(self.row(row));
        }
        Ok(TableRows {
            leaf: matrix(device, values, rows.len(), self.dim)?,
            index,
            rows: rows.into(),
        })
    }

    fn row(&self, row: u32) -> &[f32] {
        &self.values[row as usize * self.dim..][..self.dim]
    }

    /// Updates the given rows with their gradient [U, dim] times `scale`.
    pub(crate) fn update(&mut self, rows: &[u32], gradient: &[f32], scale: f32, rate: &RowRate) {
        self.steps += 1;
        let step = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let dim = self.dim;
        let (first_correction, second_correction) =
            (1.0 - rate.beta1.powi(step), 1.0 - rate.beta2.powi(step));
        for (&row, gradient) in rows.iter().zip(gradient.chunks_exact(dim.max(1))) {
            let row = row as usize;
            let values = &mut self.values[row * dim..][..dim];
            match self.optimizer {
                RowOptimizer::LazyAdam => {
                    let (m, v) = self.state[2 * row * dim..][..2 * dim].split_at_mut(dim);
                    for (((value, m), v), g) in values.iter_mut().zip(m).zip(v).zip(gradient) {
                        let g = g * scale;
                        *m += (1.0 - rate.beta1) * (g - *m);
                        *v += (1.0 - rate.beta2) * (g * g - *v);
                        let deviation = (*v / second_correction).sqrt() + rate.epsilon;
                        *value -= rate.learning_rate * (*m / first_correction) / deviation;
                    }
                }
                RowOptimizer::RowAdagrad => {
                    let squares: f32 = gradient.iter().map(|g| g * scale * g * scale).sum();
                    let sum = &mut self.state[row];
                    *sum += squares / dim as f32;
                    let step = rate.learning_rate / (sum.sqrt() + rate.epsilon);
                    for (value, g) in values.iter_mut().zip(gradient) {
                        *value -= step * g * scale;
                    }
                }
            }
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
        let table = Table::new("item", 10, 2, 1.0, RowOptimizer::LazyAdam, 1);
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
            let mut table = Table::new("item", 4, 2, 1.0, optimizer, 1);
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
