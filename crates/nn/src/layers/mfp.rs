//! Multi-channel feature projection: embeddings and dense channels, side by side, projected to the model's width.

use std::sync::Arc;

use super::{LayerNorm, Linear};
use crate::ops::{Activation, DenseInput};
use crate::parameters::{Initial, MatrixHandle, VectorHandle};
use crate::{Device, Error, Group, Matrix, Parameters, TableRows, Tape, ops};

/// A table of embeddings, [rows, dim].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Name of the channel.
    pub name: String,
    /// Size of the vocabulary, with the codes 0 to 2.
    pub rows: usize,
    /// Width of an embedding.
    pub dim: usize,
}

/// Sizes of an [`Mfp`].
#[derive(Clone, Debug, PartialEq)]
pub struct MfpConfig {
    /// Channels whose tables are parameters on the device.
    pub categories: Vec<TableSize>,
    /// Widths of the id channels, whose rows come from host tables.
    pub ids: Vec<usize>,
    /// Number of dense channels.
    pub dense: usize,
    /// The dense channels that masking may hide; each has a learned value in place of the hidden one and a flag.
    pub maskable: Vec<usize>,
    /// Standard deviation of the category tables' first values.
    pub deviation: f32,
    /// Width d of the result.
    pub width: usize,
}

/// relu(LayerNorm(W [categories, ids, dense, flags] + b)).
#[derive(Clone, Debug)]
pub struct Mfp {
    tables: Vec<MatrixHandle>,
    ids: Vec<usize>,
    dense: usize,
    maskable: Arc<[usize]>,
    fill: Option<VectorHandle>,
    projection: Linear,
    norm: LayerNorm,
}

/// One packed batch as [`Mfp::forward`] takes it.
pub struct MfpInput<'a, D: Device> {
    /// Codes of each category channel, `[N]`.
    pub categories: &'a [Arc<[u32]>],
    /// Rows of each id channel, from [`crate::Table::gather`]; several channels of one table share `leaf`.
    pub ids: &'a [&'a TableRows<D>],
    /// Dense channels; its `maskable` must be the layer's, see [`Mfp::dense_input`].
    pub dense: &'a DenseInput,
}

impl Mfp {
    /// Adds `{name}.table.{channel}` (group tables), `{name}.fill`, `{name}.projection`, `{name}.norm`
    /// (group encoder). Errors if there is no channel at all.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        config: &MfpConfig,
    ) -> Result<Self, Error> {
        let mut tables = Vec::new();
        let mut inputs = config.dense + config.maskable.len() + config.ids.iter().sum::<usize>();
        for TableSize {
            name: channel,
            rows,
            dim,
        } in &config.categories
        {
            let initial = Initial::Normal(config.deviation);
            tables.push(parameters.add(
                format!("{name}.table.{channel}"),
                Group::Tables,
                (*rows, *dim),
                initial,
            )?);
            inputs += dim;
        }
        if inputs == 0 {
            return Err(Error::value("mfp", "number of channels", "at least 1", 0));
        }
        let fill = match config.maskable.len() {
            0 => None,
            n => Some(parameters.add(
                format!("{name}.fill"),
                Group::Encoder,
                (n,),
                Initial::Constant(0.0),
            )?),
        };
        Ok(Self {
            tables,
            ids: config.ids.clone(),
            dense: config.dense,
            maskable: config.maskable.clone().into(),
            fill,
            projection: Linear::new(
                parameters,
                &format!("{name}.projection"),
                Group::Encoder,
                inputs,
                config.width,
            )?,
            norm: LayerNorm::new(
                parameters,
                &format!("{name}.norm"),
                Group::Encoder,
                config.width,
            )?,
        })
    }

    /// The dense part of a batch: values [N, channels] and, where masking hides some, [N, maskable].
    pub fn dense_input(&self, values: Arc<[f32]>, masked: Arc<[bool]>) -> DenseInput {
        DenseInput {
            values,
            channels: self.dense,
            maskable: self.maskable.clone(),
            masked,
        }
    }

    /// [N, width].
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        input: &MfpInput<'_, D>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let counts = [
            input.categories.len(),
            input.ids.len(),
            input.dense.channels,
        ];
        crate::error::check_shape(
            "mfp",
            "channels",
            &[self.tables.len(), self.ids.len(), self.dense],
            &counts,
        )?;
        let mut tables: Vec<&Matrix<D>> = self
            .tables
            .iter()
            .map(|&table| parameters.get(table))
            .collect();
        let mut codes = input.categories.to_vec();
        for rows in input.ids {
            tables.push(&rows.leaf);
            codes.push(rows.index.clone());
        }
        let fill = self.fill.map(|fill| parameters.get(fill));
        let x = ops::lookup(
            parameters.device(),
            &tables,
            &codes,
            input.dense,
            fill,
            tape,
        )?;
        let projected = self.projection.forward(parameters, &x, tape)?;
        Ok(self
            .norm
            .forward(parameters, &projected, None, Activation::Relu, tape)?
            .y)
    }
}
