//! Layer normalisation with learned scale and shift.

use crate::ops::{Activation, Normalized};
use crate::parameters::{Initial, VectorHandle};
use crate::{Device, Error, Group, Matrix, Parameters, Tape, ops};

/// See [`ops::layer_norm`]; scale begins at 1, shift at 0.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    scale: VectorHandle,
    shift: VectorHandle,
}

impl LayerNorm {
    /// Adds `{name}.scale` and `{name}.shift`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        group: Group,
        width: usize,
    ) -> Result<Self, Error> {
        let scale = parameters.add(
            format!("{name}.scale"),
            group,
            (width,),
            Initial::Constant(1.0),
        )?;
        let shift = parameters.add(
            format!("{name}.shift"),
            group,
            (width,),
            Initial::Constant(0.0),
        )?;
        Ok(Self { scale, shift })
    }

    /// Normalises x + residual, [N, width].
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        residual: Option<&Matrix<D>>,
        activation: Activation,
        tape: &mut T,
    ) -> Result<Normalized<D>, Error> {
        ops::layer_norm(
            x,
            residual,
            parameters.get(self.scale),
            parameters.get(self.shift),
            activation,
            tape,
        )
    }
}
