//! A fine-tuning job from dataset and encoder to model and predictions.

use std::path::Path;

use serde_json::{Map, Value};
use supermoe_channels::{Dataset, SampleId, Split, TaskKind};
use supermoe_nn::Cpu;

use crate::channel_fingerprint::ChannelFingerprint;
use crate::encoder_artifact::{ArtifactConfig, WEIGHTS_FILE};
use crate::error::TrainError;
use crate::finetune_params::{FinetuneParams, Freeze};
use crate::fit::{FitOptions, fit, job_digest};
use crate::model::{InputShape, ModelFactory};
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::network::{Network, WeightSet};
use crate::predictions::{SplitScores, write_predictions};
use crate::task_scores::{mean_auc, task_scores};
use crate::towers::{Labels, TaskPlan, TowerOptions, Towers};

/// What fine-tuning is given.
pub struct FinetuneJob<'a> {
    pub factory: &'a ModelFactory,
    /// The model's params with all defaults.
    pub model_params: Map<String, Value>,
    pub params: FinetuneParams,
    pub seed: u64,
    pub dataset: &'a Dataset,
    /// The folder of an encoder to begin with.
    pub encoder: Option<&'a Path>,
    /// A folder that exists.
    pub model: &'a Path,
    /// A file that does not exist.
    pub history: &'a Path,
    /// A folder that exists.
    pub predictions: &'a Path,
}

/// Trains, and writes `model`, `history` and `predictions`.
pub fn run(job: &FinetuneJob, monitor: &mut dyn Monitor) -> Result<(), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    let tasks = plan_tasks(dataset, params, monitor)?;
    if params.freeze == Freeze::Encoder && job.encoder.is_none() {
        monitor.warn(
            "`freeze: encoder` without an `encoder` input: the encoder stays at its random weights, and \
             only the towers learn; give the stage an encoder of `pretrain`, or leave `freeze` out",
        );
    }
    let layout = InputLayout::new(dataset.schema());
    let shape = InputShape {
        schema: dataset.schema(),
        d_model: params.d_model,
        dropout: params.dropout as f32,
        maskable: &layout.maskable,
    };
    let mut config = ArtifactConfig::new(
        job.factory.name,
        job.factory.revision,
        params.d_model,
        job.model_params.clone(),
        ChannelFingerprint::of(dataset),
    );
    let encoder = match job.encoder {
        Some(folder) => Some((folder, ArtifactConfig::read(folder)?)),
        None => None,
    };
    if let Some((_, encoder)) = &encoder {
        encoder.check_usable_as(&config, job.factory.training_params)?;
    }
    let train = dataset.split(Split::Train);
    let (mut network, towers) = Network::build(Cpu::default(), job.seed, |builder| {
        let model = job.factory.build(&job.model_params, &shape, builder)?;
        let labels = if params.shuffle_labels {
            Labels::shuffled(dataset, job.seed)
        } else {
            Labels::own()
        };
        let options = TowerOptions {
            tasks: tasks.clone(),
            labels,
            freeze: params.freeze,
            encoder_rate_factor: params.encoder_rate_factor,
            dropout: params.dropout as f32,
            d_model: params.d_model,
        };
        Ok((
            model,
            Towers::new(dataset, layout.clone(), options, builder)?,
        ))
    })?;
    check_labels(&towers, &tasks, &train, monitor)?;
    let mut weights = None;
    if let Some((folder, _)) = &encoder {
        let path = folder.join(WEIGHTS_FILE);
        network.read(&path, WeightSet::Encoder)?;
        let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
        weights = Some(blake3::hash(&bytes).to_hex().to_string());
    }
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
            weights,
        )),
    };
    let mut history = fit(&mut network, &towers, dataset, &train, &options, monitor)?;

    let mut splits = Vec::new();
    for split in [Split::Valid, Split::Test] {
        let samples = dataset.split(split);
        let scores = towers.scores(&network, &samples, monitor)?;
        splits.push((split, samples, scores));
    }
    tell_test_scores(&towers, &tasks, &splits, &mut history, monitor);
    config.tasks = tasks.iter().map(|plan| plan.name.clone()).collect();
    config.write(job.model)?;
    network.write(&job.model.join(WEIGHTS_FILE), WeightSet::All)?;
    let labels: Vec<Vec<f32>> = splits
        .iter()
        .map(|(_, samples, _)| towers.labels(samples))
        .collect();
    let parts: Vec<SplitScores> = splits
        .iter()
        .zip(&labels)
        .map(|((split, samples, scores), labels)| SplitScores {
            split: *split,
            samples,
            scores,
            labels,
        })
        .collect();
    write_predictions(job.predictions, dataset, &towers.task_indices(), &parts)?;
    history
        .write(job.history)
        .map_err(TrainError::io(job.history))
}

/// The tasks to train, with their weights.
fn plan_tasks(
    dataset: &Dataset,
    params: &FinetuneParams,
    monitor: &mut dyn Monitor,
) -> Result<Vec<TaskPlan>, TrainError> {
    let all = &dataset.schema().tasks;
    let known = || {
        all.iter()
            .map(|task| task.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if all.is_empty() {
        return Err(TrainError::Dataset(
            "it has no tasks to fine-tune on; name some in `with.tasks` of the `prepare` stage that made it"
                .to_owned(),
        ));
    }
    let names: Vec<String> = match &params.tasks {
        Some(names) => names.clone(),
        None => all.iter().map(|task| task.name.clone()).collect(),
    };
    let weights = params.task_weights(&names)?;
    if weights.iter().all(|weight| *weight == 0.0) {
        monitor.warn(
            "`weighting.fixed`: every task has weight 0, so none is learned from; give at least one a \
             weight above 0",
        );
    }
    names
        .into_iter()
        .zip(weights)
        .map(|(name, weight)| {
            let Some(task) = all.iter().position(|task| task.name == name) else {
                let reason = format!("the dataset has no task `{name}`; it has {}", known());
                return Err(TrainError::param("tasks", reason));
            };
            match all[task].kind {
                TaskKind::Binary => Ok(TaskPlan { task, name, weight }),
            }
        })
        .collect()
}

/// A task must have both labels among the training samples.
fn check_labels(
    towers: &Towers,
    tasks: &[TaskPlan],
    train: &[SampleId],
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    if train.is_empty() {
        return Err(TrainError::Dataset(
            "its training split has no samples".to_owned(),
        ));
    }
    let labels = towers.labels(train);
    for (column, plan) in tasks.iter().enumerate() {
        let of_task = || labels.iter().skip(column).step_by(tasks.len());
        let positives = of_task().filter(|label| **label > 0.5).count();
        let negatives = of_task().filter(|label| **label <= 0.5).count();
        let name = &plan.name;
        match (positives, negatives) {
            (0, 0) => {
                return Err(TrainError::Dataset(format!(
                    "no training sample has a label of task `{name}`"
                )));
            }
            (0, _) => {
                return Err(TrainError::Dataset(format!(
                    "task `{name}` is 0 for all {negatives} labelled training samples: there is nothing to tell apart"
                )));
            }
            (_, 0) => {
                return Err(TrainError::Dataset(format!(
                    "task `{name}` is 1 for all {positives} labelled training samples: there is nothing to tell apart"
                )));
            }
            (positives, negatives) if positives.min(negatives) < 10 => {
                monitor.warn(&format!(
                    "task `{name}` has {positives} positive and {negatives} negative training samples: few to learn from"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn tell_test_scores(
    towers: &Towers,
    tasks: &[TaskPlan],
    splits: &[(Split, Vec<SampleId>, Vec<f64>)],
    history: &mut crate::history::History,
    monitor: &mut dyn Monitor,
) {
    for (split, samples, scores) in splits {
        let measured = task_scores(scores, &towers.labels(samples), tasks.len());
        // Of the weights that are kept, as the tasks' own: the last epoch's may be another.
        if let Some(mean) = mean_auc(&measured).filter(|_| *split == Split::Valid) {
            monitor.metric("valid/mean_auc", mean, None);
        }
        for (plan, measured) in tasks.iter().zip(&measured) {
            if measured.auc.is_none() {
                monitor.warn(&format!(
                    "task `{}` has no AUC on the {split} split: its labelled samples ({} in the split) are not of both classes",
                    plan.name,
                    samples.len()
                ));
            }
            for (what, value) in [("auc", measured.auc), ("logloss", measured.log_loss)] {
                if let Some(value) = value {
                    let name = format!("{split}/{}/{what}", plan.name);
                    monitor.metric(&name, value, None);
                    if *split == Split::Test {
                        history.record_last(&name, value);
                    }
                }
            }
        }
    }
}
