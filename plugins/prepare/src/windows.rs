//! Which rows a sample sees: everything that touches the border between past and future.

use std::ops::Range;

use supermoe_channels::Split;

use crate::calendar::Calendar;
use crate::events::Events;

/// An entity with at least one row in [snapshot - history, snapshot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Index in the calendar.
    pub snapshot: usize,
    pub entity: u32,
    pub split: Split,
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

/// The samples of all snapshots, by snapshot, then by entity. `splits`: by entity.
pub fn windows(
    events: &Events,
    calendar: &Calendar,
    splits: &[Split],
    history: i64,
) -> Vec<Window> {
    let mut windows = Vec::new();
    for (index, snapshot) in calendar.snapshots.iter().enumerate() {
        let at = snapshot.date.micros();
        for ((rows, &of_entity), entity) in events.ranges.iter().zip(splits).zip(0..) {
            let history = between(events, rows, at - history, at);
            if !history.is_empty() {
                windows.push(Window {
                    snapshot: index,
                    entity,
                    split: calendar.split(*snapshot, of_entity),
                    history,
                });
            }
        }
    }
    windows
}

/// The rows of a sample's label window, [snapshot, snapshot + within).
pub fn label_rows(events: &Events, window: &Window, snapshot: i64, within: i64) -> Range<usize> {
    let rows = &events.ranges[window.entity as usize];
    between(events, rows, snapshot, snapshot + within)
}

fn between(events: &Events, rows: &Range<usize>, from: i64, to: i64) -> Range<usize> {
    let times = &events.time[rows.clone()];
    let start = times.partition_point(|&time| time < from);
    let end = times.partition_point(|&time| time < to);
    rows.start + start..rows.start + end.max(start)
}
