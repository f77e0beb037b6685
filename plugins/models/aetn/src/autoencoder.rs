//! The denoising autoencoder of aggregates, and what tells them from other vectors of users.

use supermoe_nn::layers::{Linear, Mlp, Mode, drop_out};
use supermoe_nn::{Device, Error, Group, Matrix, Parameters, Scalar, Tape, matrix, ops};

use crate::aggregate::{AggregateLayout, Aggregates};

/// The place of the noise among those that draw in a step.
const NOISE: u64 = 1 << 33;

/// From an aggregate to its code.
pub struct AggregateEncoder {
    layers: Mlp,
    noise: f32,
}

impl AggregateEncoder {
    /// Adds `autoencoder.encoder.*`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        layout: &AggregateLayout,
        inner: usize,
        width: usize,
        noise: f32,
    ) -> Result<AggregateEncoder, Error> {
        let widths = [layout.bag() + layout.numbers(), inner, width];
        let name = "autoencoder.encoder";
        Ok(AggregateEncoder {
            layers: Mlp::new(parameters, name, Group::Encoder, &widths)?,
            noise,
        })
    }

    /// The codes of corrupted aggregates. [B, width]
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        layout: &AggregateLayout,
        aggregates: &Aggregates,
        samples: usize,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let device = parameters.device();
        let bag = matrix(device, aggregates.bag.clone(), samples, layout.bag())?;
        let numbers = aggregates.numbers.clone();
        let numbers = matrix(device, numbers, samples, layout.numbers())?;
        let whole = [&bag, &numbers];
        let parts: Vec<&Matrix<D>> = whole
            .into_iter()
            .zip([layout.bag(), layout.numbers()])
            .filter_map(|(part, width)| (width > 0).then_some(part))
            .collect();
        let x = ops::join_columns(&parts, tape)?;
        let x = drop_out(x, self.noise, mode.at(NOISE), tape)?;
        self.layers.forward(parameters, &x, tape)
    }
}

/// From a vector of a user to the aggregate.
pub struct AggregateDecoder {
    inner: Mlp,
    /// Absent where there are no codes.
    bag: Option<Linear>,
    /// Absent where there are no numbers.
    numbers: Option<Linear>,
}

impl AggregateDecoder {
    /// Adds `{name}.inner`, `{name}.bag` and `{name}.numbers`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        layout: &AggregateLayout,
        inner: usize,
        width: usize,
    ) -> Result<AggregateDecoder, Error> {
        let group = Group::Encoder;
        let hidden = Mlp::new(parameters, &format!("{name}.inner"), group, &[width, inner])?;
        let mut output = |part: &str, outputs: usize| {
            let name = format!("{name}.{part}");
            (outputs > 0)
                .then(|| Linear::new(parameters, &name, group, inner, outputs))
                .transpose()
        };
        Ok(AggregateDecoder {
            inner: hidden,
            bag: output("bag", layout.bag())?,
            numbers: output("numbers", layout.numbers())?,
        })
    }

    /// How well `x` [B, width] tells whole aggregates: the mean over all places of the cross-entropy of a
    /// code that occurs or does not, and of the squared error of a number.
    pub fn loss<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        aggregates: &Aggregates,
        layout: &AggregateLayout,
        tape: &mut T,
    ) -> Result<Scalar<D>, Error> {
        let share = 1.0 / (layout.bag() + layout.numbers()) as f32;
        let hidden = self.inner.forward(parameters, x, tape)?;
        let mut losses = Vec::new();
        if let Some(bag) = &self.bag {
            let logits = bag.forward(parameters, &hidden, tape)?;
            let by_place = ops::bce_with_logits(&logits, &aggregates.bag, tape)?;
            losses.push(ops::weighted_sum(
                &by_place,
                &vec![share; layout.bag()],
                tape,
            )?);
        }
        if let Some(numbers) = &self.numbers {
            let told = numbers.forward(parameters, &hidden, tape)?;
            let by_place = ops::mse(&told, &aggregates.numbers, tape)?;
            losses.push(ops::weighted_sum(
                &by_place,
                &vec![share; layout.numbers()],
                tape,
            )?);
        }
        let terms: Vec<_> = losses.iter().map(|loss| (loss, 1.0)).collect();
        ops::sum(parameters.device(), &terms, tape)
    }
}
