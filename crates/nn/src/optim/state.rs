//! The optimizer's state in a file, for checkpoints: moments by parameter, state of id tables and the updates
//! that they have not begun, counts of steps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors};

use super::AdamW;
use super::adamw::Moments;
use crate::parameters::{
    StoredTensor, bytes_of, fill_rows, read_tensors, values_of, write_tensors,
};
use crate::tables::{PendingUpdate, RowPart, RowStep};
use crate::{Device, Error, Parameters, Table};

/// Counts, by name of a parameter or table.
#[derive(serde::Serialize, serde::Deserialize)]
struct Counts {
    /// Steps so far.
    parameters: BTreeMap<String, u64>,
    tables: BTreeMap<String, TableCounts>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct TableCounts {
    steps: u64,
    /// Updates that have not begun.
    pending: Vec<PendingCounts>,
}

/// Of a pending update: what stands beside its rows and their gradient.
#[derive(serde::Serialize, serde::Deserialize)]
struct PendingCounts {
    rows: usize,
    wait: u64,
    step: [u32; 7],
}

impl AdamW {
    /// Writes the moments of all parameters that have had a step, and the state of `tables` with the
    /// updates that they have not begun. The same state gives the same bytes.
    pub fn save(&self, path: &Path, tables: &[&Table]) -> Result<(), Error> {
        let pending: Vec<Vec<PendingUpdate>> = tables.iter().map(|table| table.pending()).collect();
        let mut tensors = Vec::new();
        let mut push = |name: String, values: &[f32]| {
            let (shape, values) = (vec![values.len()], values.to_vec());
            tensors.push((name, StoredTensor::Values { shape, values }));
        };
        for (name, moments) in &self.moments {
            push(format!("mean/{name}"), &moments.mean);
            push(format!("square/{name}"), &moments.square);
        }
        for (table, pending) in tables.iter().zip(&pending) {
            let part = RowPart::State;
            let shape = vec![table.rows() * table.width(part)];
            let rows = StoredTensor::Rows { table, part, shape };
            tensors.push((format!("table/{}", table.name()), rows));
            for (number, update) in pending.iter().enumerate() {
                let [rows, gradient] = pending_names(table, number);
                tensors.push((rows, StoredTensor::Codes(&update.rows)));
                let (shape, values) = (vec![update.gradient.len()], update.gradient.to_vec());
                tensors.push((gradient, StoredTensor::Values { shape, values }));
            }
        }
        let counts = Counts {
            parameters: self
                .moments
                .iter()
                .map(|(name, moments)| (name.clone(), moments.steps))
                .collect(),
            tables: tables
                .iter()
                .zip(&pending)
                .map(|(table, pending)| (table.name().to_owned(), TableCounts::new(table, pending)))
                .collect(),
        };
        let text = serde_json::to_string(&counts).map_err(|error| Error::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        write_tensors(path, tensors, &text)
    }

    /// Reads what [`AdamW::save`] wrote. The next step is the same as without the stop. If the file does
    /// not fit the parameters or tables it is an error, and nothing has changed.
    pub fn load<D: Device>(
        &mut self,
        path: &Path,
        parameters: &Parameters<D>,
        tables: &mut [&mut Table],
    ) -> Result<(), Error> {
        read_tensors(path, |tensors, text| {
            let damaged = |reason: String| Error::Damaged {
                path: path.to_owned(),
                reason,
            };
            let counts: Counts = serde_json::from_str(text)
                .map_err(|error| damaged(format!("counts of steps: {error}")))?;
            let mut moments = BTreeMap::new();
            for (name, &steps) in &counts.parameters {
                let parameter = parameters.by_name(name).ok_or_else(|| {
                    damaged(format!(
                        "it has moments of {name:?}, which is no parameter of this model"
                    ))
                })?;
                let count = [parameter.count()];
                let mean = values_of(path, tensors, &format!("mean/{name}"), &count)?;
                let square = values_of(path, tensors, &format!("square/{name}"), &count)?;
                moments.insert(
                    name.clone(),
                    Moments {
                        mean,
                        square,
                        steps,
                    },
                );
            }
            let mut states = Vec::new();
            for table in tables.iter() {
                let name = format!("table/{}", table.name());
                let shape = [table.rows() * table.width(RowPart::State)];
                let state = bytes_of(path, tensors, &name, Dtype::F32, &shape)?;
                let counts = counts.tables.get(table.name());
                let counts =
                    counts.ok_or_else(|| damaged(format!("no count of steps for {name:?}")))?;
                states.push((state, counts.steps, counts.updates(path, tensors, table)?));
            }
            self.moments = moments;
            for (table, (state, steps, pending)) in tables.iter_mut().zip(states) {
                fill_rows(table, RowPart::State, state)?;
                table.steps = steps;
                table.set_pending(pending)?;
            }
            Ok(())
        })
    }
}

/// Of the rows and of the gradient of a pending update.
fn pending_names(table: &Table, number: usize) -> [String; 2] {
    ["rows", "gradient"].map(|part| format!("pending/{}/{number}/{part}", table.name()))
}

impl TableCounts {
    fn new(table: &Table, pending: &[PendingUpdate]) -> Self {
        let of = |update: &PendingUpdate| PendingCounts {
            rows: update.rows.len(),
            wait: update.wait,
            step: update.step.to_bits(),
        };
        Self {
            steps: table.steps,
            pending: pending.iter().map(of).collect(),
        }
    }

    /// The updates that had not begun.
    fn updates(
        &self,
        path: &Path,
        tensors: &SafeTensors<'_>,
        table: &Table,
    ) -> Result<Vec<PendingUpdate>, Error> {
        let updates = self.pending.iter().enumerate().map(|(number, counts)| {
            let [rows, gradient] = pending_names(table, number);
            let codes = bytes_of(path, tensors, &rows, Dtype::U32, &[counts.rows])?;
            let codes: Arc<[u32]> = codes.iter().map(|code| u32::from_le_bytes(*code)).collect();
            if !codes.is_sorted_by(|a, b| a < b)
                || codes
                    .last()
                    .is_some_and(|&row| row as usize >= table.rows())
            {
                return Err(Error::Damaged {
                    path: path.to_owned(),
                    reason: format!("{rows:?} are no ascending rows of the table"),
                });
            }
            let count = [counts.rows * table.dim()];
            Ok(PendingUpdate {
                rows: codes,
                gradient: values_of(path, tensors, &gradient, &count)?.into(),
                step: RowStep::from_bits(counts.step),
                wait: counts.wait,
            })
        });
        updates.collect()
    }
}
