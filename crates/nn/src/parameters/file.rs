//! Parameters and tables as a safetensors file, written in one order of bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};

use super::{Group, Parameters};
use crate::tables::RowPart;
use crate::{Device, Error, Table};

/// The one metadata entry of our files (more than one would have no fixed order in the format's map).
const METADATA: &str = "supermoe";

/// A tensor on its way to a file.
pub(crate) enum StoredTensor<'a> {
    /// One dimension for each of the shape's.
    Values { shape: Vec<usize>, values: Vec<f32> },
    /// Codes. `[U]`
    Codes(&'a [u32]),
    /// A part of a table, read some rows at a time: it may be larger than the memory.
    Rows {
        table: &'a Table,
        part: RowPart,
        shape: Vec<usize>,
    },
}

impl StoredTensor<'_> {
    fn dtype(&self) -> Dtype {
        match self {
            StoredTensor::Codes(_) => Dtype::U32,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            StoredTensor::Codes(codes) => vec![codes.len()],
            StoredTensor::Values { shape, .. } | StoredTensor::Rows { shape, .. } => shape.clone(),
        }
    }

    /// Hands its bytes, little-endian, to `write`, in pieces.
    fn bytes(&self, mut write: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        match self {
            StoredTensor::Codes(codes) => {
                let bytes = codes.iter().flat_map(|code| code.to_le_bytes());
                write(&bytes.collect::<Vec<u8>>())
            }
            StoredTensor::Values { values, .. } => {
                let mut pieces = values.chunks(PIECE);
                pieces.try_for_each(|values| write(&little_endian(values)))
            }
            StoredTensor::Rows { table, part, .. } => {
                let mut values = Vec::new();
                for rows in table.blocks(*part) {
                    values.resize(rows.len() * table.width(*part), 0.0);
                    table.read(*part, rows, &mut values)?;
                    write(&little_endian(&values))?;
                }
                Ok(())
            }
        }
    }
}

/// Values that are turned into bytes at a time.
const PIECE: usize = 65_536;

fn little_endian(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Writes tensors and a text to a safetensors file, synced to the disk. Not atomic: write to a temporary
/// name where it matters.
pub(crate) fn write_tensors(
    path: &Path,
    mut tensors: Vec<(String, StoredTensor<'_>)>,
    metadata: &str,
) -> Result<(), Error> {
    let damaged = |error: String| Error::Damaged {
        path: path.to_owned(),
        reason: error,
    };
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    // The order of the format's own writer.
    tensors.sort_by(|(a, left), (b, right)| right.dtype().cmp(&left.dtype()).then(a.cmp(b)));
    let mut infos = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for (name, tensor) in &tensors {
        let shape = tensor.shape();
        let start = end;
        end += shape.iter().product::<usize>() * size_of::<f32>();
        let info = TensorInfo {
            dtype: tensor.dtype(),
            shape,
            data_offsets: (start, end),
        };
        infos.push((name.clone(), info));
    }
    let information = HashMap::from([(METADATA.to_owned(), metadata.to_owned())]);
    let header =
        Metadata::new(Some(information), infos).map_err(|error| damaged(error.to_string()))?;
    let mut header = serde_json::to_vec(&header).map_err(|error| damaged(error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::new(File::create(path).map_err(io)?);
    file.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| file.write_all(&header))
        .map_err(io)?;
    for (_, tensor) in &tensors {
        tensor.bytes(|bytes| file.write_all(bytes).map_err(io))?;
    }
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)
}

/// Maps a file and gives its tensors and text to `visit`.
pub(crate) fn read_tensors<R>(
    path: &Path,
    visit: impl FnOnce(&SafeTensors<'_>, &str) -> Result<R, Error>,
) -> Result<R, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let bytes: &[u8] = match file.metadata().map_err(io)?.len() {
        0 => &[], // which no system maps
        // SAFETY: weights and checkpoints are private copies of this process, that nobody shortens while it
        // reads them.
        _ => &unsafe { Mmap::map(&file).map_err(io)? },
    };
    let damaged = |error: safetensors::SafeTensorError| Error::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let text = header
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get(METADATA))
        .cloned()
        .unwrap_or_default();
    visit(&SafeTensors::deserialize(bytes).map_err(damaged)?, &text)
}

/// The bytes of one tensor of a file; an error unless it is of that type and shape.
pub(crate) fn bytes_of<'t>(
    path: &Path,
    tensors: &'t SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    shape: &[usize],
) -> Result<&'t [[u8; 4]], Error> {
    let missing = |_| Error::MissingTensor {
        path: path.to_owned(),
        name: name.to_owned(),
    };
    let view = tensors.tensor(name).map_err(missing)?;
    if view.dtype() != dtype || view.shape() != shape {
        return Err(Error::TensorShape {
            path: path.to_owned(),
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: format!("{:?} {:?}", view.dtype(), view.shape()),
        });
    }
    Ok(view.data().as_chunks::<4>().0)
}

/// The values of one tensor of a file; an error unless it is f32 of that shape.
pub(crate) fn values_of(
    path: &Path,
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, Error> {
    let numbers = bytes_of(path, tensors, name, Dtype::F32, shape)?;
    Ok(numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

/// Puts what [`bytes_of`] gave into a part of a table, some rows at a time.
pub(crate) fn fill_rows(
    table: &mut Table,
    part: RowPart,
    mut numbers: &[[u8; 4]],
) -> Result<(), Error> {
    let width = table.width(part);
    let mut values = Vec::new();
    for rows in table.blocks(part) {
        let (own, later) = numbers.split_at(rows.len() * width);
        values.clear();
        values.extend(own.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        table.write(part, rows, &values)?;
        numbers = later;
    }
    Ok(())
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
            let stored = StoredTensor::Values {
                shape: parameter.shape().to_vec(),
                values: parameter.read(),
            };
            tensors.push((parameter.name().to_owned(), stored));
        }
        for table in tables
            .iter()
            .filter(|table| groups.contains(&table.group()))
        {
            let stored = StoredTensor::Rows {
                table,
                part: RowPart::Values,
                shape: vec![table.rows(), table.dim()],
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
                let shape = [table.rows(), table.dim()];
                let numbers = bytes_of(path, tensors, table.name(), Dtype::F32, &shape)?;
                table_values.push(numbers);
            }
            for (index, values) in &parameter_values {
                self.entries[*index].write(values);
            }
            for (table, values) in tables.iter_mut().zip(table_values) {
                fill_rows(table, RowPart::Values, values)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::RowOptimizer;

    #[test]
    fn the_bytes_are_those_of_the_format_s_own_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tensors");
        let table = Table::new("a", 30_000, 3, 1.0, RowOptimizer::LazyAdam, 1).unwrap();
        let of_table = table.values().unwrap();
        let values: Vec<f32> = (0..70_000).map(|i| i as f32).collect();
        let codes = [7u32, 1 << 31];
        let stored = vec![
            ("codes".to_owned(), StoredTensor::Codes(&codes)),
            (
                "rows".to_owned(),
                StoredTensor::Rows {
                    table: &table,
                    part: RowPart::Values,
                    shape: vec![30_000, 3],
                },
            ),
            (
                "a".to_owned(),
                StoredTensor::Values {
                    shape: vec![7, 10_000],
                    values: values.clone(),
                },
            ),
        ];
        write_tensors(&path, stored, "text \"quoted\"").unwrap();
        let bytes = |values: &[f32]| little_endian(values);
        let (a, rows) = (bytes(&values), bytes(&of_table));
        let of_codes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new;
        let views = [
            ("rows", view(Dtype::F32, vec![30_000, 3], &rows).unwrap()),
            ("codes", view(Dtype::U32, vec![2], &of_codes).unwrap()),
            ("a", view(Dtype::F32, vec![7, 10_000], &a).unwrap()),
        ];
        let text = HashMap::from([(METADATA.to_owned(), "text \"quoted\"".to_owned())]);
        let expected = safetensors::serialize(views, Some(text)).unwrap();
        assert!(std::fs::read(&path).unwrap() == expected);
    }
}
