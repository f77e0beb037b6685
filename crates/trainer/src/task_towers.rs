//! A linear tower for each task on the representations of samples (eq. 8), and the scores that they give.

use supermoe_channels::{Dataset, SampleId, Task, TaskKind};
use supermoe_nn::layers::{Linear, Mode};
use supermoe_nn::{Device, Error, Group, Matrix, NoneTape, Tape, ops, read};

use crate::error::TrainError;
use crate::evaluation::in_batches;
use crate::model::{Encoded, Representation};
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::{Network, NetworkBuilder};
use crate::pooling::Pooling;
use crate::random::mix_key;

/// The place of the dropout before the towers among the places that draw in a step.
const TOWER_DROPOUT: u64 = u64::MAX;

/// See the module.
pub struct TaskTowers {
    tasks: Vec<Task>,
    towers: Vec<Linear>,
    dropout: f32,
    pooling: Pooling,
}

/// Numbers that a tower gives for a sample: a logit for each class of a multiclass task, else one.
pub fn outputs(task: &Task) -> usize {
    match task.kind {
        TaskKind::Binary | TaskKind::Regression => 1,
        TaskKind::Multiclass => task.classes.len(),
    }
}

impl TaskTowers {
    /// Adds `towers.<task>.weight` [d_model, outputs] and `towers.<task>.bias` for each task.
    ///
    /// # Errors
    /// A multiclass task without classes.
    pub fn new<D: Device>(
        tasks: &[Task],
        d_model: usize,
        dropout: f32,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<TaskTowers, TrainError> {
        let tower = |task: &Task| {
            let name = format!("towers.{}", task.name);
            if outputs(task) == 0 {
                return Err(TrainError::Dataset(format!(
                    "task `{}` has no classes",
                    task.name
                )));
            }
            Ok(Linear::new(
                builder.parameters,
                &name,
                Group::Towers,
                d_model,
                outputs(task),
            )?)
        };
        Ok(TaskTowers {
            towers: tasks.iter().map(tower).collect::<Result<_, TrainError>>()?,
            tasks: tasks.to_vec(),
            dropout,
            pooling: Pooling::Max,
        })
    }

    /// The same with another pooling of steps than their maximum.
    pub fn pooled(self, pooling: Pooling) -> TaskTowers {
        TaskTowers { pooling, ..self }
    }

    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// By task [B, outputs]: logits, and standardised values of regression tasks.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        network: &Network<D>,
        input: &ModelInput,
        encoded: &Encoded<D>,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Vec<Matrix<D>>, Error> {
        let pooled;
        let shared = match &encoded.representation {
            Representation::Tasks(own) => return self.forward_own(network, own, mode, tape),
            Representation::Samples(samples) => samples,
            Representation::Steps(steps) => {
                pooled = self.pooling.apply(steps, &input.offsets, tape)?;
                &pooled
            }
        };
        let shared = self.drop_out(shared, 0, mode, tape)?;
        let towers = self.towers.iter();
        towers
            .map(|tower| tower.forward(network.parameters(), &shared, tape))
            .collect()
    }

    /// Each tower on the representation of its own task.
    fn forward_own<D: Device, T: Tape<f32, D>>(
        &self,
        network: &Network<D>,
        own: &[Matrix<D>],
        mode: Mode,
        tape: &mut T,
    ) -> Result<Vec<Matrix<D>>, Error> {
        if own.len() != self.towers.len() {
            return Err(Error::Value {
                operation: "towers",
                what: "number of representations that the model gives",
                expected: format!("{}, one for each task", self.towers.len()),
                found: own.len().to_string(),
            });
        }
        let towers = self.towers.iter().zip(own).enumerate();
        towers
            .map(|(task, (tower, own))| {
                let own = self.drop_out(own, task as u64, mode, tape)?;
                tower.forward(network.parameters(), &own, tape)
            })
            .collect()
    }

    /// The `place`th dropout before towers.
    fn drop_out<D: Device, T: Tape<f32, D>>(
        &self,
        x: &Matrix<D>,
        place: u64,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        match mode {
            Mode::Train { key } => {
                let key = mix_key(key, TOWER_DROPOUT - place);
                ops::dropout(x, self.dropout, key, tape)
            }
            Mode::Evaluate => Ok(x.clone()),
        }
    }

    /// By task, row-major [samples, outputs]: the probability of a binary task, those of the classes of
    /// a multiclass task, the value of a regression task in the unit of its labels.
    ///
    /// # Errors
    /// A score that is no number, named by its task; a stop that was asked for.
    pub fn scores<D: Device>(
        &self,
        network: &Network<D>,
        dataset: &Dataset,
        layout: &InputLayout,
        samples: &[SampleId],
        monitor: &mut dyn Monitor,
    ) -> Result<Vec<Vec<f64>>, TrainError> {
        let empty = |task: &Task| vec![0.0; samples.len() * outputs(task)];
        let mut scores: Vec<Vec<f64>> = self.tasks.iter().map(empty).collect();
        in_batches(dataset, samples, monitor, |batch| {
            let input = layout.input(&dataset.pack(&batch.samples), &[])?;
            let encoded = network.infer(&input)?;
            let given = self.forward(network, &input, &encoded, Mode::Evaluate, &mut NoneTape)?;
            for ((task, given), scores) in self.tasks.iter().zip(&given).zip(&mut scores) {
                let width = outputs(task);
                for (&row, given) in batch.rows.iter().zip(read(given).chunks_exact(width)) {
                    let to = &mut scores[row * width..][..width];
                    score(task, given, to);
                    if to.iter().any(|score| !score.is_finite()) {
                        let what = format!("the score of task `{}`", task.name);
                        return Err(TrainError::ScoreNotFinite { what });
                    }
                }
            }
            Ok(())
        })?;
        Ok(scores)
    }
}

/// The scores of one sample from what a tower gives.
fn score(task: &Task, given: &[f32], scores: &mut [f64]) {
    match task.kind {
        TaskKind::Binary => scores[0] = 1.0 / (1.0 + (-f64::from(given[0])).exp()),
        TaskKind::Regression => scores[0] = f64::from(given[0]) * task.deviation + task.mean,
        TaskKind::Multiclass => {
            let largest = given.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (score, &logit) in scores.iter_mut().zip(given) {
                *score = f64::from(logit - largest).exp();
            }
            let total: f64 = scores.iter().sum();
            scores.iter_mut().for_each(|score| *score /= total);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A task of three classes, labels of mean 10 and deviation 4.
    pub(crate) fn task(kind: TaskKind) -> Task {
        Task {
            name: "t".into(),
            kind,
            classes: vec!["a".into(), "b".into(), "c".into()],
            mean: 10.0,
            deviation: 4.0,
            within_seconds: 1,
        }
    }

    fn scores(kind: TaskKind, given: &[f32]) -> Vec<f64> {
        let mut scores = vec![0.0; given.len()];
        score(&task(kind), given, &mut scores);
        scores
    }

    #[test]
    fn scores_are_probabilities_or_values_in_the_labels_unit() {
        assert_eq!(scores(TaskKind::Binary, &[0.0]), [0.5]);
        assert_eq!(scores(TaskKind::Regression, &[-0.5]), [8.0]);
        let classes = scores(TaskKind::Multiclass, &[1000.0, 1000.0, 0.0]);
        assert_eq!(classes, [0.5, 0.5, 0.0]);
        let unknown = scores(TaskKind::Multiclass, &[0.0, f32::NAN, 0.0]);
        assert!(unknown.iter().any(|score| score.is_nan()));
    }
}
