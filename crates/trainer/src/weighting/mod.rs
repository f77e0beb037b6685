//! How the losses of several tasks become one update (eq. 9): loss = unit * sum_k lambda_k l_k, where
//! the unit is 1 / K in fine-tuning and 1 in pre-training, and lambda is a method's.

mod adam;
mod bilevel_auc;
mod descent;
mod dwa;
mod gradnorm;
mod halves;
mod look_ahead;
mod params;
mod pcgrad;
mod ranking;
mod softmax;
mod state;
mod uncertainty;

use indexmap::IndexMap;
use supermoe_nn::Device;
use supermoe_plugin::params::nearest;

use crate::error::TrainError;
use crate::network::NetworkBuilder;
use crate::objective::Objective;
use bilevel_auc::BilevelAuc;
use descent::{SHARED, Weighing};
use dwa::Dwa;
use gradnorm::{GradNorm, TaskNorm};
use uncertainty::Uncertainty;

pub use descent::{Descent, StepPlace, TrainingStep};
pub use halves::ValidationHalves;
pub use params::{
    BilevelAucParams, DwaParams, FinetuneMethod, FinetuneSection, FinetuneWeighting,
    GradNormParams, MethodParams, NameOrSection, PretrainMethod, PretrainSection,
    PretrainWeighting,
};
pub use ranking::ranking_loss;
pub use state::State;
pub use uncertainty::Likelihood;

/// A method, and what it has learned so far.
#[derive(Clone)]
pub struct Weighting {
    tasks: usize,
    unit: f32,
    method: Method,
}

#[derive(Clone)]
enum Method {
    Equal,
    /// Factors that stand in place of `unit` and lambda.
    Fixed(Vec<f32>),
    Uncertainty(Uncertainty),
    GradNorm(GradNorm),
    Dwa(Dwa),
    PcGrad,
    BilevelAuc(BilevelAuc),
}

/// What equal weights make of the losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Mean,
    Sum,
}

/// A task whose loss is weighted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedTask {
    pub name: String,
    pub likelihood: Likelihood,
}

/// What a step came to.
pub struct Weighted {
    pub descent: Descent,
    /// Of the weighting, by name: `train/<task>/lambda`.
    pub metrics: Vec<(String, f64)>,
}

impl Weighting {
    /// Of an objective that weighs its losses itself.
    pub fn none() -> Weighting {
        Weighting {
            tasks: 0,
            unit: 1.0,
            method: Method::Equal,
        }
    }

    /// # Errors
    /// Fixed weights that are not those of these tasks, below 0, or all 0.
    pub fn new<D: Device>(
        params: &MethodParams,
        tasks: &[WeightedTask],
        whole: Whole,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Weighting, TrainError> {
        let count = tasks.len();
        let likelihoods = tasks.iter().map(|task| task.likelihood);
        let method = match params {
            MethodParams::Equal => Method::Equal,
            MethodParams::Fixed(weights) => Method::Fixed(fixed(weights, tasks)?),
            MethodParams::Uncertainty => {
                let likelihoods: Vec<_> = likelihoods.collect();
                Method::Uncertainty(Uncertainty::new(&likelihoods, builder)?)
            }
            MethodParams::GradNorm(params) => Method::GradNorm(GradNorm::new(*params, count)),
            MethodParams::Dwa(params) => Method::Dwa(Dwa::new(*params, count)),
            MethodParams::PcGrad => Method::PcGrad,
            MethodParams::BilevelAuc(params) => Method::BilevelAuc(BilevelAuc::new(*params, count)),
        };
        Ok(Weighting {
            tasks: count,
            unit: match whole {
                Whole::Mean => 1.0 / count as f32,
                Whole::Sum => 1.0,
            },
            method,
        })
    }

    /// Passes over a batch: the gradients to update with. `None` where there is nothing to learn from.
    pub fn step<D: Device, O: Objective<D>>(
        &mut self,
        step: &mut TrainingStep<'_, D, O>,
    ) -> Result<Option<Weighted>, TrainError> {
        let present = step.objective.present(step.batch);
        self.update(step, &present)?;
        let mut metrics = self.lambda_metrics(step);
        let descent = if self.projects(step, &present) {
            let found = pcgrad::descend(step, &present, self.unit)?;
            found.map(|(descent, conflicts)| {
                metrics.push(("train/gradient_conflicts".to_owned(), conflicts));
                descent
            })
        } else {
            self.descend(step, &present)?
        };
        let Some(descent) = descent else {
            return Ok(None);
        };
        self.observe(&descent);
        Ok(Some(Weighted { descent, metrics }))
    }

    /// An epoch of training ended.
    pub fn end_epoch(&mut self) {
        if let Method::Dwa(dwa) = &mut self.method {
            dwa.end_epoch();
        }
    }

    /// For a checkpoint; log-variances stand among the parameters.
    pub fn save(&self) -> State {
        let mut state = State::default();
        match &self.method {
            Method::GradNorm(gradnorm) => gradnorm.save(&mut state),
            Method::Dwa(dwa) => dwa.save(&mut state),
            Method::BilevelAuc(bilevel) => bilevel.save(&mut state),
            Method::Equal | Method::Fixed(_) | Method::Uncertainty(_) | Method::PcGrad => {}
        }
        state
    }

    /// The same with what [`Self::save`] gave.
    ///
    /// # Errors
    /// It is of another method, or of other tasks.
    pub fn resumed(&self, state: &State) -> Result<Weighting, String> {
        let mut resumed = self.clone();
        match &mut resumed.method {
            Method::GradNorm(gradnorm) => gradnorm.load(state)?,
            Method::Dwa(dwa) => dwa.load(state)?,
            Method::BilevelAuc(bilevel) => bilevel.load(state)?,
            Method::Equal | Method::Fixed(_) | Method::Uncertainty(_) | Method::PcGrad => {}
        }
        Ok(resumed)
    }

    /// Moves the weights of methods that look at gradients, where it is their step.
    fn update<D: Device, O: Objective<D>>(
        &mut self,
        step: &mut TrainingStep<'_, D, O>,
        present: &[usize],
    ) -> Result<(), TrainError> {
        if self.tasks < 2 || present.is_empty() || !step.shared_learns() {
            return Ok(());
        }
        let done = step.at.step + 1;
        match &mut self.method {
            Method::GradNorm(gradnorm) if done.is_multiple_of(gradnorm.params.interval) => {
                let gradients = step.task_gradients(present)?;
                let norms = gradients.iter().map(|(task, loss, gradient)| TaskNorm {
                    task: *task,
                    loss: f64::from(*loss),
                    norm: gradient.dot(gradient, &SHARED).sqrt(),
                });
                gradnorm.update(&norms.collect::<Vec<_>>());
                Ok(())
            }
            Method::BilevelAuc(bilevel) if done.is_multiple_of(bilevel.params.interval) => {
                bilevel.update(step, present, self.unit)
            }
            _ => Ok(()),
        }
    }

    /// Whether gradients of tasks are projected: else one pass does.
    fn projects<D: Device, O: Objective<D>>(
        &self,
        step: &TrainingStep<'_, D, O>,
        present: &[usize],
    ) -> bool {
        matches!(self.method, Method::PcGrad) && present.len() > 1 && step.shared_learns()
    }

    fn descend<D: Device, O: Objective<D>>(
        &self,
        step: &TrainingStep<'_, D, O>,
        present: &[usize],
    ) -> Result<Option<Descent>, TrainError> {
        let factors = self.factors(step);
        let weighing = Weighing {
            factor: &|task| factors[task],
            others: 1.0,
        };
        step.descend(present, &weighing, |losses, tape| match &self.method {
            Method::Uncertainty(of) => {
                let term = of.term(step.network, self.unit, losses, tape)?;
                Ok(Some(term))
            }
            _ => Ok(None),
        })
    }

    /// What each task's loss is multiplied by.
    fn factors<D: Device, O: Objective<D>>(&self, step: &TrainingStep<'_, D, O>) -> Vec<f32> {
        if let Method::Fixed(factors) = &self.method {
            return factors.clone();
        }
        match self.lambda(step) {
            None => vec![self.unit; self.tasks],
            Some(lambda) => lambda.iter().map(|of| self.unit * *of as f32).collect(),
        }
    }

    /// `None` of methods whose weights do not change.
    fn lambda<D: Device, O: Objective<D>>(
        &self,
        step: &TrainingStep<'_, D, O>,
    ) -> Option<Vec<f64>> {
        match &self.method {
            Method::Equal | Method::Fixed(_) | Method::PcGrad => None,
            Method::Uncertainty(of) => Some(of.lambda(step.network)),
            Method::GradNorm(of) => Some(of.lambda().to_vec()),
            Method::Dwa(of) => Some(of.lambda()),
            Method::BilevelAuc(of) => Some(of.lambda()),
        }
    }

    fn lambda_metrics<D: Device, O: Objective<D>>(
        &self,
        step: &TrainingStep<'_, D, O>,
    ) -> Vec<(String, f64)> {
        let lambda = self.lambda(step).unwrap_or_default();
        let named = step.objective.task_names().iter().zip(lambda);
        named
            .map(|(task, of)| (format!("train/{task}/lambda"), of))
            .collect()
    }

    fn observe(&mut self, descent: &Descent) {
        let losses = descent.task_losses.iter();
        let losses: Vec<_> = losses
            .map(|(task, loss)| (*task, f64::from(*loss)))
            .collect();
        match &mut self.method {
            Method::GradNorm(gradnorm) => gradnorm.observe(&losses),
            Method::Dwa(dwa) => dwa.observe(&losses),
            Method::Equal
            | Method::Fixed(_)
            | Method::Uncertainty(_)
            | Method::PcGrad
            | Method::BilevelAuc(_) => {}
        }
    }
}

/// The factor of each of these tasks, in their order.
fn fixed(weights: &IndexMap<String, f64>, tasks: &[WeightedTask]) -> Result<Vec<f32>, TrainError> {
    let refused = |reason| Err(TrainError::param("weighting.fixed", reason));
    let names = || tasks.iter().map(|task| task.name.as_str());
    if let Some(unknown) = weights
        .keys()
        .find(|name| !names().any(|of| of == name.as_str()))
    {
        let advice = match nearest(unknown, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("those are {}", names().collect::<Vec<_>>().join(", ")),
        };
        return refused(format!(
            "`{unknown}` is none of what is learned here; {advice}"
        ));
    }
    let mut factors = Vec::with_capacity(tasks.len());
    for name in names() {
        match weights.get(name) {
            Some(&weight) if weight.is_finite() && weight >= 0.0 => factors.push(weight as f32),
            Some(weight) => {
                return refused(format!(
                    "`{name}`: expected a weight of at least 0, found {weight}"
                ));
            }
            None => return refused(format!("`{name}` has no weight")),
        }
    }
    if factors.iter().all(|factor| *factor == 0.0) {
        return refused(
            "every weight is 0, so nothing is learned from; give at least one above 0".to_owned(),
        );
    }
    Ok(factors)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;
