//! AdamW (Loshchilov and Hutter 2019) over all parameters, with clipping by the global norm and one
//! learning rate for each group; id tables take part with their row optimizer.

use std::collections::BTreeMap;

use dfdx::tensor::Gradients;

use super::HostGradients;
use crate::ops::vectors::vectorized;
use crate::tables::RowRate;
use crate::threads::OnThreads;
use crate::{Device, Error, Group, Parameters, Table, TableRows};

/// Constants of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f32,
    /// Decay of the mean of squared gradients.
    pub beta2: f32,
    /// Added to the root of the squares.
    pub epsilon: f32,
    /// Decoupled weight decay, times the learning rate. Id tables have none.
    pub weight_decay: f32,
    /// Gradients are scaled down to this global norm; `None` = never.
    pub clip_norm: Option<f32>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            clip_norm: Some(1.0),
        }
    }
}

/// The learning rate of each group in this step; `None` = frozen: nothing of it changes, not even moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRates {
    /// Of [`Group::Encoder`].
    pub encoder: Option<f32>,
    /// Of [`Group::Towers`], their tables too.
    pub towers: Option<f32>,
    /// Of [`Group::Tables`]: tables of categories, and id tables.
    pub tables: Option<f32>,
}

impl LearningRates {
    /// One rate for all.
    pub fn all(rate: f32) -> Self {
        Self {
            encoder: Some(rate),
            towers: Some(rate),
            tables: Some(rate),
        }
    }

    /// The rate of a group.
    pub fn of(&self, group: Group) -> Option<f32> {
        match group {
            Group::Encoder => self.encoder,
            Group::Towers => self.towers,
            Group::Tables => self.tables,
        }
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Norm of the gradients of all groups that are not frozen, before clipping.
    pub gradient_norm: f64,
    /// What the gradients were multiplied by, 1 without clipping.
    pub scale: f32,
}

/// Moments of one parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f32>,
    pub(crate) square: Vec<f32>,
    pub(crate) steps: u64,
}

/// The optimizer and its state, by parameter name.
pub struct AdamW {
    config: AdamWConfig,
    pub(crate) moments: BTreeMap<String, Moments>,
}

/// Values of one task.
const BLOCK: usize = 16_384;

impl AdamW {
    /// Without moments: the first step makes them.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            moments: BTreeMap::new(),
        }
    }

    /// One step: takes the gradients of all parameters and of the gathered rows of `tables` out of
    /// `gradients` and updates them. If the norm of the gradients is not finite it is an error, and
    /// nothing has changed.
    pub fn step<D: Device>(
        &mut self,
        parameters: &mut Parameters<D>,
        gradients: &mut Gradients<f32, D>,
        tables: &mut [(&mut Table, &TableRows<D>)],
        rates: &LearningRates,
    ) -> Result<Step, Error> {
        let used: Vec<_> = tables
            .iter()
            .map(|(table, rows)| (&**table, *rows))
            .collect();
        let gradients = HostGradients::take(parameters, &used, gradients, rates)?;
        self.apply(parameters, &gradients, tables, rates)
    }

    /// The same with gradients of these parameters and rows that are in host memory already.
    pub fn apply<D: Device>(
        &mut self,
        parameters: &mut Parameters<D>,
        gradients: &HostGradients,
        tables: &mut [(&mut Table, &TableRows<D>)],
        rates: &LearningRates,
    ) -> Result<Step, Error> {
        let gradient_norm = gradients.squares().sqrt();
        if !gradient_norm.is_finite() {
            return Err(Error::value(
                "optimizer",
                "norm of the gradients",
                "finite",
                gradient_norm,
            ));
        }
        let scale = match self.config.clip_norm {
            Some(limit) if gradient_norm > f64::from(limit) => {
                (f64::from(limit) / gradient_norm) as f32
            }
            _ => 1.0,
        };
        for (parameter, gradient) in parameters.iter_mut().zip(gradients.parameters()) {
            let (Some(rate), Some(gradient)) = (rates.of(parameter.group()), gradient) else {
                continue;
            };
            if !self.moments.contains_key(parameter.name()) {
                self.moments
                    .insert(parameter.name().to_owned(), Moments::default());
            }
            let Some(moments) = self.moments.get_mut(parameter.name()) else {
                continue;
            };
            let config = self.config;
            parameter.update(|values| moments.update(values, gradient, scale, rate, &config));
        }
        for ((table, rows), gradient) in tables.iter_mut().zip(gradients.rows()) {
            let (Some(learning_rate), Some(gradient)) = (rates.of(table.group()), gradient) else {
                continue;
            };
            let rate = RowRate {
                learning_rate,
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                epsilon: self.config.epsilon,
            };
            table.update(&rows.rows, gradient, scale, &rate)?;
        }
        Ok(Step {
            gradient_norm,
            scale,
        })
    }
}

impl Moments {
    fn update(
        &mut self,
        values: &mut [f32],
        gradient: &[f32],
        scale: f32,
        rate: f32,
        config: &AdamWConfig,
    ) {
        self.mean.resize(values.len(), 0.0);
        self.square.resize(values.len(), 0.0);
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let first = 1.0 / (1.0 - f64::from(config.beta1).powi(steps));
        let second = 1.0 / (1.0 - f64::from(config.beta2).powi(steps));
        let step = (f64::from(rate) * first) as f32;
        let second = second as f32;
        let factors = Factors {
            scale,
            take1: 1.0 - config.beta1,
            take2: 1.0 - config.beta2,
            keep: 1.0 - rate * config.weight_decay,
            step,
            second,
            epsilon: config.epsilon,
        };
        values
            .chunks_mut(BLOCK)
            .zip(self.mean.chunks_mut(BLOCK))
            .zip(self.square.chunks_mut(BLOCK))
            .zip(gradient.chunks(BLOCK))
            .for_each_on_threads(|(((values, mean), square), gradient)| {
                update_block(values, mean, square, gradient, factors);
            });
    }
}

/// What a step of AdamW multiplies by.
#[derive(Clone, Copy)]
struct Factors {
    scale: f32,
    take1: f32,
    take2: f32,
    keep: f32,
    step: f32,
    second: f32,
    epsilon: f32,
}

vectorized! {
    fn update_block(
        values: &mut [f32],
        mean: &mut [f32],
        square: &mut [f32],
        gradient: &[f32],
        f: Factors,
    ) {
        for (((value, m), v), g) in values.iter_mut().zip(mean).zip(square).zip(gradient) {
            let g = g * f.scale;
            *m += f.take1 * (g - *m);
            *v += f.take2 * (g * g - *v);
            *value = *value * f.keep - f.step * *m / ((*v * f.second).sqrt() + f.epsilon);
        }
    }
}
