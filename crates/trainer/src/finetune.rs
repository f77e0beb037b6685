//! A fine-tuning job from dataset and encoder to model and predictions.

use std::path::Path;

use supermoe_channels::{Dataset, HashPurpose, SampleId, Split, Task, stable_hash};

use crate::encoder_artifact::WEIGHTS_FILE;
use crate::error::TrainError;
use crate::finetune_params::{FinetuneParams, Freeze};
use crate::history::History;
use crate::job::{Job, StartingPoint};
use crate::labels::{Labels, check_labels};
use crate::model_factory::TrainingDevice;
use crate::model_input::InputLayout;
use crate::monitor::Monitor;
use crate::multi_task::{MultiTask, MultiTaskOptions, weighted_tasks};
use crate::network::WeightSet;
use crate::predictions::{SplitScores, write_predictions};
use crate::task_scores::{mean_quality, measure};
use crate::task_towers::TaskTowers;
use crate::warm_start::WarmStart;
use crate::weighting::{MethodParams, ValidationHalves, Weighting, Whole};

/// Where fine-tuning puts its outputs.
pub struct FinetuneOutputs<'a> {
    /// A folder that exists.
    pub model: &'a Path,
    /// A file that does not exist.
    pub history: &'a Path,
    /// A folder that exists.
    pub predictions: &'a Path,
}

/// Trains on a device, beginning with the weights in the folder `encoder` where one is given, and
/// writes the outputs.
pub fn run<D: TrainingDevice>(
    job: &Job<'_, FinetuneParams>,
    encoder: Option<&Path>,
    outputs: &FinetuneOutputs<'_>,
    device: D,
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    let (params, dataset) = (&job.params, job.dataset);
    let indices = plan_tasks(dataset, params)?;
    let tasks: Vec<Task> = indices
        .iter()
        .map(|&task| dataset.schema().tasks[task].clone())
        .collect();
    let method = params.weighting.method();
    let options = MultiTaskOptions {
        validation: validation(dataset, &method),
        labels: if params.shuffle_labels {
            Labels::shuffled(dataset, indices, job.seed)
        } else {
            Labels::own(dataset, indices)
        },
        freeze: params.freeze,
        regression: params.loss,
        loss_mean: params.loss_mean,
    };
    params
        .training
        .check_patience(options.validation.choice.len())?;
    let samples = labelled(dataset, job.samples()?, params.labelled, job.seed)?;
    check_labels(&tasks, &options.labels.of(&samples), monitor)?;
    if matches!(method, MethodParams::BilevelAuc(_)) {
        options.validation.check(&tasks, &options.labels)?;
    }
    warn_of_params(params, encoder.is_some(), monitor);

    let mut config = job.config();
    let warm = encoder
        .map(|folder| WarmStart::open(folder, job, monitor))
        .transpose()?;
    config.tasks = tasks;
    config.pooling = params.pooling;
    let layout = InputLayout::new(dataset.schema());
    let (mut network, (towers, weighting)) =
        job.build(device, &layout, &config.tasks, |builder| {
            let (d_model, dropout) = (params.training.d_model, params.training.dropout);
            let towers = TaskTowers::new(&config.tasks, d_model, dropout as f32, builder)?;
            let towers = towers.pooled(params.pooling);
            let weighted = weighted_tasks(&config.tasks, params.loss);
            let weighting = Weighting::new(&method, &weighted, Whole::Mean, builder)?;
            Ok((towers, weighting))
        })?;
    let measured = options.validation.choice.clone();
    let objective = MultiTask::new(dataset, layout, towers, options);
    let weights = warm
        .map(|warm| warm.read(job, &config.tasks, &mut network))
        .transpose()?;
    let mut history = job.fit(
        &mut network,
        &objective,
        weighting,
        &config,
        StartingPoint { samples, weights },
        monitor,
    )?;

    let mut parts = Vec::new();
    for split in [Split::Valid, Split::Test] {
        let samples = dataset.split(split);
        let part = SplitScores {
            split,
            scores: objective.scores(&network, &samples, monitor)?,
            labels: objective.labels(&samples),
            samples,
        };
        let seen = (split == Split::Valid).then(|| only(&part, &measured));
        let seen = seen.as_ref().unwrap_or(&part);
        tell_scores(&config.tasks, seen, &mut history, monitor);
        parts.push(part);
    }
    config.write(outputs.model)?;
    network.write(&outputs.model.join(WEIGHTS_FILE), WeightSet::All)?;
    write_predictions(outputs.predictions, dataset, &config.tasks, &parts)?;
    history
        .write(outputs.history)
        .map_err(TrainError::io(outputs.history))
}

/// Validation samples: all of them are looked at for choices, unless the weights learn on half.
fn validation(dataset: &Dataset, method: &MethodParams) -> ValidationHalves {
    match method {
        MethodParams::BilevelAuc(_) => ValidationHalves::of(dataset),
        _ => ValidationHalves {
            learning: Vec::new(),
            choice: dataset.split(Split::Valid),
        },
    }
}

/// The samples of this share of the entities, drawn by a hash of seed and entity.
fn labelled(
    dataset: &Dataset,
    mut samples: Vec<SampleId>,
    share: f64,
    seed: u64,
) -> Result<Vec<SampleId>, TrainError> {
    if share < 1.0 {
        let below = (share * u64::MAX as f64) as u64;
        samples.retain(|&sample| {
            let name = format!("{seed}/{}", dataset.entity(sample));
            stable_hash(HashPurpose::Labelled, &name) < below
        });
    }
    if samples.is_empty() {
        let reason = format!("no training sample is of the share {share} of the entities");
        return Err(TrainError::param("labelled", reason));
    }
    Ok(samples)
}

/// The tasks to train, as indices in the schema.
fn plan_tasks(dataset: &Dataset, params: &FinetuneParams) -> Result<Vec<usize>, TrainError> {
    let all = &dataset.schema().tasks;
    if all.is_empty() {
        return Err(TrainError::Dataset(
            "it has no tasks to fine-tune on; name some in `with.tasks` of the `prepare` stage that made it"
                .to_owned(),
        ));
    }
    let Some(names) = &params.tasks else {
        return Ok((0..all.len()).collect());
    };
    let place = |name: &String| {
        let place = all.iter().position(|task| task.name == *name);
        place.ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|task| task.name.as_str()).collect();
            let reason = format!(
                "the dataset has no task `{name}`; it has {}",
                known.join(", ")
            );
            TrainError::param("tasks", reason)
        })
    };
    names.iter().map(place).collect()
}

/// Params that are allowed, and hardly ever meant.
fn warn_of_params(params: &FinetuneParams, has_encoder: bool, monitor: &mut dyn Monitor) {
    let method = params.weighting.method();
    let looks_at_shared = match method {
        MethodParams::GradNorm(_) => Some("gradnorm"),
        MethodParams::PcGrad => Some("pcgrad"),
        MethodParams::BilevelAuc(_) => Some("bilevel_auc"),
        _ => None,
    };
    if let (Some(name), Freeze::Encoder) = (looks_at_shared, params.freeze) {
        monitor.warn(&format!(
            "`weighting: {name}` with `freeze: encoder`: nothing that tasks share learns, so the weights stay \
             equal; leave one of the two out"
        ));
    }
    if params.freeze == Freeze::Encoder && !has_encoder {
        monitor.warn(
            "`freeze: encoder` without an `encoder` input: the encoder stays at its random weights, and \
             only the towers learn; give the stage an encoder of `pretrain`, or leave `freeze` out",
        );
    }
}

/// The part that is of these samples, both ascending.
fn only(part: &SplitScores, samples: &[SampleId]) -> SplitScores {
    let rows = part.samples.iter().enumerate();
    let rows = rows.filter(|(_, sample)| samples.binary_search(sample).is_ok());
    let rows: Vec<usize> = rows.map(|(row, _)| row).collect();
    let width = |scores: &Vec<f64>| scores.len() / part.samples.len().max(1);
    let of = |scores: &Vec<f64>| {
        let width = width(scores);
        let rows = rows.iter().flat_map(|row| &scores[row * width..][..width]);
        rows.copied().collect()
    };
    SplitScores {
        split: part.split,
        samples: rows.iter().map(|&row| part.samples[row]).collect(),
        scores: part.scores.iter().map(of).collect(),
        labels: part
            .labels
            .iter()
            .map(|labels| rows.iter().map(|&row| labels[row]).collect())
            .collect(),
    }
}

/// Of the weights that are kept, as the tasks' own: the last epoch's may be another.
fn tell_scores(
    tasks: &[Task],
    part: &SplitScores,
    history: &mut History,
    monitor: &mut dyn Monitor,
) {
    let split = part.split;
    let of_tasks = tasks.iter().zip(&part.scores).zip(&part.labels);
    let measured: Vec<_> = of_tasks
        .map(|((task, scores), labels)| measure(task, scores, labels))
        .collect();
    if let Some(mean) = mean_quality(&measured).filter(|_| split == Split::Valid) {
        monitor.metric("valid/mean_auc", mean, None);
    }
    for (task, measured) in tasks.iter().zip(&measured) {
        if measured.quality.is_none() {
            monitor.warn(&format!(
                "task `{}` cannot be ranked on the {split} split: its labelled samples ({} in the split) do not differ",
                task.name,
                part.samples.len()
            ));
        }
        for (what, value) in &measured.metrics {
            let name = format!("{split}/{}/{what}", task.name);
            monitor.metric(&name, *value, None);
            if split == Split::Test {
                history.record_last(&name, *value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny_retail;

    #[test]
    fn tasks_are_planned_in_the_order_asked_for() {
        let dataset = tiny_retail::dataset(4);
        let params = |tasks: &str| -> FinetuneParams {
            serde_json::from_str(&format!(r#"{{ "model": "m", "tasks": {tasks} }}"#)).unwrap()
        };
        let planned = plan_tasks(&dataset, &params(r#"["returns", "buys"]"#)).unwrap();
        assert_eq!(planned, [1, 0]);
        assert_eq!(plan_tasks(&dataset, &params("null")).unwrap(), [0, 1]);
        let told = params(r#"["buys", "buys"]"#).check().unwrap_err();
        assert_eq!(told.to_string(), "`tasks`: task `buys` stands twice");
    }
}
