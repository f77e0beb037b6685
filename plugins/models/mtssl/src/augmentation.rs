//! Two views of each user: correlated feature masking, then dropout of steps.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use supermoe_channels::MASK_CODE;
use supermoe_nn::Offsets;
use supermoe_nn::ops::DenseInput;
use supermoe_trainer::random::{below, shuffle, unit};
use supermoe_trainer::{Augmentation, ModelInput, TrainError, events_and_snapshot};

use crate::correlation::{Feature, features, neighbours};
use crate::params::FeatureMasking;

/// See the module.
pub struct Views {
    features: Vec<Feature>,
    /// By feature: the others, that with the most mutual information first.
    neighbours: Vec<Vec<usize>>,
    masking: FeatureMasking,
    step_dropout: f32,
}

impl Views {
    /// Measures on training samples which features belong together.
    ///
    /// # Errors
    /// Fewer than two features: a view would have nothing left.
    pub fn new(
        training: &ModelInput,
        masking: FeatureMasking,
        step_dropout: f32,
    ) -> Result<Views, TrainError> {
        let features = features(training);
        if features.len() < 2 {
            return Err(TrainError::Dataset(format!(
                "`mtssl` hides some features and shows the others, and it has {}: expected at least 2 \
                 channels and aggregates",
                features.len()
            )));
        }
        Ok(Views {
            neighbours: neighbours(training, &features),
            features,
            masking,
            step_dropout,
        })
    }

    /// Which features the first view hides, half of them; the second hides the others.
    fn hidden(&self, random: &mut ChaCha8Rng) -> Vec<bool> {
        let count = self.features.len();
        let half = count / 2;
        let seed = below(random, count);
        let others = match self.masking {
            FeatureMasking::Correlated => self.neighbours[seed].clone(),
            FeatureMasking::Random => {
                let mut others = self.neighbours[seed].clone();
                shuffle(&mut others, random);
                others
            }
        };
        let mut hidden = vec![false; count];
        hidden[seed] = true;
        others[..half - 1]
            .iter()
            .for_each(|&other| hidden[other] = true);
        hidden
    }

    /// The rows of one view: the snapshot steps, and the events that are not left out. Of a user with
    /// events the newest stays where no other does.
    fn rows(&self, input: &ModelInput, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let users = input.offsets.ranges().map(events_and_snapshot);
        users
            .map(|(events, snapshot)| {
                let newest = events.clone().last();
                let mut rows: Vec<usize> = events
                    .filter(|_| unit(random) >= self.step_dropout)
                    .collect();
                if rows.is_empty() {
                    rows.extend(newest);
                }
                rows.push(snapshot);
                rows
            })
            .collect()
    }
}

impl Augmentation for Views {
    /// 2 B sequences: the first views of all users, then the second ones.
    fn augment(
        &self,
        batch: &ModelInput,
        random: &mut ChaCha8Rng,
    ) -> Result<ModelInput, TrainError> {
        let first = self.hidden(random);
        let second: Vec<bool> = first.iter().map(|hidden| !hidden).collect();
        let mut joined = Joined::of(batch);
        for hidden in [first, second] {
            let rows = self.rows(batch, random);
            joined.add(batch, &rows, &self.hides(batch, &hidden));
        }
        joined.finish(batch)
    }
}

/// What one view hides.
struct Hides {
    /// By channel of codes.
    codes: Vec<bool>,
    /// By column of the dense input.
    columns: Vec<bool>,
}

impl Views {
    fn hides(&self, batch: &ModelInput, hidden: &[bool]) -> Hides {
        let mut hides = Hides {
            codes: vec![false; batch.codes.len()],
            columns: vec![false; batch.dense.channels],
        };
        for (feature, &hidden) in self.features.iter().zip(hidden) {
            match *feature {
                Feature::Codes(channel) => hides.codes[channel] = hidden,
                Feature::Dense(column) => hides.columns[column] = hidden,
            }
        }
        hides
    }
}

/// Views, one after the other.
struct Joined {
    lengths: Vec<usize>,
    position: Vec<u32>,
    codes: Vec<Vec<u32>>,
    values: Vec<f32>,
    masked: Vec<bool>,
}

impl Joined {
    fn of(batch: &ModelInput) -> Joined {
        Joined {
            lengths: Vec::new(),
            position: Vec::new(),
            codes: vec![Vec::new(); batch.codes.len()],
            values: Vec::new(),
            masked: Vec::new(),
        }
    }

    fn add(&mut self, batch: &ModelInput, rows: &[Vec<usize>], hides: &Hides) {
        self.lengths.extend(rows.iter().map(Vec::len));
        let dense = &batch.dense;
        for &row in rows.iter().flatten() {
            self.position.push(batch.position[row]);
            for ((to, codes), hidden) in self.codes.iter_mut().zip(&batch.codes).zip(&hides.codes) {
                to.push(if *hidden { MASK_CODE } else { codes[row] });
            }
            let values = &dense.values[row * dense.channels..][..dense.channels];
            let shown = values.iter().zip(&hides.columns);
            // A standardised number's mean stands for one that is hidden.
            self.values
                .extend(shown.map(|(value, hidden)| if *hidden { 0.0 } else { *value }));
            let maskable = dense.maskable.iter();
            self.masked
                .extend(maskable.map(|&column| hides.columns[column]));
        }
    }

    fn finish(self, batch: &ModelInput) -> Result<ModelInput, TrainError> {
        Ok(ModelInput {
            offsets: Offsets::from_lengths(&self.lengths)?,
            position: self.position.into(),
            codes: self.codes.into_iter().map(Arc::from).collect(),
            dense: DenseInput {
                values: self.values.into(),
                channels: batch.dense.channels,
                maskable: Arc::clone(&batch.dense.maskable),
                masked: self.masked.into(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// 200 users with one to three events: the first channel of codes and the first number tell the same,
    /// so do the second ones; the two pairs are independent.
    fn users() -> ModelInput {
        let (mut lengths, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        let mut values = Vec::new();
        for user in 0..200u32 {
            let events = 1 + user % 3;
            for event in 0..=events {
                let snapshot = event == events;
                let (a, b) = (user % 5, user / 5 % 5);
                first.push(if snapshot { MASK_CODE } else { 3 + a });
                second.push(if snapshot { MASK_CODE } else { 3 + b });
                let shown = if snapshot { 0.0 } else { 1.0 };
                values.extend([a as f32 * shown, b as f32 * shown]);
            }
            lengths.push(events as usize + 1);
        }
        let rows = first.len();
        ModelInput {
            offsets: Offsets::from_lengths(&lengths).unwrap(),
            position: vec![0; rows].into(),
            codes: vec![first.into(), second.into()],
            dense: DenseInput {
                values: values.into(),
                channels: 2,
                maskable: vec![0, 1].into(),
                masked: Arc::default(),
            },
        }
    }

    fn views(masking: FeatureMasking) -> Views {
        Views::new(&users(), masking, 0.5).unwrap()
    }

    /// How often of 100 draws a pair that tells the same is torn apart.
    fn torn(masking: FeatureMasking) -> usize {
        let views = views(masking);
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let draws = (0..100).map(|_| views.hidden(&mut random));
        draws
            .filter(|hidden| hidden[0] != hidden[2] || hidden[1] != hidden[3])
            .count()
    }

    #[test]
    fn features_that_tell_the_same_are_hidden_together() {
        assert_eq!(torn(FeatureMasking::Correlated), 0);
        assert!(torn(FeatureMasking::Random) > 40);
    }

    #[test]
    fn each_feature_is_hidden_in_one_view_and_in_no_row_of_the_other() {
        let views = views(FeatureMasking::Correlated);
        let batch = users();
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let both = views.augment(&batch, &mut random).unwrap();
        assert_eq!(both.offsets.sequences(), 400);
        let middle = both.offsets.range(200).start;
        let rows = both.offsets.rows();
        for feature in 0..2 {
            let hidden = [0..middle, middle..rows].map(|rows| {
                let codes = &both.codes[feature][rows.clone()];
                let in_codes = codes.iter().all(|&code| code == MASK_CODE);
                let in_numbers = rows.clone().all(|row| both.dense.masked[row * 2 + feature]);
                assert_eq!(in_codes, in_numbers, "a pair goes together");
                in_codes
            });
            assert_ne!(hidden[0], hidden[1]);
        }
    }

    #[test]
    fn views_leave_out_events_of_their_own_and_never_all() {
        let views = views(FeatureMasking::Correlated);
        let batch = users();
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (first, second) = (
            views.rows(&batch, &mut random),
            views.rows(&batch, &mut random),
        );
        assert_ne!(first, second);
        let left: usize = first.iter().map(|rows| rows.len() - 1).sum();
        let events = batch.offsets.rows() - 200;
        assert!(
            (0.5..0.8).contains(&(left as f64 / events as f64)),
            "{left} of {events}"
        );
        for (rows, all) in first.iter().zip(batch.offsets.ranges()) {
            assert!(rows.len() >= 2 && rows.last() == Some(&(all.end - 1)));
        }
    }

    #[test]
    fn one_feature_is_too_few() {
        let mut batch = users();
        batch.codes.clear();
        batch.dense.channels = 1;
        let error = Views::new(&batch, FeatureMasking::Correlated, 0.1)
            .err()
            .unwrap();
        assert!(error.to_string().contains("at least 2"), "{error}");
    }
}
