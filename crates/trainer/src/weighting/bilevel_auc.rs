//! Bi-level optimisation of a surrogate of AUC (eq. 9, 10): lambda = K softmax(a), and a descends the
//! surrogate of validation samples after a look-ahead of one step.
//!
//! With g_k the gradient of task k and eta the learning rate of the step, the look-ahead is theta' =
//! theta - eta sum_k lambda_k g_k, and the hypergradient d L_val(theta') / d lambda_k = -eta
//! <grad L_val(theta'), g_k>, over what tasks share; towers stand still in it. (One-step unrolling, as
//! in DARTS, Liu et al. 2019, and Auto-Lambda, Liu et al. 2022.) The g_k are exact, a pass for each
//! task: the finite differences of DARTS would save passes, but experts are chosen by an argmax, over
//! whose edges they jump. The gradient of the model's own terms is the same for every lambda, and left
//! out of the look-ahead.

use supermoe_nn::optim::{HostGradients, LearningRates};
use supermoe_nn::{Buffer, Device, Group, OwnedTape, TableRows, ops};

use super::adam::Adam;
use super::descent::{SHARED, TrainingStep};
use super::look_ahead::LookAhead;
use super::params::BilevelAucParams;
use super::softmax::{scaled_softmax, to_logits};
use super::state::State;
use crate::error::TrainError;
use crate::network::{Network, UsedRows};
use crate::objective::Objective;
use crate::random::{Purpose, stream};

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct BilevelAuc {
    pub params: BilevelAucParams,
    /// a
    logits: Vec<f64>,
    adam: Adam,
}

impl BilevelAuc {
    pub fn new(params: BilevelAucParams, tasks: usize) -> BilevelAuc {
        BilevelAuc {
            logits: vec![0.0; tasks],
            adam: Adam::new(tasks, params.learning_rate),
            params,
        }
    }

    pub fn lambda(&self) -> Vec<f64> {
        scaled_softmax(&self.logits)
    }

    /// Moves a by a fresh validation batch. Where no task has two validation samples to rank in it,
    /// nothing moves.
    pub fn update<D: Device, O: Objective<D>>(
        &mut self,
        step: &mut TrainingStep<'_, D, O>,
        tasks: &[usize],
        unit: f32,
    ) -> Result<(), TrainError> {
        let at = step.at;
        let mut random = stream(at.seed, Purpose::ValidationBatch, at.epoch, at.step);
        let objective = step.objective;
        let batch = objective.ranking_batch(self.params.batch_size, &mut random)?;
        let lambda = self.lambda();
        let Some(of_lambda) = hypergradient(step, tasks, &lambda, unit, &batch)? else {
            return Ok(());
        };
        for (task, gradient) in to_logits(&lambda, &of_lambda).into_iter().enumerate() {
            self.logits[task] += self.adam.step(task, gradient);
        }
        Ok(())
    }

    pub fn save(&self, state: &mut State) {
        state.put("bilevel_auc/logits", &self.logits);
        self.adam.save(state);
    }

    pub fn load(&mut self, state: &State) -> Result<(), String> {
        state.take("bilevel_auc/logits", &mut self.logits)?;
        self.adam.load(state)
    }
}

/// d L_val(theta') / d lambda, of the loss `unit` sum_k lambda_k l_k of a training batch; 0 for tasks
/// without samples in it. `None` where the validation batch has nothing to rank.
fn hypergradient<D: Device, O: Objective<D>>(
    step: &mut TrainingStep<'_, D, O>,
    tasks: &[usize],
    lambda: &[f64],
    unit: f32,
    validation: &O::Batch,
) -> Result<Option<Vec<f64>>, TrainError> {
    let of_tasks = step.task_gradients(tasks)?;
    let mut sum: Option<HostGradients> = None;
    for (task, _, gradients) in &of_tasks {
        let factor = unit * lambda[*task] as f32;
        let sum = sum.get_or_insert_with(|| gradients.zeros());
        sum.add_scaled(gradients, factor, &SHARED);
    }
    let Some(sum) = sum else {
        return Ok(None);
    };
    let ahead = LookAhead::new(step.rows, &sum, &step.rates);
    let found = ahead.visit(step.network, |network| {
        RankingGradient::of(network, step.objective, validation, &ahead)
    })?;
    Ok(found.map(|ranking| {
        let mut hypergradient = vec![0.0; lambda.len()];
        for (task, _, gradients) in &of_tasks {
            let product = ranking.product(gradients, step.rows, &step.rates);
            hypergradient[*task] = -f64::from(unit) * product;
        }
        hypergradient
    }))
}

/// The gradient of the surrogate at the look-ahead.
struct RankingGradient<D: Device> {
    parameters: HostGradients,
    /// Of the tables' rows that the validation batch uses: the rows and their gradients [U, dim].
    rows: Vec<(TableRows<D>, Buffer)>,
}

impl<D: Device> RankingGradient<D> {
    fn of<O: Objective<D>>(
        network: &Network<D>,
        objective: &O,
        batch: &O::Batch,
        ahead: &LookAhead<'_, D>,
    ) -> Result<Option<RankingGradient<D>>, TrainError> {
        let gathered = network.gather(objective.input(batch), &objective.head_codes(batch))?;
        let rows = UsedRows {
            channels: ahead.moved(network.device(), gathered.channels)?,
            heads: gathered.heads,
        };
        let mut tape = OwnedTape::default();
        let Some(loss) = objective.ranking_loss(network, &rows, batch, &mut tape)? else {
            return Ok(None);
        };
        let mut gradients = ops::backward(loss, tape)?;
        let rates = ahead.rates();
        let parameters = HostGradients::take(network.parameters(), &[], &mut gradients, &rates)?;
        let with_gradient = rows.channels.into_iter().map(|rows| {
            let gradient = D::take_gradient(&mut gradients, &rows.leaf)?;
            Ok((rows, gradient))
        });
        Ok(Some(RankingGradient {
            rows: with_gradient.collect::<Result<_, supermoe_nn::Error>>()?,
            parameters,
        }))
    }

    /// sum over what is shared of rate * <this, gradients>, where `used` are the rows of `gradients`.
    fn product(&self, gradients: &HostGradients, used: &UsedRows<D>, rates: &LearningRates) -> f64 {
        let mut total = 0.0;
        for group in SHARED {
            let rate = f64::from(rates.of(group).unwrap_or(0.0));
            total += rate * self.parameters.dot(gradients, &[group]);
        }
        let rate = f64::from(rates.of(Group::Tables).unwrap_or(0.0));
        let tables = self.rows.iter().zip(&used.channels).zip(gradients.rows());
        for (((ours, gradient), theirs), of_task) in tables {
            let Some(of_task) = of_task else { continue };
            total += rate * product_of_rows((&ours.rows, gradient), (&theirs.rows, of_task));
        }
        total
    }
}

/// The scalar product over the rows that both have; each is rows, ascending, and values [U, dim].
fn product_of_rows(a: (&[u32], &[f32]), b: (&[u32], &[f32])) -> f64 {
    let width = a.1.len().checked_div(a.0.len()).unwrap_or(0);
    let mut total = 0.0;
    for (row, values) in a.0.iter().zip(a.1.chunks_exact(width.max(1))) {
        if let Ok(place) = b.0.binary_search(row) {
            let others = &b.1[place * width..][..width];
            let products = values.iter().zip(others);
            total += products
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>();
        }
    }
    total
}

#[cfg(test)]
mod tests;
