//! A pre-training job from dataset to encoder folder.

use std::path::Path;

use supermoe_channels::{SampleId, Split};

use crate::encoder_artifact::WEIGHTS_FILE;
use crate::error::TrainError;
use crate::history::History;
use crate::job::{Job, StartingPoint};
use crate::masking::Masking;
use crate::mcp::{MaskedChannelPrediction, McpOptions};
use crate::model_factory::{Pretraining, TrainingDevice};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, WeightSet};
use crate::own_pretraining::OwnPretraining;
use crate::pretrain_params::PretrainParams;
use crate::warm_start::WarmStart;
use crate::weighting::{MethodParams, Weighting, Whole};

/// Training samples that a model's augmentation looks at before its own pre-training.
const AUGMENTATION_SAMPLES: usize = 2048;

/// Where pre-training puts its outputs.
pub struct PretrainOutputs<'a> {
    /// A folder that exists.
    pub encoder: &'a Path,
    /// A file that does not.
    pub history: &'a Path,
}

/// Trains on a device, beginning with the weights in the folder `encoder` where one is given, and writes
/// the outputs.
pub fn run<D: TrainingDevice>(
    job: &Job<'_, PretrainParams>,
    encoder: Option<&Path>,
    outputs: &PretrainOutputs<'_>,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    let valid = part(job.dataset.split(Split::Valid), job.params.valid_samples);
    job.params.training.check_patience(valid.len())?;
    let layout = InputLayout::new(job.dataset.schema());
    let warm = encoder
        .map(|folder| WarmStart::open(folder, job, monitor))
        .transpose()?;
    let (network, history) = match job.factory.pretraining {
        Pretraining::MaskedChannels => masked_channels(job, warm, layout, device, monitor)?,
        Pretraining::Own => own(job, warm, layout, device, monitor)?,
        Pretraining::None => {
            let reason = job.factory.without_pretraining().unwrap_or_default();
            return Err(TrainError::Unsupported(reason));
        }
    };
    job.config().write(outputs.encoder)?;
    job.dataset.write_fitted(outputs.encoder)?;
    let weights = outputs.encoder.join(WEIGHTS_FILE);
    network.write(&weights, WeightSet::Encoder)?;
    history
        .write(outputs.history)
        .map_err(TrainError::io(outputs.history))
}

/// By masked channel prediction.
fn masked_channels<D: TrainingDevice>(
    job: &Job<'_, PretrainParams>,
    warm: Option<WarmStart<'_>>,
    layout: InputLayout,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(Network<D>, History), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    let options = McpOptions {
        masking: Masking::new(
            dataset.schema(),
            params.predicted(job.factory.name)?,
            params.dense,
            params.mask,
            params.mask_rate,
        )?,
        sampled_softmax: params.sampled_softmax,
        d_model: params.training.d_model,
        seed: job.seed,
        future: params.future.params(),
        pooling: params.pooling,
        valid: part(dataset.split(Split::Valid), params.valid_samples),
    };
    let samples = job.samples()?;
    let (mut network, (objective, weighting)) = job.build(device, &layout, &[], |builder| {
        let objective = MaskedChannelPrediction::new(dataset, layout.clone(), options, builder)?;
        let (method, heads) = (params.weighting.method(), objective.weighted_tasks());
        let weighting = Weighting::new(&method, &heads, Whole::Sum, builder)?;
        Ok((objective, weighting))
    })?;
    let config = job.config();
    let start = StartingPoint {
        samples,
        weights: begin_with(warm, job, &mut network)?,
    };
    let history = job.fit(&mut network, &objective, weighting, &config, start, monitor)?;
    Ok((network, history))
}

/// By what the model brings.
fn own<D: TrainingDevice>(
    job: &Job<'_, PretrainParams>,
    warm: Option<WarmStart<'_>>,
    layout: InputLayout,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(Network<D>, History), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    if params.weighting.method() != MethodParams::Equal {
        return Err(TrainError::param(
            "weighting",
            format!(
                "the model `{}` weighs the losses of its own pre-training by itself; leave it out",
                job.factory.name
            ),
        ));
    }
    if params.future.params().is_some() {
        return Err(TrainError::param(
            "future",
            format!(
                "the model `{}` has a pre-training of its own, which masks no channel; leave it out",
                job.factory.name
            ),
        ));
    }
    let samples = job.samples()?;
    let some = part(samples.clone(), AUGMENTATION_SAMPLES);
    let (mut network, ()) = job.build(device, &layout, &[], |_| Ok(()))?;
    let training = layout.input(&dataset.pack(&some), &[])?;
    let objective = OwnPretraining {
        dataset,
        augmentation: network.augmentation(&training)?,
        layout,
        seed: job.seed,
        valid: part(dataset.split(Split::Valid), params.valid_samples),
    };
    let (weighting, config) = (Weighting::none(), job.config());
    let start = StartingPoint {
        samples,
        weights: begin_with(warm, job, &mut network)?,
    };
    let history = job.fit(&mut network, &objective, weighting, &config, start, monitor)?;
    Ok((network, history))
}

/// Puts the weights of an encoder in place, and names them.
fn begin_with<D: TrainingDevice>(
    warm: Option<WarmStart<'_>>,
    job: &Job<'_, PretrainParams>,
    network: &mut Network<D>,
) -> Result<Option<String>, TrainError> {
    warm.map(|warm| warm.read(job, &[], network)).transpose()
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
