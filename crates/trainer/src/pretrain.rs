//! A pre-training job from dataset to encoder folder.

use std::path::Path;

use supermoe_channels::{SampleId, Split};

use crate::encoder_artifact::WEIGHTS_FILE;
use crate::error::TrainError;
use crate::job::Job;
use crate::masking::Masking;
use crate::mcp::{MaskedChannelPrediction, McpOptions};
use crate::model::TrainingDevice;
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::WeightSet;
use crate::pretrain_params::PretrainParams;

/// Where pre-training puts its outputs.
pub struct PretrainOutputs<'a> {
    /// A folder that exists.
    pub encoder: &'a Path,
    /// A file that does not.
    pub history: &'a Path,
}

/// Trains on a device, and writes the outputs.
pub fn run<D: TrainingDevice>(
    job: &Job<'_, PretrainParams>,
    outputs: &PretrainOutputs<'_>,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    let options = McpOptions {
        masking: Masking::new(
            dataset.schema(),
            &params.predict,
            params.dense,
            params.mask,
            params.mask_rate,
        )?,
        sampled_softmax: params.sampled_softmax,
        d_model: params.training.d_model,
        seed: job.seed,
        valid: part(dataset.split(Split::Valid), params.valid_samples),
    };
    job.samples()?;
    let layout = InputLayout::new(dataset.schema());
    let (mut network, objective) = job.build(device, &layout, |builder| {
        MaskedChannelPrediction::new(dataset, layout.clone(), options, builder)
    })?;
    let config = job.config();
    let history = job.fit(&mut network, &objective, &config, None, monitor)?;
    config.write(outputs.encoder)?;
    let weights = outputs.encoder.join(WEIGHTS_FILE);
    network.write(&weights, WeightSet::Encoder)?;
    history
        .write(outputs.history)
        .map_err(TrainError::io(outputs.history))
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
