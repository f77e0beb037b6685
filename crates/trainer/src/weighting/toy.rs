//! A small network with a tower for each task of a dataset, for tests of weightings: rows of a table times
//! a matrix, the maximum over the steps, and towers.

use supermoe_channels::{Dataset, SampleId, Split};
use supermoe_nn::layers::Mode;
use supermoe_nn::optim::LearningRates;
use supermoe_nn::parameters::{Initial, MatrixHandle};
use supermoe_nn::tables::RowOptimizer;
use supermoe_nn::{Cpu, Device, Error, Group, Tape, ops};

use super::descent::{StepPlace, TrainingStep};
use super::halves::ValidationHalves;
use super::params::MethodParams;
use super::{Weighting, Whole};
use crate::finetune_params::{Freeze, LossMean, RegressionLoss};
use crate::labels::Labels;
use crate::model::{AuxiliaryLoss, Encoded, Encoder, Representation};
use crate::model_input::{InputLayout, ModelInput};
use crate::multi_task::{LabelledBatch, MultiTask, MultiTaskOptions, weighted_tasks};
use crate::network::{Network, NetworkValues, UsedRows};
use crate::objective::Objective;
use crate::task_towers::TaskTowers;

const WIDTH: usize = 4;

struct ToyEncoder {
    weight: MatrixHandle,
}

impl<D: Device> Encoder<D> for ToyEncoder {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        _input: &ModelInput,
        _mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let products = &values.rows[0];
        let picked = ops::gather_rows(&products.leaf, &products.index, tape)?;
        let weight = values.parameters.get(self.weight);
        let steps = ops::linear(&picked, weight, None, tape)?;
        // A term of the model's own: the mean of the squared results.
        let count = products.index.len() * WIDTH;
        let squares = ops::mse(&steps, &vec![0.0; count], tape)?;
        Ok(Encoded {
            representation: Representation::Steps(steps),
            auxiliary: vec![AuxiliaryLoss {
                name: "squares",
                loss: ops::weighted_sum(&squares, &[1.0; WIDTH], tape)?,
                weight: 0.1,
            }],
            expert_rows: Vec::new(),
        })
    }
}

pub struct Toy<'a> {
    pub network: Network<Cpu>,
    pub objective: MultiTask<'a>,
    pub weighting: Weighting,
    dataset: &'a Dataset,
}

impl<'a> Toy<'a> {
    pub fn new(dataset: &'a Dataset, method: &MethodParams) -> Toy<'a> {
        let tasks = dataset.schema().tasks.clone();
        let build = |builder: &mut crate::network::NetworkBuilder<'_, Cpu>| {
            let rows = dataset.schema().channels[0].vocabulary as usize;
            builder.add_table(0, "product", rows, WIDTH, 1.0)?;
            let initial = Initial::Normal(0.5);
            let weight =
                builder
                    .parameters
                    .add("weight", Group::Encoder, (WIDTH, WIDTH), initial)?;
            let towers = TaskTowers::new(&tasks, WIDTH, 0.0, builder)?;
            let weighted = weighted_tasks(&tasks, RegressionLoss::Huber);
            let weighting = Weighting::new(method, &weighted, Whole::Mean, builder)?;
            let model: Box<dyn crate::model::Model<Cpu>> = Box::new(ToyEncoder { weight });
            Ok((model, (towers, weighting)))
        };
        let (network, (towers, weighting)) =
            Network::build(Cpu::default(), 3, RowOptimizer::LazyAdam, build).unwrap();
        let options = MultiTaskOptions {
            labels: Labels::own(dataset, (0..dataset.schema().tasks.len()).collect()),
            freeze: Freeze::None,
            regression: RegressionLoss::Huber,
            loss_mean: LossMean::Labelled,
            validation: ValidationHalves::of(dataset),
        };
        let layout = InputLayout::new(dataset.schema());
        Toy {
            network,
            objective: MultiTask::new(dataset, layout, towers, options),
            weighting,
            dataset,
        }
    }

    pub fn training_samples(&self, count: usize) -> Vec<SampleId> {
        let mut samples = self.dataset.split(Split::Train);
        samples.truncate(count);
        samples
    }

    pub fn batch(&self, samples: &[SampleId]) -> LabelledBatch {
        Objective::<Cpu>::collate(&self.objective, samples, 0, 0).unwrap()
    }

    pub fn rows(&self, batch: &LabelledBatch) -> UsedRows<Cpu> {
        let input = Objective::<Cpu>::input(&self.objective, batch);
        self.network.gather(input, &[]).unwrap()
    }

    /// Hands a step on a batch to `visit`, together with the weighting.
    pub fn step<R>(
        &mut self,
        batch: &LabelledBatch,
        number: u64,
        visit: impl FnOnce(&mut Weighting, &mut TrainingStep<'_, Cpu, MultiTask<'a>>) -> R,
    ) -> R {
        let rows = self.rows(batch);
        let mut step = TrainingStep {
            network: &mut self.network,
            objective: &self.objective,
            batch,
            rows: &rows,
            rates: RATES,
            at: StepPlace {
                seed: 1,
                epoch: 0,
                step: number,
            },
        };
        visit(&mut self.weighting, &mut step)
    }
}

/// Differ, so that a mix-up shows.
pub const RATES: LearningRates = LearningRates {
    encoder: Some(0.5),
    towers: Some(0.1),
    tables: Some(3.0),
};
