//! What entities do after a snapshot, as the training samples of their later snapshots show it: targets of
//! pre-training that need no label. Nothing after the newest training snapshot is looked at.

use std::collections::HashMap;

use supermoe_channels::{Dataset, SampleId, Split};

use crate::error::TrainError;
use crate::mask_targets::Targets;
use crate::predicted_channel::{PredictedChannel, value_at};
use crate::pretrain_params::FutureParams;

/// See the module.
pub struct Future<'a> {
    dataset: &'a Dataset,
    /// How many training snapshots ahead; ascending.
    horizons: Vec<usize>,
    /// The most following steps of a sample whose channels are told.
    steps: usize,
    /// When the training snapshots are, ascending. Milliseconds since 1970-01-01 UTC.
    snapshots: Vec<i64>,
    /// By entity and place of the snapshot.
    samples: HashMap<(u32, usize), SampleId>,
}

/// What follows the samples of a batch.
pub struct Following {
    /// By horizon, then by sample: 1 where there is a step before that snapshot, else 0; NaN where the
    /// snapshot is after the newest of training.
    pub active: Vec<Vec<f32>>,
    /// By horizon, then by sample: ln(1 + visits before that snapshot); NaN as above.
    pub visits: Vec<Vec<f32>>,
    /// By channel: the values of the steps that follow; the rows are places in the batch.
    pub values: Vec<Targets>,
}

impl<'a> Future<'a> {
    /// # Errors
    /// Fewer training snapshots than the nearest horizon needs.
    pub fn new(dataset: &'a Dataset, params: &FutureParams) -> Result<Future<'a>, TrainError> {
        let training = dataset.split(Split::Train);
        let mut snapshots: Vec<i64> = training
            .iter()
            .map(|&sample| dataset.snapshot_ms(sample))
            .collect();
        snapshots.sort_unstable();
        snapshots.dedup();
        let furthest = params.snapshots.iter().copied().max().unwrap_or_default();
        if snapshots.len() <= furthest {
            return Err(TrainError::param(
                "future.snapshots",
                format!(
                    "{furthest} snapshots ahead needs at least {} snapshots in the training split, and it has {}; \
                     look less far ahead, or give `splits.train` of `prepare` more snapshots",
                    furthest + 1,
                    snapshots.len()
                ),
            ));
        }
        let mut future = Future {
            dataset,
            horizons: params.snapshots.clone(),
            steps: params.steps,
            snapshots,
            samples: HashMap::with_capacity(training.len()),
        };
        future.horizons.sort_unstable();
        for sample in training {
            if let Some(place) = future.place(sample) {
                let entity = dataset.entity_index(sample);
                future.samples.insert((entity, place), sample);
            }
        }
        Ok(future)
    }

    /// How many training snapshots ahead; ascending.
    pub fn horizons(&self) -> &[usize] {
        &self.horizons
    }

    /// What follows each of the samples.
    pub fn following(&self, samples: &[SampleId], channels: &[PredictedChannel]) -> Following {
        let mut following = Following {
            active: Vec::new(),
            visits: Vec::new(),
            values: vec![Targets::default(); channels.len()],
        };
        for &horizon in &self.horizons {
            let counts = samples.iter().map(|&sample| self.visits(sample, horizon));
            let (active, visits) = counts
                .map(|visits| match visits {
                    Some((steps, visits)) => (f32::from(steps > 0), (visits as f32).ln_1p()),
                    None => (f32::NAN, f32::NAN),
                })
                .unzip();
            following.active.push(active);
            following.visits.push(visits);
        }
        let pairs = samples.iter().enumerate();
        let pairs: Vec<(usize, SampleId, usize)> = pairs
            .filter_map(|(row, &sample)| {
                let (later, steps) = self.later(sample)?;
                Some((row, later, steps))
            })
            .collect();
        let later: Vec<SampleId> = pairs.iter().map(|&(_, later, _)| later).collect();
        let batch = self.dataset.pack(&later);
        for (channel, targets) in channels.iter().zip(&mut following.values) {
            for (place, &(row, _, steps)) in pairs.iter().enumerate() {
                // The last row is the snapshot step.
                let events = batch.sequence(place);
                let events = events.start..events.end - 1;
                let first = events.end - steps.min(events.len());
                for event in (first..events.end).take(self.steps) {
                    if let Some(value) = value_at(&batch, &channel.place, event) {
                        targets.rows.push(row as u32);
                        targets.values.push(value);
                        targets.copies.push(None);
                    }
                }
            }
        }
        following
    }

    /// Place of a sample's snapshot; none where it is no snapshot of training.
    fn place(&self, sample: SampleId) -> Option<usize> {
        let at = self.dataset.snapshot_ms(sample);
        self.snapshots.binary_search(&at).ok()
    }

    /// Steps and visits after a sample's snapshot and before the one so many ahead; `None` where that one
    /// is none of training.
    fn visits(&self, sample: SampleId, horizon: usize) -> Option<(usize, u32)> {
        let place = self.place(sample)? + horizon;
        if place >= self.snapshots.len() {
            return None;
        }
        let later = self.sample(sample, place);
        Some(later.map_or((0, 0), |later| self.between(sample, later)))
    }

    /// The sample of the furthest horizon that shows a step after this one's, and how many it shows.
    fn later(&self, sample: SampleId) -> Option<(SampleId, usize)> {
        let place = self.place(sample)?;
        self.horizons.iter().rev().find_map(|horizon| {
            let later = self.sample(sample, place + horizon)?;
            let (steps, _) = self.between(sample, later);
            (steps > 0).then_some((later, steps))
        })
    }

    /// The training sample of the same entity at another snapshot. Where there is none, the entity has
    /// no step in the history of that snapshot.
    fn sample(&self, of: SampleId, place: usize) -> Option<SampleId> {
        let entity = self.dataset.entity_index(of);
        self.samples.get(&(entity, place)).copied()
    }

    fn between(&self, sample: SampleId, later: SampleId) -> (usize, u32) {
        let (step, visit) = self.dataset.newest_step(sample);
        let (later_step, later_visit) = self.dataset.newest_step(later);
        (later_step - step, later_visit - visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicted_channel::{Value, place_of};
    use crate::pretrain_params::DenseTarget;
    use crate::tiny_retail;

    fn params(snapshots: Vec<usize>, steps: usize) -> FutureParams {
        FutureParams {
            snapshots,
            steps,
            weight: 1.0,
        }
    }

    #[test]
    fn what_follows_is_what_the_next_training_snapshot_adds() {
        let dataset = tiny_retail::dataset(6);
        let future = Future::new(&dataset, &params(vec![1], 16)).unwrap();
        let product = PredictedChannel {
            name: "product".into(),
            place: place_of(dataset.schema(), "product", DenseTarget::Buckets).unwrap(),
            totals: vec![],
        };
        let training = dataset.split(Split::Train);
        let (first, second) = training.split_at(6);
        let following = future.following(first, std::slice::from_ref(&product));
        for row in 0..6 {
            let (sample, later) = (first[row], second[row]);
            let new = dataset.tokens(later) - dataset.tokens(sample);
            assert_eq!(following.active[0][row], f32::from(new > 0));
            let told: Vec<Value> = (following.values[0].rows.iter())
                .zip(&following.values[0].values)
                .filter(|(of, _)| **of == row as u32)
                .map(|(_, value)| *value)
                .collect();
            let all = dataset.pack(&[later]).codes[0].clone();
            let events = &all[..all.len() - 1];
            let expected: Vec<Value> = events[events.len() - new..]
                .iter()
                .filter(|&&code| code >= supermoe_channels::FIRST_CODE)
                .map(|&code| Value::Class(code))
                .collect();
            assert_eq!(told, expected);
        }
        // Nothing is known of what follows the newest training snapshot, though validation shows it.
        let following = future.following(second, &[product]);
        assert!(following.active[0].iter().all(|label| label.is_nan()));
        assert!(following.visits[0].iter().all(|label| label.is_nan()));
        assert!(following.values[0].rows.is_empty());
    }

    #[test]
    fn at_most_so_many_of_the_nearest_steps_are_told() {
        // All four snapshots are of training: the furthest shows several steps more.
        let dataset = tiny_retail::dataset_with(6, |schema, samples| {
            samples.split.fill(Split::Train);
            schema.splits = supermoe_channels::SplitCounts {
                train: 24,
                valid: 0,
                test: 0,
                predict: 0,
            };
        });
        let Ok(future) = Future::new(&dataset, &params(vec![3], 1)) else {
            panic!("four training snapshots are enough")
        };
        let amount = PredictedChannel {
            name: "amount".into(),
            place: place_of(dataset.schema(), "amount", DenseTarget::Squared).unwrap(),
            totals: vec![],
        };
        let first = &dataset.split(Split::Train)[..6];
        let following = future.following(first, &[amount]);
        let active: f32 = following.active[0].iter().sum();
        assert!(following.visits[0].iter().any(|visits| *visits > 2f32.ln()));
        assert_eq!(following.values[0].rows.len(), active as usize);
    }

    #[test]
    fn too_few_snapshots_are_refused() {
        let dataset = tiny_retail::dataset(6);
        let refused = Future::new(&dataset, &params(vec![1, 2], 16)).err();
        assert_eq!(
            refused.map(|error| error.to_string()).unwrap_or_default(),
            "`future.snapshots`: 2 snapshots ahead needs at least 3 snapshots in the training split, and it has 2; \
             look less far ahead, or give `splits.train` of `prepare` more snapshots"
        );
    }
}
