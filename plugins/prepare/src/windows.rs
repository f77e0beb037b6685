//! Which rows a sample sees: everything that touches the border between past and future.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};

use crate::calendar::DAY_MICROS;
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::special_fields;

/// An entity with at least one row in [snapshot - history, snapshot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub entity: u32,
    /// The rows of [snapshot - history, snapshot).
    pub history: Range<usize>,
}

impl Window {
    /// The newest `length` rows of the history.
    pub fn steps(&self, length: u32) -> Range<usize> {
        self.history
            .start
            .max(self.history.end.saturating_sub(length as usize))..self.history.end
    }
}

/// The samples of one snapshot, by entity.
pub fn windows(events: &Events, snapshot: i64, history: i64) -> Vec<Window> {
    let ranges = events.ranges.iter().zip(0..);
    let windows = ranges.map(|(rows, entity)| Window {
        entity,
        history: between(events, rows, snapshot - history, snapshot),
    });
    windows
        .filter(|window| !window.history.is_empty())
        .collect()
}

/// The rows of a sample's label window, [snapshot, snapshot + within).
pub fn label_rows(events: &Events, window: &Window, snapshot: i64, within: i64) -> Range<usize> {
    between(
        events,
        &events.ranges[window.entity as usize],
        snapshot,
        snapshot + within,
    )
}

fn between(events: &Events, rows: &Range<usize>, from: i64, to: i64) -> Range<usize> {
    let times = &events.time[rows.clone()];
    let start = times.partition_point(|&time| time < from);
    let end = times.partition_point(|&time| time < to);
    rows.start + start..rows.start + end.max(start)
}

/// Rows of the events by sample, with those of the special columns that are asked for.
pub struct Gather<'a> {
    pub events: &'a Events,
    pub snapshot: i64,
    /// Names of the columns wanted, special ones included; `__sample` always comes.
    pub columns: Vec<&'a str>,
}

impl Gather<'_> {
    /// The rows of each range, those of sample 0 first; `starts_history` says whether a range begins
    /// where its sample's history does, so that its first row has no row before it.
    pub fn rows(
        &self,
        ranges: &[Range<usize>],
        starts_history: impl Fn(usize) -> bool,
    ) -> Result<RecordBatch, PrepareError> {
        let count = ranges.iter().map(Range::len).sum();
        let mut rows: Vec<u32> = Vec::with_capacity(count);
        let mut samples: Vec<u32> = Vec::with_capacity(count);
        for (range, sample) in ranges.iter().zip(0..) {
            // `Events` has at most u32::MAX rows.
            rows.extend(range.clone().map(|row| row as u32));
            samples.extend(range.clone().map(|_| sample));
        }
        let rows = UInt32Array::from(rows);
        let mut fields: Vec<Field> = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (field, column) in self
            .events
            .rows
            .schema()
            .fields()
            .iter()
            .zip(self.events.rows.columns())
        {
            if self.columns.contains(&field.name().as_str()) {
                fields.push(field.as_ref().clone());
                arrays.push(take(column, &rows, None).map_err(PrepareError::arrow("gather rows"))?);
            }
        }
        let [previous, to_snapshot, snapshot, sample] = special_fields();
        if self.columns.contains(&previous.name().as_str()) {
            fields.push(previous);
            arrays.push(Arc::new(self.since_previous(&rows, ranges, starts_history)));
        }
        if self.columns.contains(&to_snapshot.name().as_str()) {
            fields.push(to_snapshot);
            let times = rows
                .values()
                .iter()
                .map(|&row| self.events.time[row as usize]);
            let days = times.map(|time| (self.snapshot - time) as f64 / DAY_MICROS as f64);
            arrays.push(Arc::new(Float64Array::from_iter_values(days)));
        }
        if self.columns.contains(&snapshot.name().as_str()) {
            fields.push(snapshot);
            arrays.push(Arc::new(TimestampMicrosecondArray::from(vec![
                self.snapshot;
                count
            ])));
        }
        fields.push(sample);
        arrays.push(Arc::new(UInt32Array::from(samples)));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(PrepareError::arrow("gather rows"))
    }

    fn since_previous(
        &self,
        rows: &UInt32Array,
        ranges: &[Range<usize>],
        starts_history: impl Fn(usize) -> bool,
    ) -> Float64Array {
        let all = &self.events.days_since_previous;
        let mut days: Vec<f64> = rows
            .values()
            .iter()
            .map(|&row| all.value(row as usize))
            .collect();
        let mut at = 0;
        for (sample, range) in ranges.iter().enumerate() {
            if !range.is_empty() && starts_history(sample) {
                days[at] = 0.0;
            }
            at += range.len();
        }
        debug_assert_eq!(at, rows.len());
        Float64Array::from(days)
    }
}
