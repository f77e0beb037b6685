//! GradNorm (Chen et al. 2018): weights under which the tasks' gradients have like norms, larger for
//! tasks that learn more slowly than the others.
//!
//! With n_k the norm of the gradient of task k, G_k = lambda_k n_k, r_k the task's loss over its first
//! one, divided by the mean of these ratios: lambda descends sum_k |G_k - mean(G) r_k^alpha|, where the
//! second part of the difference is constant, and is then scaled to a sum of K. The paper takes n_k at
//! the weights of the last shared layer; here it is over all parameters that tasks share, since a model
//! names no such layer.

use super::adam::Adam;
use super::params::GradNormParams;
use super::state::State;

/// Before they are scaled, weights are at least this: one below 0 would have its task unlearned.
const LEAST: f64 = 0.01;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct GradNorm {
    pub params: GradNormParams,
    lambda: Vec<f64>,
    /// Losses of the first batch that had samples of the task; NaN before.
    first_losses: Vec<f64>,
    adam: Adam,
}

/// Of a task with samples in the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskNorm {
    pub task: usize,
    pub loss: f64,
    /// Of the gradient of `loss` to the shared parameters.
    pub norm: f64,
}

impl GradNorm {
    pub fn new(params: GradNormParams, tasks: usize) -> GradNorm {
        GradNorm {
            lambda: vec![1.0; tasks],
            first_losses: vec![f64::NAN; tasks],
            adam: Adam::new(tasks, params.learning_rate),
            params,
        }
    }

    pub fn lambda(&self) -> &[f64] {
        &self.lambda
    }

    /// The losses of a step, of the tasks that had samples.
    pub fn observe(&mut self, losses: &[(usize, f64)]) {
        for &(task, loss) in losses {
            if self.first_losses[task].is_nan() {
                self.first_losses[task] = loss;
            }
        }
    }

    /// Moves the weights of the tasks of a batch.
    pub fn update(&mut self, tasks: &[TaskNorm]) {
        let losses: Vec<_> = tasks.iter().map(|of| (of.task, of.loss)).collect();
        self.observe(&losses);
        if tasks.len() > 1 {
            let gradients = self.gradients(tasks);
            for (of, gradient) in tasks.iter().zip(gradients) {
                let moved = self.lambda[of.task] + self.adam.step(of.task, gradient);
                self.lambda[of.task] = moved.max(LEAST);
            }
            let scale = self.lambda.len() as f64 / self.lambda.iter().sum::<f64>();
            self.lambda.iter_mut().for_each(|lambda| *lambda *= scale);
        }
    }

    /// Of sum_k |G_k - mean(G) r_k^alpha| to the weights of these tasks.
    fn gradients(&self, tasks: &[TaskNorm]) -> Vec<f64> {
        let count = tasks.len() as f64;
        let weighted = |of: &TaskNorm| self.lambda[of.task] * of.norm;
        let mean_norm = tasks.iter().map(weighted).sum::<f64>() / count;
        let ratio = |of: &TaskNorm| {
            let ratio = of.loss / self.first_losses[of.task];
            if ratio.is_finite() { ratio } else { 1.0 }
        };
        let mean_ratio = tasks.iter().map(ratio).sum::<f64>() / count;
        let gradient = |of: &TaskNorm| {
            let rate = ratio(of) / mean_ratio;
            let rate = if rate.is_finite() { rate } else { 1.0 };
            let difference = weighted(of) - mean_norm * rate.powf(self.params.alpha);
            if difference == 0.0 {
                0.0
            } else {
                difference.signum() * of.norm
            }
        };
        tasks.iter().map(gradient).collect()
    }

    pub fn save(&self, state: &mut State) {
        state.put("gradnorm/lambda", &self.lambda);
        state.put("gradnorm/first_losses", &self.first_losses);
        self.adam.save(state);
    }

    pub fn load(&mut self, state: &State) -> Result<(), String> {
        state.take("gradnorm/lambda", &mut self.lambda)?;
        state.take("gradnorm/first_losses", &mut self.first_losses)?;
        self.adam.load(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(task: usize, loss: f64, norm: f64) -> TaskNorm {
        TaskNorm { task, loss, norm }
    }

    fn gradnorm(alpha: f64, tasks: usize) -> GradNorm {
        let params = GradNormParams {
            alpha,
            learning_rate: 0.1,
            interval: 1,
        };
        GradNorm::new(params, tasks)
    }

    #[test]
    fn gradients_by_hand() {
        let mut of = gradnorm(1.0, 2);
        of.observe(&[(0, 2.0), (1, 1.0)]);
        // Ratios 1/2 and 1, their mean 3/4: r = 2/3 and 4/3. G = 3 and 1, their mean 2.
        // 3 - 2 * 2/3 > 0 and 1 - 2 * 4/3 < 0.
        let gradients = of.gradients(&[norm(0, 1.0, 3.0), norm(1, 1.0, 1.0)]);
        assert_eq!(gradients, [3.0, -1.0]);
        of.update(&[norm(0, 1.0, 3.0), norm(1, 1.0, 1.0)]);
        // Adam's first step is its rate: 0.9 and 1.1, whose sum is 2.
        assert!((of.lambda[0] - 0.9).abs() < 1e-12 && (of.lambda[1] - 1.1).abs() < 1e-12);
    }

    #[test]
    fn norms_become_alike_without_alpha() {
        let mut of = gradnorm(0.0, 3);
        of.adam = Adam::new(3, 0.01);
        for _ in 0..2000 {
            of.update(&[norm(0, 1.0, 4.0), norm(1, 1.0, 2.0), norm(2, 1.0, 1.0)]);
            assert!((of.lambda.iter().sum::<f64>() - 3.0).abs() < 1e-9);
        }
        // lambda_k n_k = c with the sum of lambda 3: c = 3 / (1/4 + 1/2 + 1).
        let c = 3.0 / 1.75;
        for (lambda, norm) in of.lambda.iter().zip([4.0, 2.0, 1.0]) {
            assert!((lambda * norm - c).abs() < 0.1, "{:?}", of.lambda);
        }
    }

    #[test]
    fn an_absent_task_and_a_single_one_move_nothing() {
        let mut of = gradnorm(1.5, 3);
        of.update(&[norm(1, 1.0, 5.0)]);
        assert_eq!(of.lambda, [1.0; 3]);
        of.update(&[norm(0, 1.0, 3.0), norm(1, 1.0, 1.0)]);
        let adam = of.adam.clone();
        assert!(of.first_losses[2].is_nan());
        of.update(&[norm(0, 0.0, 0.0), norm(1, 0.0, 0.0)]);
        assert!(of.lambda.iter().all(|lambda| lambda.is_finite()));
        assert_ne!(adam, of.adam);
    }
}
