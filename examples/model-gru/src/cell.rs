//! One recurrent layer: an operation that is composed of dfdx's, between those of `supermoe_nn`.

use std::sync::Arc;

use supermoe_nn::dfdx::tensor::{PutTape, SplitTape};
use supermoe_nn::dfdx::tensor_ops::{ReshapeTo, TryAdd, TryMul, TryStack, TrySub};
use supermoe_nn::layers::Linear;
use supermoe_nn::{Device, Error, Group, Matrix, Offsets, Parameters, Tape, matrix, ops};

/// r = sigmoid(W_r x + U_r h), z = sigmoid(W_z x + U_z h), n = tanh(W_n x + r * (U_n h)),
/// h' = (1 - z) * n + z * h, each product with a bias of its own.
pub struct Gru {
    /// W, for r, z and n.
    input: [Linear; 3],
    /// U, for r, z and n.
    hidden: [Linear; 3],
    width: usize,
}

impl Gru {
    /// Adds `{name}.input.*` and `{name}.hidden.*`.
    pub fn new<D: Device>(
        parameters: &mut Parameters<D>,
        name: &str,
        width: usize,
    ) -> Result<Gru, Error> {
        let mut linear = |part: &str| {
            let name = format!("{name}.{part}");
            Linear::new(parameters, &name, Group::Encoder, width, width)
        };
        Ok(Gru {
            input: [
                linear("input.reset")?,
                linear("input.update")?,
                linear("input.new")?,
            ],
            hidden: [
                linear("hidden.reset")?,
                linear("hidden.update")?,
                linear("hidden.new")?,
            ],
            width,
        })
    }

    /// The state after each step, [N, d], for x [N, d]; each sequence begins with zeros.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        x: &Matrix<D>,
        offsets: &Offsets,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let [r, z, n] = &self.input;
        let from_input = [
            r.forward(parameters, x, tape)?,
            z.forward(parameters, x, tape)?,
            n.forward(parameters, x, tape)?,
        ];
        let (sequences, width) = (offsets.sequences(), self.width);
        let zeros = vec![0.0; sequences * width];
        let mut h = matrix(x.device(), zeros, sequences, width)?;
        let mut states = Vec::with_capacity(offsets.longest());
        for step in 0..offsets.longest() {
            // A sequence that has ended repeats its last step; nobody looks at its state then.
            let row = |rows: std::ops::Range<usize>| {
                rows.start.saturating_add(step).min(rows.end - 1) as u32
            };
            let rows: Arc<[u32]> = offsets.ranges().map(row).collect();
            h = self.step(parameters, &from_input, &rows, &h, tape)?;
            states.push(h.clone());
        }
        let states = stack(&states, tape)?;
        let place = |(sequence, rows): (usize, std::ops::Range<usize>)| {
            (0..rows.len()).map(move |step| (step * sequences + sequence) as u32)
        };
        let places: Arc<[u32]> = offsets.ranges().enumerate().flat_map(place).collect();
        ops::gather_rows(&states, &places, tape)
    }

    /// The next state, [B, d]; sequence i is at row `rows[i]` of `from_input`.
    fn step<D: Device, T: Tape<f32, D>>(
        &self,
        parameters: &Parameters<D>,
        from_input: &[Matrix<D>; 3],
        rows: &Arc<[u32]>,
        h: &Matrix<D>,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let mut own = Vec::with_capacity(6);
        for x in from_input {
            own.push(ops::gather_rows(x, rows, tape)?.enter(tape)?);
        }
        for linear in &self.hidden {
            own.push(linear.forward(parameters, h, tape)?.enter(tape)?);
        }
        let Ok([x_r, x_z, x_n, h_r, h_z, h_n]) = <[_; 6]>::try_from(own) else {
            unreachable!("three and three were pushed");
        };
        let h = h.enter(tape)?;
        // All is entered: from here on dfdx has the tape.
        let r = x_r
            .put_tape(std::mem::take(tape))
            .try_add(h_r)
            .and_then(|r| r.try_sigmoid());
        let n = r
            .and_then(|r| r.try_mul(h_n))
            .and_then(|n| n.try_add(x_n))
            .and_then(|n| n.try_tanh());
        let (n, rest) = n.map_err(Error::device)?.split_tape();
        let z = x_z
            .put_tape(rest)
            .try_add(h_z)
            .and_then(|z| z.try_sigmoid());
        let (z, rest) = z.map_err(Error::device)?.split_tape();
        let next = h
            .put_tape(rest)
            .try_sub(n.clone())
            .and_then(|change| change.try_mul(z))
            .and_then(|change| change.try_add(n));
        Matrix::leave(next.map_err(Error::device)?, tape)
    }
}

/// [T * B, d] from T matrices [B, d], one after the other.
fn stack<D: Device, T: Tape<f32, D>>(
    states: &[Matrix<D>],
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let mut entered = Vec::with_capacity(states.len());
    for state in states {
        entered.push(state.enter(tape)?);
    }
    let (rows, width) = states.first().map_or((0, 0), |first| *first.shape());
    let mut taped = Vec::with_capacity(entered.len());
    for (at, state) in entered.into_iter().enumerate() {
        let own = if at == 0 {
            std::mem::take(tape)
        } else {
            T::default()
        };
        taped.push(state.put_tape(own));
    }
    let all = taped
        .try_stack()
        .and_then(|all| all.try_reshape_like(&(states.len() * rows, width)));
    Matrix::leave(all.map_err(Error::device)?, tape)
}

#[cfg(test)]
mod tests {
    use supermoe_nn::{Cpu, NoneTape, OwnedTape, read, read_scalar};

    use super::*;

    const WIDTH: usize = 2;
    /// Two sequences, of three steps and of one.
    const X: [f32; 8] = [0.5, -1.0, 0.25, 2.0, -0.75, 0.5, 1.5, -0.25];

    fn layer() -> (Gru, Parameters<Cpu>, Offsets) {
        let mut parameters = Parameters::new(Cpu::default(), 3);
        let layer = Gru::new(&mut parameters, "gru.0", WIDTH).unwrap();
        (layer, parameters, Offsets::from_lengths(&[3, 1]).unwrap())
    }

    fn states(layer: &Gru, parameters: &Parameters<Cpu>, offsets: &Offsets, x: &[f32]) -> Vec<f32> {
        let x = matrix(parameters.device(), x.to_vec(), 4, WIDTH).unwrap();
        read(
            &layer
                .forward(parameters, &x, offsets, &mut NoneTape)
                .unwrap(),
        )
    }

    /// x W + b of the layer `gru.0.{part}`.
    fn linear(parameters: &Parameters<Cpu>, part: &str, x: &[f64]) -> Vec<f64> {
        let values = |of: &str| {
            let name = format!("gru.0.{part}.{of}");
            parameters.by_name(&name).unwrap().read()
        };
        let (weight, bias) = (values("weight"), values("bias"));
        let column = |j: usize| {
            let products = x.iter().enumerate();
            let sum: f64 = products
                .map(|(i, x)| x * f64::from(weight[i * WIDTH + j]))
                .sum();
            sum + f64::from(bias[j])
        };
        (0..WIDTH).map(column).collect()
    }

    #[test]
    fn states_are_those_of_the_formula() {
        let (layer, parameters, offsets) = layer();
        let found = states(&layer, &parameters, &offsets, &X);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for rows in offsets.ranges() {
            let mut h = vec![0.0; WIDTH];
            for row in rows {
                let x: Vec<f64> = X[row * WIDTH..][..WIDTH]
                    .iter()
                    .map(|&x| f64::from(x))
                    .collect();
                let gate = |name: &str| {
                    let x = linear(&parameters, &format!("input.{name}"), &x);
                    (x, linear(&parameters, &format!("hidden.{name}"), &h))
                };
                let (reset, update, new) = (gate("reset"), gate("update"), gate("new"));
                h = (0..WIDTH)
                    .map(|i| {
                        let r = sigmoid(reset.0[i] + reset.1[i]);
                        let z = sigmoid(update.0[i] + update.1[i]);
                        let n = (new.0[i] + r * new.1[i]).tanh();
                        (1.0 - z) * n + z * h[i]
                    })
                    .collect();
                for (i, expected) in h.iter().enumerate() {
                    let found = f64::from(found[row * WIDTH + i]);
                    assert!(
                        (found - expected).abs() < 1e-6,
                        "row {row}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (layer, parameters, offsets) = layer();
        let device = parameters.device().clone();
        let loss = |x: &[f32]| -> f64 {
            let states = states(&layer, &parameters, &offsets, x);
            // The mean over the four rows, summed over the columns.
            states.iter().map(|h| f64::from(*h).powi(2)).sum::<f64>() / 4.0
        };
        let x = matrix(&device, X.to_vec(), 4, WIDTH).unwrap();
        let mut tape = OwnedTape::default();
        let h = layer.forward(&parameters, &x, &offsets, &mut tape).unwrap();
        let losses = ops::mse(&h, &[0.0; 8], &mut tape).unwrap();
        let total = ops::weighted_sum(&losses, &[1.0; WIDTH], &mut tape).unwrap();
        assert!((f64::from(read_scalar(&total)) - loss(&X)).abs() < 1e-5);
        let mut gradients = ops::backward(total, tape).unwrap();
        let found = supermoe_nn::HostAccess::take_gradient(&mut gradients, &x).unwrap();
        for at in 0..X.len() {
            let moved = |by: f32| {
                let mut x = X;
                x[at] += by;
                loss(&x)
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let found = f64::from(found[at]);
            assert!((found - expected).abs() < 1e-3, "{at}: {found} {expected}");
        }
    }
}
