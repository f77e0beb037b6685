//! Adam (Kingma and Ba 2015) over a handful of numbers on the host: what methods move by their own
//! gradients.

use super::state::State;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
/// Far below any gradient that is no rounding error: steps do not depend on the gradients' scale.
const EPSILON: f64 = 1e-30;

/// Moments of each number, which counts its own steps: one without a gradient rests.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    learning_rate: f64,
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: Vec<f64>,
}

impl Adam {
    pub fn new(numbers: usize, learning_rate: f64) -> Adam {
        Adam {
            learning_rate,
            mean: vec![0.0; numbers],
            square: vec![0.0; numbers],
            steps: vec![0.0; numbers],
        }
    }

    /// By how much to move a number whose gradient this is.
    pub fn step(&mut self, number: usize, gradient: f64) -> f64 {
        let (mean, square) = (&mut self.mean[number], &mut self.square[number]);
        let steps = &mut self.steps[number];
        *steps += 1.0;
        *mean += (1.0 - BETA1) * (gradient - *mean);
        *square += (1.0 - BETA2) * (gradient * gradient - *square);
        let mean = *mean / (1.0 - BETA1.powf(*steps));
        let deviation = (*square / (1.0 - BETA2.powf(*steps))).sqrt();
        -self.learning_rate * mean / (deviation + EPSILON)
    }

    pub fn save(&self, state: &mut State) {
        state.put("adam/mean", &self.mean);
        state.put("adam/square", &self.square);
        state.put("adam/steps", &self.steps);
    }

    pub fn load(&mut self, state: &State) -> Result<(), String> {
        state.take("adam/mean", &mut self.mean)?;
        state.take("adam/square", &mut self.square)?;
        state.take("adam/steps", &mut self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_by_hand() {
        let mut adam = Adam::new(2, 0.1);
        // Bias correction makes the first step the rate against the sign, at any scale.
        assert!((adam.step(0, 3e-9) + 0.1).abs() < 1e-12);
        // mean = (0.9 * 0.1 * 3 - 0.1) / 0.19, square = (0.999 * 9 + 1) / 1.999, in units of 1e-9.
        let mean = (0.27 - 0.1) / 0.19;
        let deviation = ((0.999 * 9.0 + 1.0) / 1.999f64).sqrt();
        assert!((adam.step(0, -1e-9) + 0.1 * mean / deviation).abs() < 1e-9);
        // The other number has had no step.
        assert!((adam.step(1, -5.0) - 0.1).abs() < 1e-12);
        assert_eq!(adam.step(1, 0.0).signum(), 1.0);
    }
}
