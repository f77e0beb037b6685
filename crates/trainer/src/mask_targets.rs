//! What the heads must tell at the picked steps, and what a copier of the neighbouring step would say.

use std::ops::Range;

use supermoe_channels::PackedBatch;

use crate::predicted_channel::{PredictedChannel, Value, value_at};

/// What one head must tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Targets {
    /// Rows of the batch, ascending. [P]
    pub rows: Vec<u32>,
    /// What must be told at each row. [P]
    pub values: Vec<Value>,
    /// What the nearest event that is not picked has, if there is one and it is known. [P]
    pub copies: Vec<Option<Value>>,
}

/// What the head of a channel must tell where steps are picked. `events` are the rows of each
/// sequence without its snapshot step.
pub fn targets(
    batch: &PackedBatch,
    channel: &PredictedChannel,
    picked: &dyn Fn(usize) -> bool,
    events: &[Range<usize>],
) -> Targets {
    let mut targets = Targets::default();
    for rows in events {
        for row in rows.clone().filter(|&row| picked(row)) {
            let Some(value) = value_at(batch, &channel.place, row) else {
                continue;
            };
            let neighbour = nearest(row, rows, |row| !picked(row));
            let copy = neighbour.and_then(|neighbour| value_at(batch, &channel.place, neighbour));
            targets.rows.push(row as u32);
            targets.values.push(value);
            targets.copies.push(copy);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_neighbour_is_the_nearest_that_is_wanted() {
        assert_eq!(nearest(5, &(3..9), |_| true), Some(4));
        assert_eq!(nearest(5, &(3..9), |row| row > 5), Some(6));
        assert_eq!(nearest(3, &(3..9), |row| row == 8), Some(8));
        assert_eq!(nearest(3, &(3..4), |_| true), None);
    }
}
