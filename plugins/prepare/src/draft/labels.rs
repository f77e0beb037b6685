//! How often a label would be true: the sample's events, cut at the snapshots as `prepare` does.

use jiff::civil::Date;

use crate::draft::split_plan::{SplitPlan, micros};

const DAY_MICROS: i64 = 86_400_000_000;

/// The sample's rows that say who and when, by entity and time.
#[derive(Debug)]
pub struct Events {
    /// Of the sample.
    rows: Vec<usize>,
    times: Vec<i64>,
    /// By entity: its first event; and the end.
    starts: Vec<usize>,
    /// Whether some entity has two events at one time.
    pub ties: bool,
}

/// The samples of a split, and how many of them have the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    pub positive: usize,
    pub samples: usize,
}

impl Rate {
    pub fn share(self) -> f64 {
        self.positive as f64 / self.samples.max(1) as f64
    }
}

impl Events {
    /// `events`: entity, time in microseconds, row.
    pub fn new(mut events: Vec<(u32, i64, usize)>) -> Events {
        events.sort_unstable();
        let mut starts = Vec::new();
        let mut ties = false;
        for (at, event) in events.iter().enumerate() {
            match at.checked_sub(1).map(|before| &events[before]) {
                Some(before) if before.0 == event.0 => ties |= before.1 == event.1,
                _ => starts.push(at),
            }
        }
        starts.push(events.len());
        Events {
            rows: events.iter().map(|(_, _, row)| *row).collect(),
            times: events.iter().map(|(_, time, _)| *time).collect(),
            starts,
            ties,
        }
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn entities(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn range(&self) -> Option<(i64, i64)> {
        Some((*self.times.iter().min()?, *self.times.iter().max()?))
    }

    /// Events of the entity that has more than this share of the others.
    pub fn length(&self, share: f64) -> usize {
        let mut lengths: Vec<usize> = self
            .starts
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        lengths.sort_unstable();
        let at = (share * lengths.len() as f64) as usize;
        lengths
            .get(at.min(lengths.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    }

    /// By sample of these snapshots: what `value` makes of the sample's rows in the label window.
    pub fn windows<T>(
        &self,
        plan: &SplitPlan,
        snapshots: &[Date],
        mut value: impl FnMut(&[usize]) -> T,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for pair in self.starts.windows(2) {
            let times = &self.times[pair[0]..pair[1]];
            for snapshot in snapshots {
                let snapshot = micros(*snapshot);
                let from =
                    times.partition_point(|time| *time < snapshot - plan.history * DAY_MICROS);
                let here = times.partition_point(|time| *time < snapshot);
                let to = times.partition_point(|time| *time < snapshot + plan.window * DAY_MICROS);
                if from < here {
                    values.push(value(&self.rows[pair[0] + here..pair[0] + to]));
                }
            }
        }
        values
    }

    pub fn rate(
        &self,
        plan: &SplitPlan,
        snapshots: &[Date],
        mut holds: impl FnMut(&[usize]) -> bool,
    ) -> Rate {
        let labels = self.windows(plan, snapshots, &mut holds);
        Rate {
            positive: labels.iter().filter(|label| **label).count(),
            samples: labels.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::split_plan::By;

    #[test]
    fn windows_begin_at_the_snapshot() {
        let date: Date = "1970-01-11".parse().expect("a date");
        let plan = SplitPlan {
            by: By::Entity {
                snapshots: vec![date],
            },
            window: 2,
            history: 5,
        };
        let day = |day: i64| day * DAY_MICROS;
        // Entity 0: before and at the snapshot; 1: too long ago; 2: before, and at the window's end.
        let events = Events::new(vec![
            (2, day(12), 6),
            (0, day(9), 0),
            (0, day(10), 1),
            (0, day(11), 2),
            (1, day(4), 3),
            (1, day(10), 4),
            (2, day(5), 5),
        ]);
        let windows = events.windows(&plan, &[date], <[usize]>::to_vec);
        assert_eq!(windows, [vec![1, 2], vec![]]);
        let rate = events.rate(&plan, &[date], |rows| !rows.is_empty());
        assert_eq!((rate.positive, rate.samples), (1, 2));
        assert!(!events.ties);
        assert_eq!(events.entities(), 3);
    }
}
