//! The tests of all operations: results against plain f64 code, gradients against central differences of
//! that code. Every device runs the same cases, and so do the composed references.

mod cases;
mod encoder;
mod layer_cases;
mod plain_layers;
mod references;
mod system_cases;
mod tests;

use crate::parameters::{Initial, Value};
use crate::{Cube, Device, Error, Group, Matrix, OwnedTape, Parameters, Scalar, Vector, ops};

/// Which implementation a case runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    /// The device's own.
    Device,
    /// The reference composed of dfdx operations.
    Composed,
}

/// Random inputs of a case.
pub(crate) struct Inputs<D: Device>(Parameters<D>);

impl<D: Device> Inputs<D> {
    pub(crate) fn device(&self) -> &D {
        self.0.device()
    }
    fn value(&self, index: usize) -> &Value<D> {
        &self
            .0
            .iter()
            .nth(index)
            .expect("a case uses the inputs it names")
            .value
    }
    pub(crate) fn vector(&self, index: usize) -> &Vector<D> {
        let Value::Vector(tensor) = self.value(index) else {
            panic!("input {index} is no vector")
        };
        tensor
    }
    pub(crate) fn matrix(&self, index: usize) -> &Matrix<D> {
        let Value::Matrix(tensor) = self.value(index) else {
            panic!("input {index} is no matrix")
        };
        tensor
    }
    pub(crate) fn cube(&self, index: usize) -> &Cube<D> {
        let Value::Cube(tensor) = self.value(index) else {
            panic!("input {index} is no cube")
        };
        tensor
    }
}

/// A result of a case.
pub(crate) enum Output<D: Device> {
    Matrix(Matrix<D>),
    Vector(Vector<D>),
    Scalar(Scalar<D>),
}

/// Fixed values that look random, for the slope of the loss to each output.
fn cotangent(index: usize, count: usize) -> Vec<f32> {
    Initial::Normal(1.0).values(count, 1000 + index as u64)
}

impl<D: Device> Output<D> {
    fn read(&self) -> Vec<f32> {
        match self {
            Output::Matrix(tensor) => D::read(tensor),
            Output::Vector(tensor) => D::read(tensor),
            Output::Scalar(tensor) => D::read(tensor),
        }
    }

    /// Sum of output times cotangent.
    fn contract(&self, index: usize, tape: &mut OwnedTape<f32, D>) -> Result<Scalar<D>, Error> {
        use dfdx::tensor_ops::ReshapeTo;
        let flat = match self {
            Output::Scalar(tensor) => {
                return ops::sum(tensor.device(), &[(tensor, cotangent(index, 1)[0])], tape);
            }
            Output::Vector(tensor) => tensor.clone(),
            Output::Matrix(tensor) => {
                let (rows, columns) = *tensor.shape();
                let flat = ops::taped(&tensor.enter(tape)?, tape)
                    .try_reshape_like(&(rows * columns,))
                    .map_err(Error::device)?;
                Vector::leave(flat, tape)?
            }
        };
        let weights = cotangent(index, flat.shape().0);
        ops::weighted_sum(&flat, &weights, tape)
    }
}

/// Runs a case on random inputs of the given shapes, and compares outputs and gradients with `reference`.
pub(crate) fn check<D: Device>(
    shapes: &[&[usize]],
    run: impl Fn(&Inputs<D>, &mut OwnedTape<f32, D>) -> Result<Vec<Output<D>>, Error>,
    reference: impl Fn(&[Vec<f64>]) -> Vec<Vec<f64>>,
) {
    let mut parameters = Parameters::new(D::default(), 5);
    for (i, shape) in shapes.iter().enumerate() {
        let (name, initial) = (format!("input {i}"), Initial::Normal(1.0));
        match **shape {
            [a] => drop(parameters.add(name, Group::Encoder, (a,), initial).unwrap()),
            [a, b] => drop(
                parameters
                    .add(name, Group::Encoder, (a, b), initial)
                    .unwrap(),
            ),
            [a, b, c] => drop(
                parameters
                    .add(name, Group::Encoder, (a, b, c), initial)
                    .unwrap(),
            ),
            _ => panic!("inputs have one to three sizes"),
        }
    }
    let inputs = Inputs(parameters);
    let mut tape = OwnedTape::default();
    let outputs = run(&inputs, &mut tape).unwrap();
    let values: Vec<Vec<f32>> = outputs.iter().map(Output::read).collect();
    let device = inputs.device().clone();
    let terms: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(i, output)| output.contract(i, &mut tape).unwrap())
        .collect();
    let terms: Vec<_> = terms.iter().map(|term| (term, 1.0)).collect();
    let loss = ops::sum(&device, &terms, &mut tape).unwrap();
    drop(outputs);
    let mut gradients = ops::backward(loss, tape).unwrap();
    let found: Vec<Vec<f32>> = inputs
        .0
        .iter()
        .map(|p| p.take_gradient(&mut gradients).unwrap().to_vec())
        .collect();
    let plain: Vec<Vec<f64>> = inputs
        .0
        .iter()
        .map(|p| p.read().into_iter().map(f64::from).collect())
        .collect();
    compare(&values, &found, &plain, &reference);
}

/// Outputs and gradients in f32 against plain code in f64.
pub(crate) fn compare(
    outputs: &[Vec<f32>],
    gradients: &[Vec<f32>],
    inputs: &[Vec<f64>],
    reference: &impl Fn(&[Vec<f64>]) -> Vec<Vec<f64>>,
) {
    let expected = reference(inputs);
    assert_eq!(expected.len(), outputs.len(), "number of outputs");
    for (i, (found, expected)) in outputs.iter().zip(&expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "size of output {i}");
        for (j, (&found, expected)) in found.iter().zip(expected).enumerate() {
            let difference = (f64::from(found) - expected).abs();
            assert!(
                difference <= 2e-5 * (1.0 + expected.abs()),
                "output {i}[{j}] is {found}, not {expected}"
            );
        }
    }
    let loss = |inputs: &[Vec<f64>]| -> f64 {
        let products = reference(inputs)
            .into_iter()
            .enumerate()
            .map(|(i, output)| {
                let cotangent = cotangent(i, output.len());
                output
                    .iter()
                    .zip(cotangent)
                    .map(|(y, c)| y * f64::from(c))
                    .sum::<f64>()
            });
        products.sum()
    };
    const STEP: f64 = 1e-5;
    const PLACES: usize = 40; // places checked of each input
    let mut moved = inputs.to_vec();
    for (i, input) in inputs.iter().enumerate() {
        let places = input.len().min(PLACES);
        let largest = gradients[i]
            .iter()
            .fold(1.0f64, |a, &g| a.max(f64::from(g).abs()));
        for place in 0..places {
            let j = place * input.len() / places;
            moved[i][j] = input[j] + STEP;
            let up = loss(&moved);
            moved[i][j] = input[j] - STEP;
            let down = loss(&moved);
            moved[i][j] = input[j];
            let (found, expected) = (f64::from(gradients[i][j]), (up - down) / (2.0 * STEP));
            let difference = (found - expected).abs();
            assert!(
                difference <= 1e-4 * largest,
                "gradient of input {i}[{j}] is {found}, not {expected}"
            );
        }
    }
}
