//! A linear layer.

use crate::parameters::{Initial, MatrixHandle, VectorHandle};
use crate::{Device, Error, Group, Matrix, Parameters, Tape, ops};

/// x W + b with W [inputs, outputs], b `[outputs]`, both uniform in +-1 / sqrt(inputs) at first.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: MatrixHandle,
    bias: VectorHandle,
}

impl Linear {
    /// Adds `{name}.weight` and `{name}.bias`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        group: Group,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, Error> {
        let initial = Initial::linear(inputs);
        let weight = parameters.add(format!("{name}.weight"), group, (inputs, outputs), initial)?;
        let bias = parameters.add(format!("{name}.bias"), group, (outputs,), initial)?;
        Ok(Self { weight, bias })
    }

    /// [N, inputs] to [N, outputs].
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        ops::linear(
            x,
            parameters.get(self.weight),
            Some(parameters.get(self.bias)),
            tape,
        )
    }
}
