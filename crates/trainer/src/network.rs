//! A model with its weights: parameters on the device, id tables in host memory.

use std::path::Path;

use supermoe_nn::layers::Mode;
use supermoe_nn::tables::RowOptimizer;
use supermoe_nn::{Device, Error, Group, OwnedTape, Parameters, Table, TableRows};

use crate::error::TrainError;
use crate::model::{Encoded, Model};
use crate::model_input::ModelInput;

/// Where a model's parts are made.
pub struct NetworkBuilder<'a, D: Device> {
    /// Parameters on the device.
    pub parameters: &'a mut Parameters<D>,
    tables: &'a mut Vec<ChannelTable>,
}

/// The table of one id channel.
struct ChannelTable {
    /// Index in [`ModelInput::codes`].
    channel: usize,
    table: Table,
}

impl<D: Device> NetworkBuilder<'_, D> {
    /// Adds a host table [rows, width] for the id channel at this index of [`ModelInput::codes`]; its
    /// rows come to the model in the order in which tables were added.
    pub fn add_table(
        &mut self,
        channel: usize,
        name: &str,
        rows: usize,
        width: usize,
        deviation: f32,
    ) {
        let seed = self.parameters.seed();
        let table = Table::new(name, rows, width, deviation, RowOptimizer::LazyAdam, seed);
        self.tables.push(ChannelTable { channel, table });
    }
}

/// What a model computes with.
pub struct NetworkValues<'a, D: Device> {
    pub parameters: &'a Parameters<D>,
    /// The rows of the host tables that the batch uses, in the order in which tables were added.
    pub rows: &'a [TableRows<D>],
}

/// Which weights a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightSet {
    /// Without heads and towers.
    Encoder,
    All,
}

impl WeightSet {
    fn groups(self) -> &'static [Group] {
        match self {
            WeightSet::Encoder => &[Group::Encoder, Group::Tables],
            WeightSet::All => &[Group::Encoder, Group::Tables, Group::Towers],
        }
    }
}

/// A copy of all weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    parameters: Vec<Vec<f32>>,
    tables: Vec<Vec<f32>>,
}

/// See the module.
pub struct Network<D: Device> {
    parameters: Parameters<D>,
    tables: Vec<ChannelTable>,
    model: Box<dyn Model<D>>,
}

impl<D: Device> Network<D> {
    /// Builds a model and what stands on top of it; initial weights come from `seed`.
    pub fn build<H>(
        device: D,
        seed: u64,
        build: impl FnOnce(&mut NetworkBuilder<'_, D>) -> Result<(Box<dyn Model<D>>, H), TrainError>,
    ) -> Result<(Network<D>, H), TrainError> {
        let mut parameters = Parameters::new(device, seed);
        let mut tables = Vec::new();
        let (model, heads) = build(&mut NetworkBuilder {
            parameters: &mut parameters,
            tables: &mut tables,
        })?;
        Ok((
            Network {
                parameters,
                tables,
                model,
            },
            heads,
        ))
    }

    pub fn device(&self) -> &D {
        self.parameters.device()
    }

    pub fn parameters(&self) -> &Parameters<D> {
        &self.parameters
    }

    /// The rows of the host tables that a batch uses.
    pub fn gather(&self, input: &ModelInput) -> Result<Vec<TableRows<D>>, Error> {
        let tables = self.tables.iter();
        tables
            .map(|table| {
                table
                    .table
                    .gather(self.device(), &input.codes[table.channel])
            })
            .collect()
    }

    /// A training pass; `rows` are those of [`Self::gather`].
    pub fn train(
        &self,
        input: &ModelInput,
        rows: &[TableRows<D>],
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Encoded<D>, Error> {
        self.model.train(
            &NetworkValues {
                parameters: &self.parameters,
                rows,
            },
            input,
            mode,
            tape,
        )
    }

    /// A pass without a tape and without dropout.
    pub fn infer(&self, input: &ModelInput) -> Result<Encoded<D>, Error> {
        let rows = self.gather(input)?;
        self.model.infer(
            &NetworkValues {
                parameters: &self.parameters,
                rows: &rows,
            },
            input,
        )
    }

    /// Parameters and tables with their rows, for an optimizer.
    pub fn parts<'a>(
        &'a mut self,
        rows: &'a [TableRows<D>],
    ) -> (
        &'a mut Parameters<D>,
        Vec<(&'a mut Table, &'a TableRows<D>)>,
    ) {
        let tables = self
            .tables
            .iter_mut()
            .map(|table| &mut table.table)
            .zip(rows);
        (&mut self.parameters, tables.collect())
    }

    /// Parameters and tables.
    pub fn parts_mut(&mut self) -> (&mut Parameters<D>, Vec<&mut Table>) {
        (
            &mut self.parameters,
            self.tables
                .iter_mut()
                .map(|table| &mut table.table)
                .collect(),
        )
    }

    pub fn tables(&self) -> Vec<&Table> {
        self.tables.iter().map(|table| &table.table).collect()
    }

    pub fn snapshot(&self) -> Weights {
        Weights {
            parameters: self.parameters.snapshot(),
            tables: self
                .tables
                .iter()
                .map(|table| table.table.snapshot())
                .collect(),
        }
    }

    /// Puts back what [`Self::snapshot`] of this network gave.
    pub fn restore(&mut self, weights: &Weights) -> Result<(), Error> {
        self.parameters.restore(&weights.parameters)?;
        for (table, values) in self.tables.iter_mut().zip(&weights.tables) {
            table.table.restore(values.clone())?;
        }
        Ok(())
    }

    /// Writes weights as safetensors; equal weights give equal bytes.
    pub fn write(&self, path: &Path, set: WeightSet) -> Result<(), Error> {
        self.parameters.save(path, set.groups(), &self.tables(), "")
    }

    /// Reads weights; on an error nothing has changed.
    pub fn read(&mut self, path: &Path, set: WeightSet) -> Result<(), Error> {
        let (parameters, mut tables) = self.parts_mut();
        parameters.load(path, set.groups(), &mut tables)?;
        Ok(())
    }
}
