//! Weights by learned uncertainties (Kendall, Gal and Cipolla 2018): with s_k the log-variance of task
//! k, the loss is sum_k c_k exp(-s_k) l_k + s_k / 2, where c_k is 1 for a cross-entropy (their eq. 10)
//! and 1/2 for a squared error (eq. 7). Huber's loss has its 1/2 already.

use supermoe_nn::parameters::{Initial, VectorHandle};
use supermoe_nn::{Device, Group, OwnedTape, ops, read};

use super::descent::Term;
use crate::error::TrainError;
use crate::network::{Network, NetworkBuilder};

/// What a loss is the negative log-likelihood of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likelihood {
    /// Of classes: a cross-entropy. Huber's loss, e^2 / 2 near 0, counts as one too.
    Classes,
    /// Of numbers: e^2.
    Numbers,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Uncertainty {
    /// s: a parameter, so that the optimizer moves it, and model and checkpoint hold it. `[K]`
    log_variances: VectorHandle,
    /// c. `[K]`
    scales: Vec<f32>,
}

impl Uncertainty {
    /// Adds the parameter `weighting.log_variances`, zeros, of the group of the towers.
    pub fn new<D: Device>(
        likelihoods: &[Likelihood],
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Uncertainty, TrainError> {
        let log_variances = builder.parameters.add(
            "weighting.log_variances",
            Group::Towers,
            (likelihoods.len(),),
            Initial::Constant(0.0),
        )?;
        let scale = |of: &Likelihood| match of {
            Likelihood::Classes => 1.0,
            Likelihood::Numbers => 0.5,
        };
        Ok(Uncertainty {
            log_variances,
            scales: likelihoods.iter().map(scale).collect(),
        })
    }

    /// c exp(-s). `[K]`
    pub fn lambda<D: Device>(&self, network: &Network<D>) -> Vec<f64> {
        let log_variances = read(network.parameters().get(self.log_variances));
        let scales = self.scales.iter().zip(log_variances);
        scales
            .map(|(scale, s)| f64::from(*scale) * f64::from(-s).exp())
            .collect()
    }

    /// `unit` times the sum of s_k / 2 over the tasks of a batch, whose carrier has the gradient of the
    /// whole loss to s: `unit` (1/2 - lambda_k l_k). A task that is absent adds nothing.
    pub fn term<D: Device>(
        &self,
        network: &Network<D>,
        unit: f32,
        losses: &[(usize, f32)],
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Term<D>, TrainError> {
        let parameter = network.parameters().get(self.log_variances);
        let log_variances = read(parameter);
        let lambda = self.lambda(network);
        let (mut value, mut slopes) = (0.0, vec![0.0; log_variances.len()]);
        for &(task, loss) in losses {
            value += unit * 0.5 * log_variances[task];
            slopes[task] = unit * (0.5 - lambda[task] * f64::from(loss)) as f32;
        }
        Ok(Term {
            carrier: ops::weighted_sum(parameter, &slopes, tape)?,
            value,
        })
    }
}
