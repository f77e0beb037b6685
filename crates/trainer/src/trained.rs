//! A trained network, built again from its artifact for the samples of a dataset.

use std::path::Path;

use supermoe_channels::{Dataset, SampleId, Split};
use supermoe_nn::tables::RowOptimizer;

use crate::channel_fingerprint::ChannelFingerprint;
use crate::encoder_artifact::{ArtifactConfig, WEIGHTS_FILE};
use crate::error::TrainError;
use crate::model_factory::{InputShape, ModelFactory, TrainingDevice};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, NetworkBuilder, WeightSet};

/// The largest width of hidden states that a configuration is believed.
const LARGEST_WIDTH: usize = 8192;

/// What a stage was given: the folder of an input port.
#[derive(Debug, Clone, Copy)]
pub struct Artifact<'a> {
    /// `encoder` or `model`.
    pub port: &'static str,
    pub folder: &'a Path,
}

/// See the module.
pub struct Trained<D: TrainingDevice, H> {
    pub config: ArtifactConfig,
    pub network: Network<D>,
    /// What stands on top of the encoder.
    pub heads: H,
    pub layout: InputLayout,
}

impl<'a> Artifact<'a> {
    /// Builds the network, with what `heads` makes on top of it, and reads its weights.
    ///
    /// # Errors
    /// A missing or damaged file, a model that this program does not have, a dataset whose channels are
    /// not those of the training, or weights of other shapes.
    pub fn open<D: TrainingDevice, H>(
        self,
        device: D,
        factories: &[ModelFactory],
        dataset: &Dataset,
        weights: WeightSet,
        monitor: &mut dyn Monitor,
        heads: impl FnOnce(&ArtifactConfig, &mut NetworkBuilder<'_, D>) -> Result<H, TrainError>,
    ) -> Result<Trained<D, H>, TrainError> {
        let config = ArtifactConfig::read(self.folder).map_err(|error| self.named(error))?;
        let Some(factory) = factories
            .iter()
            .find(|factory| factory.name == config.model)
        else {
            let known: Vec<&str> = factories.iter().map(|factory| factory.name).collect();
            return Err(self.refuse(format!(
                "it is of the model `{}`, which this program does not have; it has {}",
                config.model,
                known.join(", ")
            )));
        };
        if config.revision != factory.revision {
            monitor.warn(&format!(
                "{}: it was trained by revision {} of the model `{}`, and this program has revision {}: results may \
                 differ from those of its training; train it again to be sure",
                self.port, config.revision, config.model, factory.revision
            ));
        }
        if !(1..=LARGEST_WIDTH).contains(&config.d_model) {
            return Err(self.refuse(format!(
                "its `d_model` is {}; expected 1 to {LARGEST_WIDTH}",
                config.d_model
            )));
        }
        let here = ChannelFingerprint::of(dataset);
        if let Some(difference) = config.channels.difference(&here) {
            return Err(self.refuse(difference));
        }
        let layout = InputLayout::new(dataset.schema());
        let shape = InputShape {
            schema: dataset.schema(),
            d_model: config.d_model,
            dropout: 0.0,
            maskable: &layout.maskable,
            tasks: &config.tasks,
        };
        let params = factory.params(&config.params)?;
        // The weights are read: neither a seed nor an optimizer matters.
        let (mut network, heads) = Network::build(device, 0, RowOptimizer::LazyAdam, |builder| {
            let model = factory.build(&params, &shape, builder)?;
            Ok((model, heads(&config, builder)?))
        })?;
        network
            .read(&self.folder.join(WEIGHTS_FILE), weights)
            .map_err(|error| self.refuse(error.to_string()))?;
        Ok(Trained {
            config,
            network,
            heads,
            layout,
        })
    }

    pub fn refuse(self, reason: String) -> TrainError {
        TrainError::Artifact {
            port: self.port,
            reason,
        }
    }

    fn named(self, error: TrainError) -> TrainError {
        match error {
            TrainError::Encoder(reason) => self.refuse(reason),
            other => other,
        }
    }
}

/// The samples of these splits, in the order of the dataset.
///
/// # Errors
/// There is none.
pub fn samples_of(dataset: &Dataset, splits: &[Split]) -> Result<Vec<SampleId>, TrainError> {
    let of = dataset.samples().split.iter().zip(0..);
    let samples: Vec<SampleId> = of
        .filter(|(split, _)| splits.contains(split))
        .map(|(_, id)| SampleId(id))
        .collect();
    if samples.is_empty() {
        let names: Vec<&str> = splits.iter().map(|split| split.name()).collect();
        return Err(TrainError::Dataset(format!(
            "it has no samples of the splits {}; name others in `splits`, or make some in `with.splits` of the \
             `prepare` stage",
            names.join(", ")
        )));
    }
    Ok(samples)
}
