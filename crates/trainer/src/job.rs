//! What pre-training and fine-tuning begin with: a model, a dataset, and how to train.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};
use supermoe_channels::{Dataset, SampleId, Split, Task};

use crate::channel_fingerprint::ChannelFingerprint;
use crate::encoder_artifact::ArtifactConfig;
use crate::error::TrainError;
use crate::fit::{FitOptions, fit};
use crate::history::History;
use crate::model_factory::{InputShape, ModelFactory, TrainingDevice, choose};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, NetworkBuilder};
use crate::objective::Objective;
use crate::training_params::TrainingParams;
use crate::weighting::Weighting;

/// A training job; `P` are the params of its kind.
pub struct Job<'a, P> {
    pub factory: &'a ModelFactory,
    /// The model's params with all defaults.
    pub model_params: Map<String, Value>,
    pub params: P,
    pub seed: u64,
    pub dataset: &'a Dataset,
    /// Where files of large tables are, while it runs.
    pub folder: PathBuf,
}

/// What a training begins with.
pub struct StartingPoint {
    /// What is learned from.
    pub samples: Vec<SampleId>,
    /// Names the weights, if they are not from the seed.
    pub weights: Option<String>,
}

/// Params of a kind of training.
pub trait Training: Serialize {
    /// The part that all kinds share.
    fn training(&self) -> &TrainingParams;
}

impl<'a, P: Training> Job<'a, P> {
    /// The job that params ask for; `seed` is that of params without one.
    ///
    /// # Errors
    /// A model that is none of `factories`, or params that are none of that model.
    pub fn new(
        factories: &'a [ModelFactory],
        params: P,
        seed: u64,
        dataset: &'a Dataset,
    ) -> Result<Job<'a, P>, TrainError> {
        let TrainingParams { model, models, .. } = params.training();
        let (factory, model_params) = choose(factories, model, models)?;
        Ok(Job {
            factory,
            model_params,
            seed: params.training().seed.unwrap_or(seed),
            params,
            dataset,
            folder: std::env::temp_dir(),
        })
    }

    /// The same with another folder for files of large tables than the system's for temporary files.
    pub fn in_folder(self, folder: &Path) -> Job<'a, P> {
        Job {
            folder: folder.to_owned(),
            ..self
        }
    }

    /// The configuration of what is trained, without tasks.
    pub fn config(&self) -> ArtifactConfig {
        ArtifactConfig::new(
            self.factory.name,
            self.factory.revision,
            self.params.training().d_model,
            self.model_params.clone(),
            ChannelFingerprint::of(self.dataset),
        )
    }

    /// Builds the model, for these tasks, and what `top` puts on it.
    pub fn build<D: TrainingDevice, H>(
        &self,
        device: D,
        layout: &InputLayout,
        tasks: &[Task],
        top: impl FnOnce(&mut NetworkBuilder<'_, D>) -> Result<H, TrainError>,
    ) -> Result<(Network<D>, H), TrainError> {
        let params = self.params.training();
        let shape = InputShape {
            schema: self.dataset.schema(),
            d_model: params.d_model,
            dropout: params.dropout as f32,
            maskable: &layout.maskable,
            tasks,
        };
        let row_optimizer = params.optimizer.row_optimizer();
        let plan = || params.tables.plan(row_optimizer, &self.folder);
        let size = Network::size(device.clone(), plan()?, |builder| {
            self.factory.build(&self.model_params, &shape, builder)
        })?;
        size.check_fits(self.factory.name)?;
        let tables = plan()?;
        Network::build(device, self.seed, tables, |builder| {
            let model = self.factory.build(&self.model_params, &shape, builder)?;
            Ok((model, top(builder)?))
        })
    }

    /// The samples of the training split; an error where there is none.
    pub fn samples(&self) -> Result<Vec<SampleId>, TrainError> {
        let samples = self.dataset.split(Split::Train);
        if samples.is_empty() {
            return Err(TrainError::Dataset(
                "its training split has no samples".to_owned(),
            ));
        }
        Ok(samples)
    }

    /// Trains a network.
    pub fn fit<D: TrainingDevice, O: Objective<D>>(
        &self,
        network: &mut Network<D>,
        objective: &O,
        weighting: Weighting,
        config: &ArtifactConfig,
        start: StartingPoint,
        monitor: &mut dyn Monitor,
    ) -> Result<History, TrainError> {
        let parts = (
            config,
            &self.params,
            self.seed,
            self.dataset.len(),
            start.weights,
        );
        // Params and names always have a JSON form.
        let bytes = serde_json::to_vec(&parts).unwrap_or_default();
        let options = FitOptions {
            seed: self.seed,
            params: self.params.training(),
            job: blake3::hash(&bytes).to_hex().to_string(),
        };
        fit(
            network,
            objective,
            weighting,
            self.dataset,
            &start.samples,
            &options,
            monitor,
        )
    }
}
