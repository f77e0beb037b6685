//! A prediction job: scores of samples without labels, by a fine-tuned model.

use std::path::Path;

use supermoe_channels::{Dataset, Split};

use crate::error::TrainError;
use crate::export_params::PredictParams;
use crate::model_factory::{ModelFactory, TrainingDevice};
use crate::monitor::Monitor;
use crate::network::WeightSet;
use crate::predictions::{SplitScores, write_predictions};
use crate::task_towers::TaskTowers;
use crate::trained::{Artifact, samples_of};

/// What a prediction is given.
pub struct PredictJob<'a> {
    pub factories: &'a [ModelFactory],
    pub model: Artifact<'a>,
    pub params: PredictParams,
    pub dataset: &'a Dataset,
    /// A folder that exists.
    pub predictions: &'a Path,
}

/// Writes `predictions`; labels are NULL, whether the dataset has any or not.
pub fn run<D: TrainingDevice>(
    job: &PredictJob,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    let dataset = job.dataset;
    // Fails early, and names the splits.
    samples_of(dataset, &job.params.splits)?;
    let trained = job.model.open(
        device,
        job.factories,
        dataset,
        WeightSet::All,
        monitor,
        |config, builder| {
            if config.tasks.is_empty() {
                return Err(job
                    .model
                    .refuse("it has no towers: give the stage a model of `finetune`".to_owned()));
            }
            let towers = TaskTowers::new(&config.tasks, config.d_model, 0.0, builder)?;
            Ok(towers.pooled(config.pooling))
        },
    )?;
    let tasks = &trained.config.tasks;
    let mut parts = Vec::new();
    for split in [Split::Predict, Split::Train, Split::Valid, Split::Test] {
        if !job.params.splits.contains(&split) {
            continue;
        }
        let samples = dataset.split(split);
        let scores = trained.heads.scores(
            &trained.network,
            dataset,
            &trained.layout,
            &samples,
            monitor,
        )?;
        parts.push(SplitScores {
            split,
            labels: vec![vec![f32::NAN; samples.len()]; tasks.len()],
            samples,
            scores,
        });
    }
    write_predictions(job.predictions, dataset, tasks, &parts)
}
