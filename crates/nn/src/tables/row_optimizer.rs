//! How rows of a table are updated.

/// How rows are updated. Only rows that a step uses change, their moments included: a step's cost does
/// not depend on the table's size, and a row that rests neither decays nor drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOptimizer {
    /// Adam whose moments decay only where a row is used (torch's SparseAdam). State: 2 values for each value.
    LazyAdam,
    /// Adagrad with one sum of mean squares for each row (Mudigere et al. 2022). State: 1 value a row.
    RowAdagrad,
}

impl RowOptimizer {
    /// Values that it keeps for a row of `dim` values.
    pub fn state_dim(self, dim: usize) -> usize {
        match self {
            RowOptimizer::LazyAdam => 2 * dim,
            RowOptimizer::RowAdagrad => 1,
        }
    }

    /// Updates a row and its state.
    pub(super) fn update(
        self,
        step: &RowStep,
        values: &mut [f32],
        state: &mut [f32],
        gradient: &[f32],
    ) {
        match self {
            RowOptimizer::LazyAdam => step.lazy_adam(values, state, gradient),
            RowOptimizer::RowAdagrad => step.row_adagrad(values, state, gradient),
        }
    }
}

/// Rate and constants of a row update.
pub(crate) struct RowRate {
    pub(crate) learning_rate: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
}

/// One step of a row optimizer: what its rows are updated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowStep {
    scale: f32,
    learning_rate: f32,
    take1: f32,
    take2: f32,
    first_correction: f32,
    second_correction: f32,
    epsilon: f32,
}

impl RowStep {
    /// The step of that number, from 1; gradients are multiplied by `scale`.
    pub(crate) fn new(rate: &RowRate, scale: f32, number: u64) -> Self {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        Self {
            scale,
            learning_rate: rate.learning_rate,
            take1: 1.0 - rate.beta1,
            take2: 1.0 - rate.beta2,
            first_correction: 1.0 - rate.beta1.powi(number),
            second_correction: 1.0 - rate.beta2.powi(number),
            epsilon: rate.epsilon,
        }
    }

    /// As numbers that keep every bit.
    pub(crate) fn to_bits(self) -> [u32; 7] {
        let values = [
            self.scale,
            self.learning_rate,
            self.take1,
            self.take2,
            self.first_correction,
            self.second_correction,
            self.epsilon,
        ];
        values.map(f32::to_bits)
    }

    /// What [`RowStep::to_bits`] gave.
    pub(crate) fn from_bits(bits: [u32; 7]) -> Self {
        let [
            scale,
            learning_rate,
            take1,
            take2,
            first_correction,
            second_correction,
            epsilon,
        ] = bits.map(f32::from_bits);
        Self {
            scale,
            learning_rate,
            take1,
            take2,
            first_correction,
            second_correction,
            epsilon,
        }
    }

    fn lazy_adam(&self, values: &mut [f32], state: &mut [f32], gradient: &[f32]) {
        let (m, v) = state.split_at_mut(values.len());
        for (((value, m), v), g) in values.iter_mut().zip(m).zip(v).zip(gradient) {
            let g = g * self.scale;
            *m += self.take1 * (g - *m);
            *v += self.take2 * (g * g - *v);
            let deviation = (*v / self.second_correction).sqrt() + self.epsilon;
            *value -= self.learning_rate * (*m / self.first_correction) / deviation;
        }
    }

    fn row_adagrad(&self, values: &mut [f32], sum: &mut [f32], gradient: &[f32]) {
        let scaled = gradient.iter().map(|g| g * self.scale);
        let squares: f32 = scaled.map(|g| g * g).sum();
        sum[0] += squares / values.len() as f32;
        let step = self.learning_rate / (sum[0].sqrt() + self.epsilon);
        for (value, g) in values.iter_mut().zip(gradient) {
            *value -= step * g * self.scale;
        }
    }
}
