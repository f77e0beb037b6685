//! A network as a step of gradient descent would leave it, for a moment.

use supermoe_nn::optim::{HostGradients, LearningRates};
use supermoe_nn::{Device, Group, TableRows, matrix, read};

use crate::error::TrainError;
use crate::network::{Network, UsedRows};

/// The step: what is shared moves by its learning rate against the gradients.
pub struct LookAhead<'a, D: Device> {
    gradients: &'a HostGradients,
    rates: LearningRates,
    /// Rows of tables that the gradients are of.
    used: &'a UsedRows<D>,
}

impl<'a, D: Device> LookAhead<'a, D> {
    pub fn new(
        used: &'a UsedRows<D>,
        gradients: &'a HostGradients,
        rates: &LearningRates,
    ) -> LookAhead<'a, D> {
        LookAhead {
            gradients,
            rates: LearningRates {
                towers: None,
                ..*rates
            },
            used,
        }
    }

    /// The rate of each group in the step; towers have none.
    pub fn rates(&self) -> LearningRates {
        self.rates
    }

    /// Calls `visit` with parameters after the step, and puts them back as they were. Rows of id tables
    /// stay where they are: see [`Self::moved`].
    pub fn visit<R>(
        &self,
        network: &mut Network<D>,
        visit: impl FnOnce(&Network<D>) -> Result<R, TrainError>,
    ) -> Result<R, TrainError> {
        let before = self.step(network)?;
        let found = visit(network);
        for (name, values) in before {
            network.parts_mut().0.set(&name, &values)?;
        }
        found
    }

    /// Moves the parameters that learn, and gives back what they were.
    fn step(&self, network: &mut Network<D>) -> Result<Vec<(String, Vec<f32>)>, TrainError> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let parameters = network.parameters().iter();
        for (parameter, gradient) in parameters.zip(self.gradients.parameters()) {
            let (Some(rate), Some(gradient)) = (self.rates.of(parameter.group()), gradient) else {
                continue;
            };
            let mut values = parameter.read();
            before.push((parameter.name().to_owned(), values.clone()));
            descend(&mut values, gradient, rate);
            after.push(values);
        }
        for ((name, _), values) in before.iter().zip(after) {
            network.parts_mut().0.set(name, &values)?;
        }
        Ok(before)
    }

    /// Rows of the channels' tables as the step would leave them: those among them that it uses move.
    pub fn moved(
        &self,
        device: &D,
        gathered: Vec<TableRows<D>>,
    ) -> Result<Vec<TableRows<D>>, TrainError> {
        let Some(rate) = self.rates.of(Group::Tables) else {
            return Ok(gathered);
        };
        let tables = gathered
            .into_iter()
            .zip(&self.used.channels)
            .zip(self.gradients.rows());
        let moved = tables.map(|((gathered, used), gradient)| {
            let mut values = read(&gathered.leaf);
            let Some(width) = values.len().checked_div(gathered.rows.len()) else {
                return Ok(gathered);
            };
            for (row, values) in gathered
                .rows
                .iter()
                .zip(values.chunks_exact_mut(width.max(1)))
            {
                if let (Some(gradient), Ok(place)) = (gradient, used.rows.binary_search(row)) {
                    descend(values, &gradient[place * width..][..width], rate);
                }
            }
            let leaf = matrix(device, values, gathered.rows.len(), width)?;
            Ok(TableRows { leaf, ..gathered })
        });
        moved.collect()
    }
}

fn descend(values: &mut [f32], gradient: &[f32], rate: f32) {
    for (value, gradient) in values.iter_mut().zip(gradient) {
        *value -= rate * gradient;
    }
}
