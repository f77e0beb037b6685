//! A model with its weights: parameters on the device, id tables in host memory.

use std::path::Path;

use supermoe_nn::layers::Mode;
use supermoe_nn::tables::{TablePlace, TableSnapshot};
use supermoe_nn::{Device, Error, Group, OwnedTape, Parameters, Table, TableRows};

use crate::error::TrainError;
use crate::memory_check::ModelSize;
use crate::model::{Augmentation, AuxiliaryLoss, Encoded, Model};
use crate::model_input::ModelInput;
use crate::table_plan::TablePlan;

/// Where a model's parts, and what stands on top of it, are made.
pub struct NetworkBuilder<'a, D: Device> {
    /// Parameters on the device.
    pub parameters: &'a mut Parameters<D>,
    tables: &'a mut Tables,
    plan: &'a mut TablePlan,
    /// Of tables that were asked for where parameters have sizes alone.
    table_bytes: u64,
}

/// Tables in host memory.
#[derive(Default)]
struct Tables {
    /// Of id channels.
    channels: Vec<Table>,
    /// By table of a channel: index in [`ModelInput::codes`].
    channel_codes: Vec<usize>,
    /// Of heads with many classes.
    heads: Vec<Table>,
}

impl Tables {
    fn iter(&self) -> impl Iterator<Item = &Table> {
        self.channels.iter().chain(&self.heads)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.channels.iter_mut().chain(&mut self.heads)
    }
}

impl<D: Device> NetworkBuilder<'_, D> {
    /// Adds a host table [rows, width] for the id channel at this index of [`ModelInput::codes`]; its
    /// rows come to the model in the order in which tables were added.
    ///
    /// # Errors
    /// No room for it, or fewer rows than shards.
    pub fn add_table(
        &mut self,
        channel: usize,
        name: &str,
        rows: usize,
        width: usize,
        deviation: f32,
    ) -> Result<(), Error> {
        if let Some(table) = self.table(name, rows, width, deviation)? {
            self.tables.channels.push(table);
            self.tables.channel_codes.push(channel);
        }
        Ok(())
    }

    /// Adds a host table of classes for a head; its index among those of heads comes back.
    pub(crate) fn add_head_table(
        &mut self,
        name: &str,
        rows: usize,
        width: usize,
        deviation: f32,
    ) -> Result<usize, Error> {
        let index = self.tables.heads.len();
        let table = self.table(name, rows, width, deviation)?;
        let table = table.map(|table| table.in_group(Group::Towers));
        self.tables.heads.extend(table);
        Ok(index)
    }

    /// None where only sizes are asked for.
    fn table(
        &mut self,
        name: &str,
        rows: usize,
        width: usize,
        deviation: f32,
    ) -> Result<Option<Table>, Error> {
        let settings = self.plan.next(rows, width);
        if self.parameters.has_sizes_alone() {
            if settings.place == TablePlace::Memory {
                let bytes = Table::bytes(rows, width, settings.optimizer);
                self.table_bytes = self.table_bytes.saturating_add(bytes);
            }
            return Ok(None);
        }
        let seed = self.parameters.seed();
        Table::new(name, rows, width, deviation, settings, seed).map(Some)
    }
}

/// The rows of the host tables that a batch uses, each in the order in which tables were added.
pub struct UsedRows<D: Device> {
    pub channels: Vec<TableRows<D>>,
    pub heads: Vec<TableRows<D>>,
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
    pub(crate) fn groups(self) -> &'static [Group] {
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
    tables: Vec<TableSnapshot>,
}

/// See the module.
pub struct Network<D: Device> {
    parameters: Parameters<D>,
    tables: Tables,
    model: Box<dyn Model<D>>,
}

impl<D: Device> Network<D> {
    /// Builds a model and what stands on top of it; initial weights come from `seed`.
    pub fn build<H>(
        device: D,
        seed: u64,
        plan: impl Into<TablePlan>,
        build: impl FnOnce(&mut NetworkBuilder<'_, D>) -> Result<(Box<dyn Model<D>>, H), TrainError>,
    ) -> Result<(Network<D>, H), TrainError> {
        let mut parameters = Parameters::new(device, seed);
        let mut tables = Tables::default();
        let (model, heads) = build(&mut NetworkBuilder {
            parameters: &mut parameters,
            tables: &mut tables,
            plan: &mut plan.into(),
            table_bytes: 0,
        })?;
        let network = Network {
            parameters,
            tables,
            model,
        };
        Ok((network, heads))
    }

    /// How large the model is that `build` makes, without making its weights.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn size(
        device: D,
        mut plan: TablePlan,
        build: impl FnOnce(&mut NetworkBuilder<'_, D>) -> Result<Box<dyn Model<D>>, TrainError>,
    ) -> Result<ModelSize, TrainError> {
        let mut parameters = Parameters::of_sizes(device);
        let mut builder = NetworkBuilder {
            parameters: &mut parameters,
            tables: &mut Tables::default(),
            plan: &mut plan,
            table_bytes: 0,
        };
        build(&mut builder)?;
        let table_bytes = builder.table_bytes;
        Ok(ModelSize {
            weights: parameters.count() as u64,
            table_bytes,
        })
    }

    pub fn device(&self) -> &D {
        self.parameters.device()
    }

    pub fn parameters(&self) -> &Parameters<D> {
        &self.parameters
    }

    /// A head's table, by the index that it was given.
    pub fn head_table(&self, index: usize) -> &Table {
        &self.tables.heads[index]
    }

    /// The rows of the host tables that a batch uses; `heads` are the classes that the heads with
    /// tables look up.
    pub fn gather(&self, input: &ModelInput, heads: &[&[u32]]) -> Result<UsedRows<D>, Error> {
        let heads = self.tables.heads.iter().zip(heads);
        Ok(UsedRows {
            channels: self.gather_channels(input)?,
            heads: heads
                .map(|(table, codes)| table.gather(self.device(), codes))
                .collect::<Result<_, Error>>()?,
        })
    }

    fn gather_channels(&self, input: &ModelInput) -> Result<Vec<TableRows<D>>, Error> {
        let tables = self.tables.channels.iter().zip(&self.tables.channel_codes);
        tables
            .map(|(table, &channel)| table.gather(self.device(), &input.codes[channel]))
            .collect()
    }

    /// A training pass; `rows` are those of [`Self::gather`].
    pub fn train(
        &self,
        input: &ModelInput,
        rows: &UsedRows<D>,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Encoded<D>, Error> {
        let values = NetworkValues {
            parameters: &self.parameters,
            rows: &rows.channels,
        };
        self.model.train(&values, input, mode, tape)
    }

    /// A pass without a tape and without dropout.
    pub fn infer(&self, input: &ModelInput) -> Result<Encoded<D>, Error> {
        let values = NetworkValues {
            parameters: &self.parameters,
            rows: &self.gather_channels(input)?,
        };
        self.model.infer(&values, input)
    }

    /// See [`Model::augmentation`].
    pub fn augmentation(&self, training: &ModelInput) -> Result<Box<dyn Augmentation>, TrainError> {
        self.model.augmentation(training)
    }

    /// A pass of the model's own pre-training; `rows` are those of [`Self::gather`].
    pub fn train_own(
        &self,
        input: &ModelInput,
        rows: &UsedRows<D>,
        mode: Mode,
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError> {
        let values = NetworkValues {
            parameters: &self.parameters,
            rows: &rows.channels,
        };
        self.model.train_own(&values, input, mode, tape)
    }

    /// The same without a tape and without dropout.
    pub fn measure_own(&self, input: &ModelInput) -> Result<Vec<AuxiliaryLoss<D>>, TrainError> {
        let values = NetworkValues {
            parameters: &self.parameters,
            rows: &self.gather_channels(input)?,
        };
        self.model.measure_own(&values, input)
    }

    /// Parameters and tables with their rows, for an optimizer.
    pub fn parts<'a>(
        &'a mut self,
        rows: &'a UsedRows<D>,
    ) -> (
        &'a mut Parameters<D>,
        Vec<(&'a mut Table, &'a TableRows<D>)>,
    ) {
        let Tables {
            channels, heads, ..
        } = &mut self.tables;
        let channels = channels.iter_mut().zip(&rows.channels);
        let heads = heads.iter_mut().zip(&rows.heads);
        (&mut self.parameters, channels.chain(heads).collect())
    }

    /// Parameters and tables.
    pub fn parts_mut(&mut self) -> (&mut Parameters<D>, Vec<&mut Table>) {
        (&mut self.parameters, self.tables.iter_mut().collect())
    }

    pub fn tables(&self) -> Vec<&Table> {
        self.tables.iter().collect()
    }

    /// The rows of a training step have been gathered: see [`Table::release`].
    pub fn release(&mut self) -> Result<(), Error> {
        self.tables.iter_mut().try_for_each(Table::release)
    }

    /// Brings updates of tables that come late to their end, so that the weights are all that was learned.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.tables.iter_mut().try_for_each(Table::settle)
    }

    /// A copy of all weights.
    ///
    /// # Errors
    /// No room for that of a table.
    pub fn snapshot(&self) -> Result<Weights, Error> {
        let tables = self.tables.iter().map(Table::snapshot);
        Ok(Weights {
            parameters: self.parameters.snapshot(),
            tables: tables.collect::<Result<_, Error>>()?,
        })
    }

    /// Moves what [`Self::snapshot`] of this network gave towards the weights of now, by this share of the way:
    /// with 1/n at the n-th call it becomes their mean.
    pub fn move_snapshot(&self, weights: &mut Weights, share: f32) -> Result<(), Error> {
        let Weights { parameters, tables } = weights;
        self.parameters.move_snapshot(parameters, share);
        let tables = tables.iter_mut();
        tables
            .zip(self.tables.iter())
            .try_for_each(|(values, table)| table.move_snapshot(values, share))
    }

    /// Puts back what [`Self::snapshot`] of this network gave.
    pub fn restore(&mut self, weights: &Weights) -> Result<(), Error> {
        self.parameters.restore(&weights.parameters)?;
        for (table, values) in self.tables.iter_mut().zip(&weights.tables) {
            table.restore(values)?;
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
