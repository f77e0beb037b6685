//! A pre-training job from dataset to encoder folder.

use std::path::Path;

use serde_json::{Map, Value};
use supermoe_channels::{Dataset, SampleId, Split};
use supermoe_nn::Cpu;

use crate::channel_fingerprint::ChannelFingerprint;
use crate::encoder_artifact::{ArtifactConfig, WEIGHTS_FILE};
use crate::error::TrainError;
use crate::fit::{FitOptions, fit, job_digest};
use crate::masking::Masking;
use crate::mcp::MaskedChannelPrediction;
use crate::model::{InputShape, ModelFactory};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, WeightSet};
use crate::pretrain_params::PretrainParams;

/// What pre-training is given.
pub struct PretrainJob<'a> {
    pub factory: &'a ModelFactory,
    /// The model's params with all defaults.
    pub model_params: Map<String, Value>,
    pub params: PretrainParams,
    pub seed: u64,
    pub dataset: &'a Dataset,
    /// A folder that exists.
    pub encoder: &'a Path,
    /// A file that does not.
    pub history: &'a Path,
}

/// Trains, and writes `encoder` and `history`.
pub fn run(job: &PretrainJob, monitor: &mut dyn Monitor) -> Result<(), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    let masking = Masking::new(
        dataset.schema(),
        &params.predict,
        params.mask,
        params.mask_rate,
    )?;
    let train = dataset.split(Split::Train);
    if train.is_empty() {
        return Err(TrainError::Dataset(
            "its training split has no samples".to_owned(),
        ));
    }
    let layout = InputLayout::new(dataset.schema());
    let shape = InputShape {
        schema: dataset.schema(),
        d_model: params.d_model,
        dropout: params.dropout as f32,
        maskable: &layout.maskable,
    };
    let config = ArtifactConfig::new(
        job.factory.name,
        job.factory.revision,
        params.d_model,
        job.model_params.clone(),
        ChannelFingerprint::of(dataset),
    );
    let valid = part(dataset.split(Split::Valid), params.valid_samples);
    let (mut network, objective) = Network::build(Cpu::default(), job.seed, |builder| {
        let model = job.factory.build(&job.model_params, &shape, builder)?;
        let heads = MaskedChannelPrediction::new(
            dataset,
            masking,
            layout.clone(),
            params.d_model,
            job.seed,
            valid,
            builder,
        )?;
        Ok((model, heads))
    })?;
    let options = FitOptions {
        seed: job.seed,
        epochs: params.epochs,
        max_steps: params.max_steps,
        batch_size: params.batch_size,
        patience: params.patience,
        checkpoint_every: params.checkpoint_every,
        optimizer: &params.optimizer,
        job: job_digest(&(
            params,
            &job.model_params,
            job.seed,
            &config.channels,
            dataset.len(),
        )),
    };
    let history = fit(&mut network, &objective, dataset, &train, &options, monitor)?;
    config.write(job.encoder)?;
    network.write(&job.encoder.join(WEIGHTS_FILE), WeightSet::Encoder)?;
    history
        .write(job.history)
        .map_err(TrainError::io(job.history))
}

/// At most `most` samples, evenly spread.
fn part(samples: Vec<SampleId>, most: usize) -> Vec<SampleId> {
    if samples.len() <= most {
        return samples;
    }
    (0..most)
        .map(|i| samples[i * samples.len() / most])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_spread_over_the_whole() {
        let samples: Vec<SampleId> = (0..10).map(SampleId).collect();
        assert_eq!(
            part(samples.clone(), 3),
            [SampleId(0), SampleId(3), SampleId(6)]
        );
        assert_eq!(part(samples.clone(), 10), samples);
        assert!(part(samples, 0).is_empty());
    }
}
