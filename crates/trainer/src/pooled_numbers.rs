//! Numbers of each sample without a sequence model: of its steps, of its newest step, of its snapshot.

use std::ops::Range;

use supermoe_channels::{DenseSource, Schema};
use supermoe_nn::ops::DenseInput;

use crate::model_input::ModelInput;
use crate::predicted_channel::equal_in_all_steps;

/// What is pooled, in this order:
/// - each dense channel of the events, its mean over the events where it is not hidden;
/// - the same channels at the newest event, where running totals have counted everything;
/// - the dense channels of the snapshot or the entity, and the aggregates.
///
/// A sample without events has zeros in their place; so has what is hidden.
#[derive(Debug, Clone, PartialEq)]
pub struct PooledNumbers {
    /// Columns of the dense input that differ from event to event.
    step_columns: Vec<usize>,
    /// The other columns.
    sample_columns: Vec<usize>,
}

impl PooledNumbers {
    pub fn new(schema: &Schema) -> PooledNumbers {
        let columns = schema.dense_columns();
        let of_steps = |column: &usize| match columns[*column].source {
            DenseSource::Channel(channel) => !equal_in_all_steps(schema.channels[channel].per),
            DenseSource::Aggregate(_) => false,
        };
        let (step_columns, sample_columns) = (0..columns.len()).partition(of_steps);
        PooledNumbers {
            step_columns,
            sample_columns,
        }
    }

    /// Numbers of a sample, K.
    pub fn width(&self) -> usize {
        2 * self.step_columns.len() + self.sample_columns.len()
    }

    /// Row-major [B, K].
    pub fn of(&self, input: &ModelInput) -> Vec<f32> {
        let visible = Visible::of(&input.dense);
        let mut numbers = Vec::with_capacity(input.offsets.sequences() * self.width());
        for rows in input.offsets.ranges() {
            let (events, snapshot) = events_and_snapshot(rows);
            for &column in &self.step_columns {
                let seen = events.clone().filter_map(|row| visible.value(row, column));
                let (count, sum) = seen.fold((0u32, 0.0), |(count, sum), x| {
                    (count + 1, sum + f64::from(x))
                });
                numbers.push((sum / f64::from(count.max(1))) as f32);
            }
            for &column in &self.step_columns {
                let newest = events.clone().last();
                let value = newest.and_then(|row| visible.value(row, column));
                numbers.push(value.unwrap_or(0.0));
            }
            for &column in &self.sample_columns {
                numbers.push(visible.value(snapshot, column).unwrap_or(0.0));
            }
        }
        numbers
    }
}

/// The events of a sequence and its snapshot step, which is its last row.
pub fn events_and_snapshot(rows: Range<usize>) -> (Range<usize>, usize) {
    let snapshot = rows.end - 1;
    (rows.start..snapshot, snapshot)
}

/// The numbers that masking has left.
struct Visible<'a> {
    dense: &'a DenseInput,
    /// By column: its place among those that can be hidden.
    places: Vec<Option<usize>>,
}

impl Visible<'_> {
    fn of(dense: &DenseInput) -> Visible<'_> {
        let mut places = vec![None; dense.channels];
        for (place, &column) in dense.maskable.iter().enumerate() {
            places[column] = Some(place);
        }
        Visible { dense, places }
    }

    fn value(&self, row: usize, column: usize) -> Option<f32> {
        let dense = self.dense;
        let hidden = self.places[column].is_some_and(|place| {
            let flag = dense.masked.get(row * dense.maskable.len() + place);
            flag.is_some_and(|hidden| *hidden)
        });
        (!hidden).then(|| dense.values[row * dense.channels + column])
    }
}
