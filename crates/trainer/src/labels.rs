//! The labels of samples by task, their own or exchanged, and whether they are enough to learn from.

use supermoe_channels::{Dataset, SampleId, Split, Task, TaskKind};

use crate::error::TrainError;
use crate::monitor::Monitor;
use crate::random::{Purpose, shuffle, stream};

/// Fewer training samples than this on one side of a binary task are warned of.
const FEW: usize = 10;

/// Whose labels a sample has: its own, or, as a sanity check, those of another of its split.
pub struct Labels<'a> {
    dataset: &'a Dataset,
    /// Indices in the schema.
    tasks: Vec<usize>,
    source: Option<Vec<SampleId>>,
}

impl<'a> Labels<'a> {
    /// Every sample has its own. `tasks` are indices in the schema.
    pub fn own(dataset: &'a Dataset, tasks: Vec<usize>) -> Labels<'a> {
        Labels {
            dataset,
            tasks,
            source: None,
        }
    }

    /// The labels of samples are exchanged within each split.
    pub fn shuffled(dataset: &'a Dataset, tasks: Vec<usize>, seed: u64) -> Labels<'a> {
        let mut source: Vec<SampleId> = (0..dataset.len() as u32).map(SampleId).collect();
        for (number, split) in Split::ALL.into_iter().enumerate() {
            let samples = dataset.split(split);
            let mut mixed = samples.clone();
            shuffle(
                &mut mixed,
                &mut stream(seed, Purpose::ShuffleLabels, number as u64, 0),
            );
            for (sample, from) in samples.into_iter().zip(mixed) {
                source[sample.index()] = from;
            }
        }
        Labels {
            dataset,
            tasks,
            source: Some(source),
        }
    }

    /// By task, in the order of samples; NaN where there is none.
    pub fn of(&self, samples: &[SampleId]) -> Vec<Vec<f32>> {
        let source = |sample: SampleId| match &self.source {
            None => sample,
            Some(source) => source[sample.index()],
        };
        let of_task = |&task: &usize| {
            let labels = samples.iter();
            labels
                .map(|&sample| self.dataset.label(source(sample), task))
                .collect()
        };
        self.tasks.iter().map(of_task).collect()
    }
}

/// An error unless the labels of the training samples differ in each task; few are warned of.
pub fn check_labels(
    tasks: &[Task],
    labels: &[Vec<f32>],
    monitor: &mut dyn Monitor,
) -> Result<(), TrainError> {
    for (task, labels) in tasks.iter().zip(labels) {
        let name = &task.name;
        let known: Vec<f32> = labels.iter().copied().filter(|y| !y.is_nan()).collect();
        let Some(&first) = known.first() else {
            return Err(TrainError::Dataset(format!(
                "no training sample has a label of task `{name}`"
            )));
        };
        if let Some(label) = known.iter().find(|label| !label.is_finite()) {
            return Err(TrainError::Dataset(format!(
                "task `{name}` has the label {label}: expected finite numbers"
            )));
        }
        if known.iter().all(|&label| label == first) {
            let class = match task.kind {
                TaskKind::Multiclass => task.classes.get(first as usize),
                TaskKind::Binary | TaskKind::Regression => None,
            };
            let label = class.map_or_else(|| first.to_string(), |class| format!("`{class}`"));
            return Err(TrainError::Dataset(format!(
                "task `{name}` is {label} for all {} labelled training samples: there is nothing to tell apart",
                known.len()
            )));
        }
        if task.kind == TaskKind::Binary {
            let positives = known.iter().filter(|label| **label > 0.5).count();
            let negatives = known.len() - positives;
            if positives.min(negatives) < FEW {
                monitor.warn(&format!(
                    "task `{name}` has {positives} positive and {negatives} negative training samples: few to learn from"
                ));
            }
        }
    }
    Ok(())
}
