//! A gate over the results of all experts (Ma et al. 2018).

use crate::parameters::{Initial, MatrixHandle};
use crate::{Device, Error, Group, Matrix, Parameters, Tape, ops};

/// The sum of experts' results, weighted by softmax(x W), W [inputs, experts].
#[derive(Clone, Debug)]
pub struct SoftmaxGate {
    weight: MatrixHandle,
}

impl SoftmaxGate {
    /// Adds `{name}.weight`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        group: Group,
        inputs: usize,
        experts: usize,
    ) -> Result<Self, Error> {
        let (name, initial) = (format!("{name}.weight"), Initial::linear(inputs));
        let weight = parameters.add(name, group, (inputs, experts), initial)?;
        Ok(Self { weight })
    }

    /// For x [N, inputs] and the result of each expert [N, d]: [N, d].
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        experts: &[&Matrix<D>],
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let logits = ops::linear(x, parameters.get(self.weight), None, tape)?;
        ops::gated_sum(&logits, experts, tape)
    }
}
