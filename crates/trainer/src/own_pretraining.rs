//! The objective of models that bring a pre-training of their own: batches as the model's augmentation
//! makes them, losses as the model gives them.

use supermoe_channels::{Dataset, SampleId};
use supermoe_nn::{Device, OwnedTape, read_scalar};

use crate::error::TrainError;
use crate::evaluation::in_batches;
use crate::model::{Augmentation, AuxiliaryLoss};
use crate::model_input::{InputLayout, ModelInput};
use crate::monitor::Monitor;
use crate::network::Network;
use crate::objective::{Evaluation, Objective, OtherLoss, Pass, StepLoss};
use crate::random::{Purpose, stream};

/// See the module.
pub struct OwnPretraining<'a> {
    pub dataset: &'a Dataset,
    pub layout: InputLayout,
    pub augmentation: Box<dyn Augmentation>,
    pub seed: u64,
    /// What is measured after an epoch.
    pub valid: Vec<SampleId>,
}

impl OwnPretraining<'_> {
    fn augmented(
        &self,
        samples: &[SampleId],
        purpose: Purpose,
        epoch: u64,
        step: u64,
    ) -> Result<ModelInput, TrainError> {
        let mut random = stream(self.seed, purpose, epoch, step);
        let input = self.layout.input(&self.dataset.pack(samples), &[])?;
        self.augmentation.augment(&input, &mut random)
    }
}

impl<D: Device> Objective<D> for OwnPretraining<'_> {
    type Batch = ModelInput;

    fn collate(
        &self,
        samples: &[SampleId],
        epoch: u64,
        step: u64,
    ) -> Result<ModelInput, TrainError> {
        self.augmented(samples, Purpose::Mask, epoch, step)
    }

    fn input<'b>(&self, batch: &'b ModelInput) -> &'b ModelInput {
        batch
    }

    fn loss(
        &self,
        pass: &Pass<'_, D, ModelInput>,
        _tasks: &[usize],
        tape: &mut OwnedTape<f32, D>,
    ) -> Result<Option<StepLoss<D>>, TrainError> {
        let network = pass.network;
        let losses = network.train_own(pass.batch, pass.rows, pass.mode, tape)?;
        if losses.is_empty() {
            return Ok(None);
        }
        let other = |term: AuxiliaryLoss<D>| OtherLoss {
            name: term.name.to_owned(),
            loss: term.loss,
            weight: term.weight,
        };
        Ok(Some(StepLoss {
            tasks: Vec::new(),
            others: losses.into_iter().map(other).collect(),
            expert_rows: Vec::new(),
        }))
    }

    fn evaluate(
        &self,
        network: &Network<D>,
        monitor: &mut dyn Monitor,
    ) -> Result<Evaluation, TrainError> {
        let mut tallies: Vec<Tally> = Vec::new();
        in_batches(self.dataset, &self.valid, monitor, |batch| {
            // The same changes in every epoch, so that epochs can be compared.
            let purpose = Purpose::ValidationMask;
            let input = self.augmented(&batch.samples, purpose, 0, batch.number)?;
            let samples = batch.samples.len() as f64;
            for term in network.measure_own(&input)? {
                let loss = f64::from(read_scalar(&term.loss));
                Tally::of(&mut tallies, term.name, term.weight).add(loss, samples);
            }
            Ok(())
        })?;
        evaluation(&tallies)
    }
}

/// One loss over the validation samples.
struct Tally {
    name: &'static str,
    weight: f32,
    total: f64,
    samples: f64,
}

impl Tally {
    fn of<'t>(tallies: &'t mut Vec<Tally>, name: &'static str, weight: f32) -> &'t mut Tally {
        let place = tallies.iter().position(|tally| tally.name == name);
        let place = place.unwrap_or_else(|| {
            tallies.push(Tally {
                name,
                weight,
                total: 0.0,
                samples: 0.0,
            });
            tallies.len() - 1
        });
        &mut tallies[place]
    }

    fn add(&mut self, loss: f64, samples: f64) {
        self.total += loss * samples;
        self.samples += samples;
    }

    /// There is at least one sample.
    fn mean(&self) -> f64 {
        self.total / self.samples
    }
}

fn evaluation(tallies: &[Tally]) -> Result<Evaluation, TrainError> {
    let mut evaluation = Evaluation::default();
    for tally in tallies {
        let (name, mean) = (tally.name, tally.mean());
        if !mean.is_finite() {
            let what = format!("the loss `{name}` on validation");
            return Err(TrainError::ScoreNotFinite { what });
        }
        evaluation
            .metrics
            .push((format!("valid/{name}/loss"), mean));
    }
    if !tallies.is_empty() {
        let weighted = tallies.iter();
        let total: f64 = weighted
            .map(|tally| f64::from(tally.weight) * tally.mean())
            .sum();
        evaluation.metrics.push(("valid/loss".to_owned(), total));
        evaluation.score = Some(-total);
    }
    Ok(evaluation)
}
