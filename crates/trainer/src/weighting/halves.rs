//! The validation samples in two parts with no entity in common: on one the weights of tasks learn, on
//! the other early stopping and every choice look.

use supermoe_channels::{Dataset, HashPurpose, SampleId, Split, Task, TaskKind, stable_hash};

use crate::error::TrainError;
use crate::labels::Labels;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationHalves {
    pub learning: Vec<SampleId>,
    pub choice: Vec<SampleId>,
}

impl ValidationHalves {
    /// By a hash of the entity alone, so that the halves are the same for any seed and any order.
    pub fn of(dataset: &Dataset) -> ValidationHalves {
        let learns = |sample: &SampleId| {
            let entity = dataset.entity(*sample);
            stable_hash(HashPurpose::ValidationHalf, entity) >> 63 == 0
        };
        let (learning, choice) = dataset.split(Split::Valid).into_iter().partition(learns);
        ValidationHalves { learning, choice }
    }

    /// An error unless each half has samples to rank for each task.
    pub fn check(&self, tasks: &[Task], labels: &Labels<'_>) -> Result<(), TrainError> {
        if self.learning.is_empty() && self.choice.is_empty() {
            return Err(refused(
                "the dataset has no validation samples, and the weights learn on half of them; give \
                 `splits.valid` of `prepare` some"
                    .to_owned(),
            ));
        }
        let halves = [
            ("that the weights learn on", &self.learning),
            ("that early stopping looks at", &self.choice),
        ];
        for (which, samples) in halves {
            for (task, labels) in tasks.iter().zip(labels.of(samples)) {
                if !can_be_ranked(&labels) {
                    let name = &task.name;
                    let found = samples.len();
                    let what = match task.kind {
                        TaskKind::Regression => "two labels",
                        TaskKind::Binary | TaskKind::Multiclass => "two classes",
                    };
                    return Err(refused(format!(
                        "task `{name}` needs labels of {what} in the half of the validation samples {which} \
                         ({found} samples), and has fewer; take the task out of `tasks`, or make the validation \
                         split larger"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn refused(reason: String) -> TrainError {
    TrainError::param("weighting.bilevel_auc", reason)
}

/// Whether any two labels differ; NaN is none.
pub fn can_be_ranked(labels: &[f32]) -> bool {
    let mut known = labels.iter().filter(|label| !label.is_nan());
    let first = known.next();
    known.any(|label| Some(label) != first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tiny_retail;

    fn own(dataset: &Dataset) -> Labels<'_> {
        Labels::own(dataset, vec![0, 1])
    }

    fn entities(dataset: &Dataset, samples: &[SampleId]) -> BTreeSet<String> {
        let entities = samples
            .iter()
            .map(|&sample| dataset.entity(sample).to_owned());
        entities.collect()
    }

    #[test]
    fn no_entity_is_in_both_halves_and_every_sample_in_one() {
        // Every entity has two validation samples.
        let dataset = tiny_retail::dataset_with(300, |schema, samples| {
            for split in &mut samples.split {
                if *split == Split::Test {
                    *split = Split::Valid;
                }
            }
            (schema.splits.valid, schema.splits.test) = (600, 0);
        });
        let halves = ValidationHalves::of(&dataset);
        let (learning, choice) = (
            entities(&dataset, &halves.learning),
            entities(&dataset, &halves.choice),
        );
        assert!(learning.is_disjoint(&choice));
        assert_eq!(learning.len() + choice.len(), 300);
        assert!((100..200).contains(&learning.len()), "{}", learning.len());
        let mut all = [halves.learning.clone(), halves.choice.clone()].concat();
        all.sort();
        assert_eq!(all, dataset.split(Split::Valid));
        assert_eq!(halves, ValidationHalves::of(&dataset));
    }

    #[test]
    fn a_task_of_one_class_in_either_half_is_told() {
        let dataset = tiny_retail::dataset(60);
        let halves = ValidationHalves::of(&dataset);
        let tasks = &dataset.schema().tasks;
        halves.check(tasks, &own(&dataset)).unwrap();
        for (half, which) in [
            (&halves.learning, "that the weights learn on"),
            (&halves.choice, "that early stopping looks at"),
        ] {
            let changed = tiny_retail::dataset_with(60, |_, samples| {
                half.iter()
                    .for_each(|sample| samples.labels[1][sample.index()] = 1.0);
            });
            let error = halves.check(tasks, &own(&changed)).unwrap_err().to_string();
            assert!(
                error.contains("`weighting.bilevel_auc`: task `returns`"),
                "{error}"
            );
            assert!(error.contains(which), "{error}");
        }
        let none = ValidationHalves {
            learning: vec![],
            choice: vec![],
        };
        let error = none.check(tasks, &own(&dataset)).unwrap_err().to_string();
        assert!(error.contains("no validation samples"), "{error}");
    }

    #[test]
    fn labels_that_differ_can_be_ranked() {
        assert!(can_be_ranked(&[f32::NAN, 1.0, 0.0]));
        assert!(!can_be_ranked(&[f32::NAN, 1.0, 1.0]));
        assert!(!can_be_ranked(&[f32::NAN]));
    }
}
