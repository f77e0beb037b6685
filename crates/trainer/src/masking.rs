//! Masked channel prediction's data side: which steps are hidden, what must be told there, and
//! what a copier of the neighbouring step would say.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use supermoe_channels::{DenseSource, FIRST_CODE, MASK_CODE, PackedBatch, Schema};

use crate::error::TrainError;
use crate::mask_targets::{Targets, targets};
use crate::predicted_channel::{Place, PredictedChannel, place_of};
use crate::pretrain_params::{DenseTarget, MaskMode};
use crate::random::{below, unit};

/// Of the picked, this share is hidden by the mask,
const MASK_SHARE: f32 = 0.8;
/// and this share, less the share above, is replaced by a random value. The rest stays.
const MASK_OR_RANDOM_SHARE: f32 = 0.9;

/// What is masked in a dataset, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Masking {
    pub channels: Vec<PredictedChannel>,
    mode: MaskMode,
    rate: f32,
    /// Every running total's column.
    all_totals: Vec<usize>,
}

/// A batch after masking.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedBatch {
    /// As the model sees it.
    pub batch: PackedBatch,
    /// Row-major [N, K]: which dense values are hidden. Those are 0 in `batch.dense`.
    pub hidden: Vec<bool>,
    /// By predicted channel.
    pub targets: Vec<Targets>,
}

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Keep,
    Hide,
    Replace,
}

impl Masking {
    /// # Errors
    /// A name that is no channel, a channel of the snapshot or the entity, a running total, a dense
    /// channel without quantiles that is to be told by its bucket.
    pub fn new(
        schema: &Schema,
        predict: &[String],
        dense: DenseTarget,
        mode: MaskMode,
        rate: f64,
    ) -> Result<Masking, TrainError> {
        let columns = schema.dense_columns();
        let channel_of = |column: usize| match columns[column].source {
            DenseSource::Channel(channel) => Some(&schema.channels[channel]),
            DenseSource::Aggregate(_) => None,
        };
        let total_columns = |wanted: &dyn Fn(&supermoe_channels::Total) -> bool| -> Vec<usize> {
            (0..columns.len())
                .filter(|&column| {
                    channel_of(column)
                        .and_then(|channel| channel.total.as_ref())
                        .is_some_and(wanted)
                })
                .collect()
        };
        let channels = predict
            .iter()
            .map(|name| {
                Ok(PredictedChannel {
                    name: name.clone(),
                    place: place_of(schema, name, dense)?,
                    totals: total_columns(&|total| total.source.contains(name)),
                })
            })
            .collect::<Result<_, TrainError>>()?;
        Ok(Masking {
            channels,
            mode,
            rate: rate as f32,
            all_totals: total_columns(&|_| true),
        })
    }

    /// Masks a batch; the same for the same state of `random`.
    pub fn apply(&self, batch: PackedBatch, random: &mut ChaCha8Rng) -> MaskedBatch {
        let events: Vec<Range<usize>> = (0..batch.len())
            .map(|i| batch.sequence(i))
            // The last row is the snapshot step: no event, so never picked.
            .map(|rows| rows.start..rows.end - 1)
            .collect();
        let picks = self.pick(&batch, &events, random);
        let targets: Vec<Targets> = self
            .channels
            .iter()
            .zip(&picks)
            .map(|(channel, picks)| targets(&batch, channel, &|row| picks[row].is_some(), &events))
            .collect();
        let mut masked = MaskedBatch {
            hidden: vec![false; batch.dense.len()],
            batch,
            targets,
        };
        let originals = masked.batch.clone();
        for (channel, picks) in self.channels.iter().zip(&picks) {
            change(&mut masked, &originals, channel, picks, &events, random);
            self.hide_totals(&mut masked, channel, picks, &events);
        }
        masked
    }

    /// By predicted channel, by row: what is done there; `None` where it is not picked.
    fn pick(
        &self,
        batch: &PackedBatch,
        events: &[Range<usize>],
        random: &mut ChaCha8Rng,
    ) -> Vec<Vec<Option<Action>>> {
        let mut picks = vec![vec![None; batch.tokens()]; self.channels.len()];
        for rows in events {
            let mut visit = None;
            for row in rows.clone() {
                match self.mode {
                    MaskMode::PerStep => {
                        let action = self.draw(random);
                        picks.iter_mut().for_each(|picks| picks[row] = action);
                    }
                    MaskMode::PerChannel => picks
                        .iter_mut()
                        .for_each(|picks| picks[row] = self.draw(random)),
                    MaskMode::Visit => {
                        let action = match visit {
                            Some((number, action)) if number == batch.visit[row] => action,
                            _ => self.draw(random),
                        };
                        visit = Some((batch.visit[row], action));
                        picks.iter_mut().for_each(|picks| picks[row] = action);
                    }
                }
            }
        }
        picks
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Option<Action> {
        if unit(random) >= self.rate {
            return None;
        }
        Some(match unit(random) {
            share if share < MASK_SHARE => Action::Hide,
            share if share < MASK_OR_RANDOM_SHARE => Action::Replace,
            _ => Action::Keep,
        })
    }

    /// A total betrays its source by subtraction from the total before, at the step itself and at
    /// every later one, where the steps between are visible. So it is hidden from the first step
    /// whose source is hidden or replaced to the last event.
    fn hide_totals(
        &self,
        masked: &mut MaskedBatch,
        channel: &PredictedChannel,
        picks: &[Option<Action>],
        events: &[Range<usize>],
    ) {
        let changed = |row: &usize| matches!(picks[*row], Some(Action::Hide | Action::Replace));
        for rows in events {
            let Some(first) = rows.clone().find(changed) else {
                continue;
            };
            for row in first..rows.end {
                channel
                    .totals
                    .iter()
                    .for_each(|&column| masked.hide(row, column));
            }
            if self.mode == MaskMode::Visit {
                for row in rows.clone().filter(changed) {
                    self.all_totals
                        .iter()
                        .for_each(|&column| masked.hide(row, column));
                }
            }
        }
    }
}

impl MaskedBatch {
    fn hide(&mut self, row: usize, column: usize) {
        let place = row * self.batch.dense_width + column;
        self.batch.dense[place] = 0.0;
        self.hidden[place] = true;
    }
}

/// Hides or replaces a channel where it is picked.
fn change(
    masked: &mut MaskedBatch,
    originals: &PackedBatch,
    channel: &PredictedChannel,
    picks: &[Option<Action>],
    events: &[Range<usize>],
    random: &mut ChaCha8Rng,
) {
    for rows in events {
        for row in rows.clone() {
            let Some(action) = picks[row] else { continue };
            match (&channel.place, action) {
                (_, Action::Keep) => {}
                (Place::Codes { index, .. }, Action::Hide) => {
                    masked.batch.codes[*index][row] = MASK_CODE
                }
                (Place::Codes { index, classes, .. }, Action::Replace) => {
                    let real = classes.saturating_sub(FIRST_CODE as usize);
                    masked.batch.codes[*index][row] = if real == 0 {
                        MASK_CODE
                    } else {
                        FIRST_CODE + below(random, real) as u32
                    };
                }
                (Place::Bucket { column, .. } | Place::Number { column }, Action::Hide) => {
                    masked.hide(row, *column)
                }
                (Place::Bucket { column, .. } | Place::Number { column }, Action::Replace) => {
                    let other = &events[below(random, events.len())];
                    let other = other.start + below(random, other.len().max(1));
                    let width = originals.dense_width;
                    masked.batch.dense[row * width + column] =
                        originals.dense[other * width + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
