//! A linear model with an L2 penalty, fitted to its minimum: logistic for two classes, softmax for
//! several, least squares for numbers.
//!
//! Minimised is (sum of losses + l2 / 2 * |weights|²) / rows, the intercepts not penalised (scikit-
//! learn's LogisticRegression with C = 1 / l2), by L-BFGS (Nocedal and Wright, algorithm 7.4) whose
//! first matrix is a bound of the Hessian, factored once. Sums over rows run by blocks of a fixed size,
//! so that the bits do not depend on the number of threads.

use std::collections::VecDeque;

use rayon::prelude::*;

use crate::cholesky::Cholesky;

/// Rows of a block whose sums are taken by one thread.
const BLOCK: usize = 512;
/// Pairs of steps that the approximation remembers.
const MEMORY: usize = 10;
const MOST_STEPS: usize = 500;
/// The largest entry of the gradient at which the minimum counts as found.
const TOLERANCE: f64 = 1e-9;

/// What stands for the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// One output; targets 0 or 1.
    Logistic,
    /// An output a class; targets are class numbers.
    Softmax { classes: usize },
    /// One output; half the squared error.
    Squares,
}

impl Loss {
    fn outputs(self) -> usize {
        match self {
            Loss::Softmax { classes } => classes,
            Loss::Logistic | Loss::Squares => 1,
        }
    }

    /// The largest second derivative by an output.
    fn curvature(self) -> f64 {
        match self {
            Loss::Logistic => 0.25,
            Loss::Softmax { .. } => 0.5,
            Loss::Squares => 1.0,
        }
    }
}

/// A fitted probe.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearProbe {
    loss: Loss,
    width: usize,
    /// Row-major [outputs, width + 1], the intercept last.
    weights: Vec<f64>,
    /// False where the steps ran out; what was reached is then used.
    pub converged: bool,
}

impl LinearProbe {
    /// `features` is row-major [targets, width], best of mean 0 and deviation 1; at least one row;
    /// `l2` is more than 0.
    pub fn fit(
        features: &[f64],
        targets: &[f64],
        width: usize,
        loss: Loss,
        l2: f64,
    ) -> LinearProbe {
        let problem = Problem {
            features,
            targets,
            width,
            loss,
            l2,
        };
        let mut weights = vec![0.0; loss.outputs() * (width + 1)];
        let converged = problem.minimise(&mut weights);
        LinearProbe {
            loss,
            width,
            weights,
            converged,
        }
    }

    /// Of one row: probabilities by class, of label 1, or the number.
    pub fn predict(&self, features: &[f64]) -> Vec<f64> {
        let mut outputs = linear(&self.weights, features, self.width);
        match self.loss {
            Loss::Squares => {}
            Loss::Logistic => outputs[0] = sigmoid(outputs[0]),
            Loss::Softmax { .. } => {
                softmax(&mut outputs);
            }
        }
        outputs
    }
}

struct Problem<'a> {
    features: &'a [f64],
    targets: &'a [f64],
    width: usize,
    loss: Loss,
    l2: f64,
}

/// The objective and its gradient at some weights.
struct Point {
    value: f64,
    gradient: Vec<f64>,
}

/// A step and the change of the gradient along it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    inverse_product: f64,
}

impl Problem<'_> {
    fn rows(&self) -> f64 {
        self.targets.len() as f64
    }

    fn minimise(&self, weights: &mut [f64]) -> bool {
        let first_matrix = self.bound_of_hessian();
        let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
        let mut point = self.at(weights);
        for _ in 0..MOST_STEPS {
            if point.gradient.iter().all(|entry| entry.abs() <= TOLERANCE) {
                return true;
            }
            let direction = self.direction(&point.gradient, &pairs, &first_matrix);
            let Some((scale, next)) = self.search(weights, &point, &direction) else {
                // No step lowers the value: it is as low as its rounding lets it be.
                return true;
            };
            let step: Vec<f64> = direction.iter().map(|entry| scale * entry).collect();
            weights.iter_mut().zip(&step).for_each(|(w, s)| *w += s);
            let change: Vec<f64> = next
                .gradient
                .iter()
                .zip(&point.gradient)
                .map(|(new, old)| new - old)
                .collect();
            let product = dot(&step, &change);
            if product > 0.0 {
                if pairs.len() == MEMORY {
                    pairs.pop_front();
                }
                pairs.push_back(Pair {
                    step,
                    change,
                    inverse_product: 1.0 / product,
                });
            }
            point = next;
        }
        false
    }

    /// By the two loops of L-BFGS.
    fn direction(&self, gradient: &[f64], pairs: &VecDeque<Pair>, first: &Cholesky) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
        let mut factors = Vec::with_capacity(pairs.len());
        for pair in pairs.iter().rev() {
            let factor = pair.inverse_product * dot(&pair.step, &direction);
            add(&mut direction, -factor, &pair.change);
            factors.push(factor);
        }
        for output in direction.chunks_exact_mut(self.width + 1) {
            first.solve(output);
        }
        for (pair, factor) in pairs.iter().zip(factors.into_iter().rev()) {
            let back = pair.inverse_product * dot(&pair.change, &direction);
            add(&mut direction, factor - back, &pair.step);
        }
        direction
    }

    /// A step along the direction that lowers the value enough (Armijo), the full one first.
    fn search(&self, weights: &[f64], from: &Point, direction: &[f64]) -> Option<(f64, Point)> {
        let slope = dot(&from.gradient, direction);
        let mut scale = 1.0;
        for _ in 0..40 {
            let mut moved = weights.to_vec();
            add(&mut moved, scale, direction);
            let point = self.at(&moved);
            if point.value < from.value && point.value <= from.value + 1e-4 * scale * slope {
                return Some((scale, point));
            }
            scale *= 0.5;
        }
        None
    }

    fn at(&self, weights: &[f64]) -> Point {
        let (width, outputs) = (self.width, self.loss.outputs());
        let blocks: Vec<Point> = self
            .targets
            .par_chunks(BLOCK)
            .zip(self.features.par_chunks(BLOCK * width))
            .map(|(targets, features)| {
                let mut sum = Point {
                    value: 0.0,
                    gradient: vec![0.0; weights.len()],
                };
                for (target, row) in targets.iter().zip(features.chunks_exact(width)) {
                    let mut residuals = linear(weights, row, width);
                    sum.value += self.loss_and_residuals(*target, &mut residuals);
                    for (output, residual) in residuals.into_iter().enumerate() {
                        let gradient = &mut sum.gradient[output * (width + 1)..][..=width];
                        add(&mut gradient[..width], residual, row);
                        gradient[width] += residual;
                    }
                }
                sum
            })
            .collect();
        let mut whole = Point {
            value: 0.0,
            gradient: vec![0.0; weights.len()],
        };
        for block in blocks {
            whole.value += block.value;
            add(&mut whole.gradient, 1.0, &block.gradient);
        }
        for output in 0..outputs {
            let of_output = output * (width + 1)..output * (width + 1) + width;
            let penalised = &weights[of_output.clone()];
            whole.value += self.l2 / 2.0 * dot(penalised, penalised);
            add(&mut whole.gradient[of_output], self.l2, penalised);
        }
        whole.value /= self.rows();
        let rows = self.rows();
        whole.gradient.iter_mut().for_each(|entry| *entry /= rows);
        whole
    }

    /// Outputs become the loss's derivatives by them.
    fn loss_and_residuals(&self, target: f64, outputs: &mut [f64]) -> f64 {
        match self.loss {
            Loss::Logistic => {
                let output = outputs[0];
                outputs[0] = sigmoid(output) - target;
                // ln(1 + e^x) - target x, without overflow.
                output.max(0.0) - target * output + (-output.abs()).exp().ln_1p()
            }
            Loss::Softmax { .. } => {
                let class = target as usize;
                let true_output = outputs[class];
                let log_sum = softmax(outputs);
                outputs[class] -= 1.0;
                log_sum - true_output
            }
            Loss::Squares => {
                outputs[0] -= target;
                outputs[0] * outputs[0] / 2.0
            }
        }
    }

    /// (curvature XᵀX + l2 I) / rows, X with a column of ones.
    fn bound_of_hessian(&self) -> Cholesky {
        let size = self.width + 1;
        let blocks: Vec<Vec<f64>> = self
            .features
            .par_chunks(BLOCK * self.width)
            .map(|features| {
                let mut products = vec![0.0; size * size];
                for row in features.chunks_exact(self.width) {
                    for (i, x) in row.iter().chain([&1.0]).enumerate() {
                        let lower = &mut products[i * size..];
                        lower
                            .iter_mut()
                            .zip(&row[..i.min(self.width)])
                            .for_each(|(p, y)| *p += x * y);
                        lower[i] += x * x;
                    }
                }
                products
            })
            .collect();
        let mut matrix = vec![0.0; size * size];
        for block in blocks {
            add(&mut matrix, 1.0, &block);
        }
        let (curvature, rows) = (self.loss.curvature(), self.rows());
        for (i, row) in matrix.chunks_exact_mut(size).enumerate() {
            row.iter_mut().for_each(|entry| *entry *= curvature / rows);
            row[i] += self.l2 / rows;
        }
        Cholesky::of(matrix, size)
    }
}

/// [outputs]
fn linear(weights: &[f64], row: &[f64], width: usize) -> Vec<f64> {
    weights
        .chunks_exact(width + 1)
        .map(|output| dot(&output[..width], row) + output[width])
        .collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Turns outputs into probabilities; the logarithm of the sum of their exponentials.
fn softmax(outputs: &mut [f64]) -> f64 {
    let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for output in outputs.iter_mut() {
        *output = (*output - largest).exp();
        sum += *output;
    }
    outputs.iter_mut().for_each(|output| *output /= sum);
    largest + sum.ln()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut()
        .zip(values)
        .for_each(|(x, y)| *x += factor * y);
}

#[cfg(test)]
mod tests;
