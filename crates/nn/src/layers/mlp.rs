//! Linear layers with a ReLU after each.

use super::Linear;
use crate::{Device, Error, Group, Matrix, Parameters, Tape, ops};

/// relu(... relu(x W_0 + b_0) ... W_n + b_n).
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// Adds `{name}.{i}.weight` and `{name}.{i}.bias` for each pair of neighbours in `widths`, which begin
    /// with the width of the input.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        group: Group,
        widths: &[usize],
    ) -> Result<Self, Error> {
        let pairs = widths.windows(2).enumerate();
        let layers = pairs.map(|(i, pair)| {
            Linear::new(parameters, &format!("{name}.{i}"), group, pair[0], pair[1])
        });
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// [N, first width] to [N, last width].
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let mut x = x.clone();
        for layer in &self.layers {
            let y = layer.forward(parameters, &x, tape)?;
            x = ops::relu(&y, tape)?;
        }
        Ok(x)
    }
}
