//! Dynamic weight average (Liu, Johns and Davison 2019): tasks whose loss falls slowly weigh more.
//! lambda_k = K softmax(r_k / T), r_k the task's mean loss in the last window over that in the one
//! before; the paper's window is an epoch.

use super::params::DwaParams;
use super::softmax::scaled_softmax;
use super::state::State;

/// See the module. NaN stands for a mean that is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Dwa {
    params: DwaParams,
    /// Sums and numbers of the losses of the window under way, by task.
    sums: Vec<f64>,
    counts: Vec<f64>,
    /// Steps of the window under way, alone in its list.
    steps: Vec<f64>,
    /// Mean losses of the last window and of the one before, by task.
    last: Vec<f64>,
    before: Vec<f64>,
}

impl Dwa {
    pub fn new(params: DwaParams, tasks: usize) -> Dwa {
        Dwa {
            params,
            sums: vec![0.0; tasks],
            counts: vec![0.0; tasks],
            steps: vec![0.0],
            last: vec![f64::NAN; tasks],
            before: vec![f64::NAN; tasks],
        }
    }

    /// K softmax(r / T); a ratio that is not known yet is 1.
    pub fn lambda(&self) -> Vec<f64> {
        let ratio = |(last, before): (&f64, &f64)| {
            let ratio = last / before;
            if ratio.is_finite() { ratio } else { 1.0 }
        };
        let ratios = self.last.iter().zip(&self.before).map(ratio);
        let scaled: Vec<f64> = ratios
            .map(|ratio| ratio / self.params.temperature)
            .collect();
        scaled_softmax(&scaled)
    }

    /// The losses of a step, of the tasks that had samples.
    pub fn observe(&mut self, losses: &[(usize, f64)]) {
        for &(task, loss) in losses {
            self.sums[task] += loss;
            self.counts[task] += 1.0;
        }
        self.steps[0] += 1.0;
        if let Some(window) = self.params.window
            && self.steps[0] >= window as f64
        {
            self.close_window();
        }
    }

    pub fn end_epoch(&mut self) {
        if self.params.window.is_none() {
            self.close_window();
        }
    }

    /// A task without samples in the window keeps the means that it has.
    fn close_window(&mut self) {
        for task in 0..self.sums.len() {
            if self.counts[task] > 0.0 {
                self.before[task] = self.last[task];
                self.last[task] = self.sums[task] / self.counts[task];
            }
        }
        self.sums.fill(0.0);
        self.counts.fill(0.0);
        self.steps[0] = 0.0;
    }

    pub fn save(&self, state: &mut State) {
        state.put("dwa/sums", &self.sums);
        state.put("dwa/counts", &self.counts);
        state.put("dwa/steps", &self.steps);
        state.put("dwa/last", &self.last);
        state.put("dwa/before", &self.before);
    }

    pub fn load(&mut self, state: &State) -> Result<(), String> {
        state.take("dwa/sums", &mut self.sums)?;
        state.take("dwa/counts", &mut self.counts)?;
        state.take("dwa/steps", &mut self.steps)?;
        state.take("dwa/last", &mut self.last)?;
        state.take("dwa/before", &mut self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[f64], b: &[f64]) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn weights_by_hand() {
        let mut dwa = Dwa::new(DwaParams::default(), 2);
        dwa.observe(&[(0, 1.0), (1, 3.0)]);
        dwa.observe(&[(0, 3.0)]);
        assert_eq!(dwa.lambda(), [1.0, 1.0]);
        dwa.end_epoch();
        assert_eq!(dwa.lambda(), [1.0, 1.0], "one epoch is no ratio");
        dwa.observe(&[(0, 1.0), (1, 3.0)]);
        dwa.end_epoch();
        // Means 2 and 3, then 1 and 3: ratios 1/2 and 1, over the temperature 2.
        let (a, b) = (0.25f64.exp(), 0.5f64.exp());
        close(&dwa.lambda(), &[2.0 * a / (a + b), 2.0 * b / (a + b)]);
        // A window without samples of task 1 leaves its ratio.
        dwa.observe(&[(0, 1.0)]);
        dwa.end_epoch();
        close(&dwa.lambda(), &[1.0, 1.0]);
    }

    #[test]
    fn a_window_of_steps_stands_for_the_epoch() {
        let params = DwaParams {
            window: Some(2),
            temperature: 1.0,
        };
        let mut dwa = Dwa::new(params, 2);
        for loss in [4.0, 2.0, 3.0, 3.0] {
            dwa.observe(&[(0, loss), (1, 2.0 * loss)]);
        }
        dwa.end_epoch();
        assert_eq!(dwa.lambda(), [1.0, 1.0]);
        for loss in [1.0, 2.0] {
            dwa.observe(&[(0, loss), (1, 6.0)]);
        }
        let (a, b) = (0.5f64.exp(), 1.0f64.exp());
        close(&dwa.lambda(), &[2.0 * a / (a + b), 2.0 * b / (a + b)]);
    }
}
