//! Parameters and tables as a safetensors file, written in one order of bytes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View};

use super::{Group, Parameters};
use crate::{Device, Error, Table};

/// The one metadata entry of our files (more than one would have no fixed order in the format's map).
const METADATA: &str = "supermoe";

/// A tensor on its way to a file.
pub(crate) struct StoredTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl View for StoredTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(
            self.values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        )
    }
    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// Writes tensors and a text to a file, synced to the disk. Not atomic: write to a temporary name where it matters.
pub(crate) fn write_tensors(
    path: &Path,
    tensors: Vec<(String, StoredTensor)>,
    metadata: &str,
) -> Result<(), Error> {
    let information = HashMap::from([(METADATA.to_owned(), metadata.to_owned())]);
    let bytes =
        safetensors::serialize(tensors, Some(information)).map_err(|error| Error::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::File::create(path).map_err(io)?;
    std::io::Write::write_all(&mut file, &bytes).map_err(io)?;
    file.sync_all().map_err(io)
}

/// Reads a file and gives its tensors and text to `visit`.
pub(crate) fn read_tensors<R>(
    path: &Path,
    visit: impl FnOnce(&SafeTensors<'_>, &str) -> Result<R, Error>,
) -> Result<R, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let damaged = |error: safetensors::SafeTensorError| Error::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let text = header
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(METADATA))
        .cloned()
        .unwrap_or_default();
    visit(&SafeTensors::deserialize(&bytes).map_err(damaged)?, &text)
}

/// The values of one tensor of a file; an error unless it is f32 of that shape.
pub(crate) fn values_of(
    path: &Path,
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, Error> {
    let missing = |_| Error::MissingTensor {
        path: path.to_owned(),
        name: name.to_owned(),
    };
    let view = tensors.tensor(name).map_err(missing)?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(Error::TensorShape {
            path: path.to_owned(),
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: format!("{:?} {:?}", view.dtype(), view.shape()),
        });
    }
    let (numbers, _) = view.data().as_chunks::<4>();
    Ok(numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

/// The text that was given to [`Parameters::save`] (a model's configuration), without reading values.
pub fn metadata(path: &Path) -> Result<String, Error> {
    read_tensors(path, |_, text| Ok(text.to_owned()))
}

/// What a file held that was not asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Names of tensors that no parameter or table took.
    pub tensors: Vec<String>,
}

impl<D: Device> Parameters<D> {
    /// Writes the parameters and `tables` of `groups` with a text of the caller's. The same values give
    /// the same bytes.
    pub fn save(
        &self,
        path: &Path,
        groups: &[Group],
        tables: &[&Table],
        metadata: &str,
    ) -> Result<(), Error> {
        let mut tensors = Vec::new();
        for parameter in self
            .iter()
            .filter(|parameter| groups.contains(&parameter.group()))
        {
            let stored = StoredTensor {
                shape: parameter.shape().to_vec(),
                values: parameter.read(),
            };
            tensors.push((parameter.name().to_owned(), stored));
        }
        for table in tables
            .iter()
            .filter(|table| groups.contains(&table.group()))
        {
            let stored = StoredTensor {
                shape: vec![table.rows(), table.dim()],
                values: table.values().to_vec(),
            };
            tensors.push((table.name().to_owned(), stored));
        }
        write_tensors(path, tensors, metadata)
    }

    /// Reads the parameters and `tables` of `groups`. Each must be in the file with its shape, else an
    /// error names it, and nothing has changed. Gives back what the file held beside them.
    pub fn load(
        &mut self,
        path: &Path,
        groups: &[Group],
        tables: &mut [&mut Table],
    ) -> Result<Skipped, Error> {
        read_tensors(path, |tensors, _| {
            let mut parameter_values = Vec::new();
            for (index, parameter) in self.entries.iter().enumerate() {
                if groups.contains(&parameter.group) {
                    parameter_values.push((
                        index,
                        values_of(path, tensors, &parameter.name, &parameter.shape)?,
                    ));
                }
            }
            let mut tables: Vec<&mut Table> = tables
                .iter_mut()
                .map(|table| &mut **table)
                .filter(|table| groups.contains(&table.group()))
                .collect();
            let mut table_values = Vec::new();
            for table in tables.iter() {
                table_values.push(values_of(
                    path,
                    tensors,
                    table.name(),
                    &[table.rows(), table.dim()],
                )?);
            }
            for (index, values) in &parameter_values {
                self.entries[*index].write(values);
            }
            for (table, values) in tables.iter_mut().zip(table_values) {
                table.set_values(values);
            }
            let taken = |name: &str| {
                parameter_values
                    .iter()
                    .any(|(index, _)| self.entries[*index].name == name)
                    || tables.iter().any(|table| table.name() == name)
            };
            let mut skipped: Vec<_> = tensors
                .names()
                .into_iter()
                .filter(|name| !taken(name))
                .map(str::to_owned)
                .collect();
            skipped.sort();
            Ok(Skipped { tensors: skipped })
        })
    }
}
