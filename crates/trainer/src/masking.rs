//! Masked channel prediction's data side: which steps are hidden, what must be told there, and
//! what a copier of the neighbouring step would say.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use supermoe_channels::{DenseSource, FIRST_CODE, MASK_CODE, PackedBatch, Schema};

use crate::error::TrainError;
use crate::pretrain_params::MaskMode;
use crate::random::{below, unit};

/// Of the picked, this share is hidden by the mask,
const MASK_SHARE: f32 = 0.8;
/// and this share, less the share above, is replaced by a random value. The rest stays.
const MASK_OR_RANDOM_SHARE: f32 = 0.9;

/// A channel that is masked and predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedChannel {
    pub name: String,
    pub place: Place,
    /// Columns of the dense input that betray this channel: totals with it as their source.
    pub totals: Vec<usize>,
    /// Number of classes of its head: codes of the vocabulary, or buckets.
    pub classes: usize,
}

/// Where a channel stands in a packed batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Index in [`PackedBatch::codes`]; the class is the code.
    Codes { index: usize },
    /// Column of [`PackedBatch::dense`]; the class is the bucket between these ascending bounds.
    Dense { column: usize, bounds: Vec<f32> },
}

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

/// What one head must tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Targets {
    /// Rows of the batch, ascending. [P]
    pub rows: Vec<u32>,
    /// The class at each row. [P]
    pub classes: Vec<u32>,
    /// At how many of the rows the nearest event that is not picked has the same class.
    pub copied_right: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Keep,
    Hide,
    Replace,
}

impl Masking {
    /// # Errors
    /// A name that is no channel, a channel of the snapshot, a running total, a dense channel
    /// without buckets.
    pub fn new(
        schema: &Schema,
        predict: &[String],
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
                let (place, classes) = place_of(schema, name)?;
                let totals = total_columns(&|total| total.source.contains(name));
                Ok(PredictedChannel {
                    name: name.clone(),
                    place,
                    totals,
                    classes,
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
            .map(|(channel, picks)| targets(&batch, channel, picks, &events))
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

fn place_of(schema: &Schema, name: &str) -> Result<(Place, usize), TrainError> {
    let refuse = |reason: String| Err(TrainError::param("predict", reason));
    let Some(index) = schema.channel(name) else {
        let known: Vec<&str> = schema
            .channels
            .iter()
            .filter(|channel| {
                channel.total.is_none() && channel.per != supermoe_channels::Per::Snapshot
            })
            .map(|channel| channel.name.as_str())
            .collect();
        return refuse(format!(
            "the dataset has no channel `{name}`; it can be one of {}",
            known.join(", ")
        ));
    };
    let channel = &schema.channels[index];
    if channel.total.is_some() {
        return refuse(format!(
            "`{name}` is a running total; predict its source instead"
        ));
    }
    if channel.per == supermoe_channels::Per::Snapshot {
        return refuse(format!(
            "`{name}` is a channel of the snapshot, equal in all steps: there is nothing to predict"
        ));
    }
    if !channel.is_dense() {
        // `index` is one of the code channels, or it would be dense.
        let index = schema
            .code_channels()
            .iter()
            .position(|&of| of == index)
            .unwrap_or_default();
        return Ok((Place::Codes { index }, channel.vocabulary as usize));
    }
    if channel.quantiles.is_empty() {
        return refuse(format!(
            "`{name}` has one value in the training samples: there is nothing to predict"
        ));
    }
    let columns = schema.dense_columns();
    let column = columns
        .iter()
        .position(|column| column.source == DenseSource::Channel(index))
        .unwrap_or_default();
    let bounds = channel.standardised_quantiles();
    let classes = bounds.len() + 1;
    Ok((Place::Dense { column, bounds }, classes))
}

/// The class of a channel at a row; `None` where it is unknown.
fn class_at(batch: &PackedBatch, place: &Place, row: usize) -> Option<u32> {
    match place {
        Place::Codes { index } => Some(batch.codes[*index][row]).filter(|&code| code >= FIRST_CODE),
        Place::Dense { column, bounds } => {
            let value = batch.dense[row * batch.dense_width + column];
            Some(bounds.partition_point(|&bound| bound <= value) as u32)
        }
    }
}

fn targets(
    batch: &PackedBatch,
    channel: &PredictedChannel,
    picks: &[Option<Action>],
    events: &[Range<usize>],
) -> Targets {
    let mut targets = Targets::default();
    for rows in events {
        for row in rows.clone().filter(|&row| picks[row].is_some()) {
            let Some(class) = class_at(batch, &channel.place, row) else {
                continue;
            };
            targets.rows.push(row as u32);
            targets.classes.push(class);
            let neighbour = nearest(row, rows, |row| picks[row].is_none());
            let copied = neighbour.and_then(|neighbour| class_at(batch, &channel.place, neighbour));
            targets.copied_right += u64::from(copied == Some(class));
        }
    }
    targets
}

/// The nearest other row for which `wanted` holds, the older of two as near.
fn nearest(row: usize, rows: &Range<usize>, wanted: impl Fn(usize) -> bool) -> Option<usize> {
    (1..rows.len()).find_map(|distance| {
        let older = row
            .checked_sub(distance)
            .filter(|older| rows.contains(older));
        let newer = Some(row + distance).filter(|newer| rows.contains(newer));
        older
            .filter(|&older| wanted(older))
            .or_else(|| newer.filter(|&newer| wanted(newer)))
    })
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
                (Place::Codes { index }, Action::Hide) => {
                    masked.batch.codes[*index][row] = MASK_CODE
                }
                (Place::Codes { index }, Action::Replace) => {
                    let real = channel.classes.saturating_sub(FIRST_CODE as usize);
                    masked.batch.codes[*index][row] = if real == 0 {
                        MASK_CODE
                    } else {
                        FIRST_CODE + below(random, real) as u32
                    };
                }
                (Place::Dense { column, .. }, Action::Hide) => masked.hide(row, *column),
                (Place::Dense { column, .. }, Action::Replace) => {
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
mod tests {
    use supermoe_channels::{Dataset, Split};

    use super::*;
    use crate::random::{Purpose, stream};
    use crate::tiny_retail;

    fn masked(
        mode: MaskMode,
        predict: &[&str],
        rate: f64,
    ) -> (Dataset, Masking, PackedBatch, MaskedBatch) {
        let dataset = tiny_retail::dataset(60);
        let names: Vec<String> = predict.iter().map(|name| name.to_string()).collect();
        let masking = Masking::new(dataset.schema(), &names, mode, rate).unwrap();
        let batch = dataset.pack(&dataset.split(Split::Train));
        let masked = masking.apply(batch.clone(), &mut stream(1, Purpose::Mask, 0, 0));
        (dataset, masking, batch, masked)
    }

    fn column(dataset: &Dataset, name: &str) -> usize {
        dataset
            .schema()
            .dense_columns()
            .iter()
            .position(|column| column.name == name)
            .unwrap()
    }

    #[test]
    fn the_snapshot_step_is_never_picked_nor_changed() {
        for mode in [MaskMode::PerStep, MaskMode::PerChannel, MaskMode::Visit] {
            let (_, _, batch, masked) = masked(mode, &["product", "country", "amount"], 0.9);
            let width = batch.dense_width;
            for row in (0..batch.tokens()).filter(|&row| batch.is_snapshot[row]) {
                assert!(
                    masked
                        .targets
                        .iter()
                        .all(|targets| !targets.rows.contains(&(row as u32)))
                );
                assert!(
                    (0..batch.codes.len())
                        .all(|c| batch.codes[c][row] == masked.batch.codes[c][row])
                );
                let dense = row * width..(row + 1) * width;
                assert_eq!(
                    batch.dense[dense.clone()],
                    masked.batch.dense[dense.clone()]
                );
                assert!(masked.hidden[dense].iter().all(|hidden| !hidden));
            }
        }
    }

    #[test]
    fn rates_are_those_asked_for() {
        let (_, _, batch, masked) = masked(MaskMode::PerStep, &["product"], 0.15);
        let events = batch
            .is_snapshot
            .iter()
            .filter(|snapshot| !**snapshot)
            .count() as f64;
        let picked = masked.targets[0].rows.len() as f64;
        assert!(
            (picked / events - 0.15).abs() < 0.05,
            "{picked} of {events}"
        );
        let hidden = masked.targets[0]
            .rows
            .iter()
            .filter(|&&row| masked.batch.codes[0][row as usize] == MASK_CODE)
            .count();
        assert!(
            (hidden as f64 / picked - 0.8).abs() < 0.12,
            "{hidden} of {picked}"
        );
    }

    #[test]
    fn targets_are_the_true_classes() {
        let (dataset, masking, batch, masked) =
            masked(MaskMode::PerStep, &["product", "amount"], 0.3);
        let amount = column(&dataset, "amount");
        for (&row, &class) in masked.targets[0]
            .rows
            .iter()
            .zip(&masked.targets[0].classes)
        {
            assert_eq!(batch.codes[0][row as usize], class);
            assert!(class >= FIRST_CODE);
        }
        let bounds = dataset.schema().channels[3].standardised_quantiles();
        assert_eq!(masking.channels[1].classes, bounds.len() + 1);
        for (&row, &class) in masked.targets[1]
            .rows
            .iter()
            .zip(&masked.targets[1].classes)
        {
            let value = batch.dense[row as usize * batch.dense_width + amount];
            assert_eq!(
                bounds.iter().filter(|&&bound| bound <= value).count(),
                class as usize
            );
        }
    }

    #[test]
    fn totals_are_hidden_with_their_source_and_after_it() {
        let (dataset, _, batch, masked) = masked(MaskMode::PerStep, &["amount"], 0.2);
        let (amount, spent, steps) = (
            column(&dataset, "amount"),
            column(&dataset, "spent"),
            column(&dataset, "steps"),
        );
        let width = batch.dense_width;
        let mut hidden_ones = 0;
        for sequence in 0..batch.len() {
            let rows = batch.sequence(sequence);
            let mut betrayed = false;
            for row in rows.start..rows.end - 1 {
                let changed = batch.dense[row * width + amount]
                    != masked.batch.dense[row * width + amount]
                    || masked.hidden[row * width + amount];
                betrayed |= changed;
                assert!(!changed || masked.hidden[row * width + spent]);
                assert!(
                    !betrayed || masked.hidden[row * width + spent],
                    "a later total gives the amount away"
                );
                assert!(
                    !masked.hidden[row * width + spent]
                        || masked.batch.dense[row * width + spent] == 0.0
                );
                assert!(
                    !masked.hidden[row * width + steps],
                    "the number of steps has no source here"
                );
                hidden_ones += u32::from(changed);
            }
        }
        assert!(hidden_ones > 20);
    }

    #[test]
    fn channels_that_are_no_source_hide_no_total() {
        let (_, _, _, masked) = masked(MaskMode::PerStep, &["product", "country"], 0.5);
        assert!(masked.hidden.iter().all(|hidden| !hidden));
    }

    #[test]
    fn visits_are_hidden_whole_with_all_totals() {
        let (dataset, _, batch, masked) = masked(MaskMode::Visit, &["product", "country"], 0.4);
        let (spent, steps) = (column(&dataset, "spent"), column(&dataset, "steps"));
        let width = batch.dense_width;
        let is_hidden = |row: usize| masked.batch.codes[1][row] == MASK_CODE;
        let mut visits = 0;
        for sequence in 0..batch.len() {
            let rows = batch.sequence(sequence);
            for row in rows.start..rows.end - 1 {
                for other in (rows.start..rows.end - 1)
                    .filter(|&other| batch.visit[other] == batch.visit[row])
                {
                    assert_eq!(is_hidden(row), is_hidden(other));
                }
                if is_hidden(row) {
                    visits += 1;
                    assert!(
                        masked.hidden[row * width + spent] && masked.hidden[row * width + steps]
                    );
                }
            }
        }
        assert!(visits > 50);
    }

    #[test]
    fn copying_is_right_for_a_constant_and_wrong_for_a_ring() {
        let (_, _, _, masked) = masked(MaskMode::PerStep, &["product", "country"], 0.15);
        let rate = |targets: &Targets| targets.copied_right as f64 / targets.rows.len() as f64;
        assert!(rate(&masked.targets[0]) < 0.05);
        assert!(rate(&masked.targets[1]) > 0.9);
    }

    #[test]
    fn the_neighbour_is_the_nearest_that_is_wanted() {
        assert_eq!(nearest(5, &(3..9), |_| true), Some(4));
        assert_eq!(nearest(5, &(3..9), |row| row > 5), Some(6));
        assert_eq!(nearest(3, &(3..9), |row| row == 8), Some(8));
        assert_eq!(nearest(3, &(3..4), |_| true), None);
    }

    #[test]
    fn what_cannot_be_predicted_is_refused_by_name() {
        let dataset = tiny_retail::dataset(5);
        let refusal = |name: &str| {
            Masking::new(dataset.schema(), &[name.to_owned()], MaskMode::PerStep, 0.1)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refusal("prodact"),
            "`predict`: the dataset has no channel `prodact`; it can be one of product, country, amount, recency"
        );
        assert!(refusal("spent").contains("running total"));
        assert!(refusal("snapshot_month").contains("channel of the snapshot"));
    }
}
