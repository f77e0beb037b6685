//! The optimizer's state in a file, for checkpoints: moments by parameter, state of id tables, counts of steps.

use std::collections::BTreeMap;
use std::path::Path;

use super::AdamW;
use super::adamw::Moments;
use crate::parameters::{StoredTensor, read_tensors, values_of, write_tensors};
use crate::{Device, Error, Parameters, Table};

/// Steps so far, by name of a parameter or table.
#[derive(serde::Serialize, serde::Deserialize)]
struct Steps {
    parameters: BTreeMap<String, u64>,
    tables: BTreeMap<String, u64>,
}

impl AdamW {
    /// Writes the moments of all parameters that have had a step, and the state of `tables`. The same
    /// state gives the same bytes.
    pub fn save(&self, path: &Path, tables: &[&Table]) -> Result<(), Error> {
        let mut tensors = Vec::new();
        let mut push = |name: String, values: &[f32]| {
            tensors.push((
                name,
                StoredTensor {
                    shape: vec![values.len()],
                    values: values.to_vec(),
                },
            ));
        };
        for (name, moments) in &self.moments {
            push(format!("mean/{name}"), &moments.mean);
            push(format!("square/{name}"), &moments.square);
        }
        for table in tables {
            push(format!("table/{}", table.name()), table.state());
        }
        let steps = Steps {
            parameters: self
                .moments
                .iter()
                .map(|(name, moments)| (name.clone(), moments.steps))
                .collect(),
            tables: tables
                .iter()
                .map(|table| (table.name().to_owned(), table.steps))
                .collect(),
        };
        let text = serde_json::to_string(&steps).map_err(|error| Error::Damaged {
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
            let steps: Steps = serde_json::from_str(text)
                .map_err(|error| damaged(format!("counts of steps: {error}")))?;
            let mut moments = BTreeMap::new();
            for (name, &steps) in &steps.parameters {
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
                let state = values_of(path, tensors, &name, &[table.state().len()])?;
                let count = steps.tables.get(table.name()).copied();
                states.push((
                    state,
                    count.ok_or_else(|| damaged(format!("no count of steps for {name:?}")))?,
                ));
            }
            self.moments = moments;
            for (table, (state, steps)) in tables.iter_mut().zip(states) {
                table.set_state(&state);
                table.steps = steps;
            }
            Ok(())
        })
    }
}
