//! Repeated measurements of one thing, and the figures that stand in tables.

use std::time::Duration;

use crate::command::Cost;

#[derive(Debug, Default)]
pub struct Sample {
    costs: Vec<Cost>,
}

impl Sample {
    pub fn add(&mut self, cost: Cost) {
        self.costs.push(cost);
    }

    /// The middle wall time; of an even number, the upper middle. `None` where nothing was measured.
    pub fn median(&self) -> Option<Duration> {
        let mut walls: Vec<Duration> = self.costs.iter().map(|cost| cost.wall).collect();
        walls.sort();
        walls.get(walls.len() / 2).copied()
    }

    /// The largest peak of memory, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.costs
            .iter()
            .map(|cost| cost.peak_bytes)
            .max()
            .unwrap_or(0)
    }
}

/// `12.3 ms`, `1.36 s`.
pub fn readable(wall: Duration) -> String {
    let seconds = wall.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_and_peak_the_largest() {
        let mut sample = Sample::default();
        assert_eq!(sample.median(), None);
        for (millis, peak_bytes) in [(30, 5), (10, 9), (20, 1)] {
            sample.add(Cost {
                wall: Duration::from_millis(millis),
                peak_bytes,
            });
        }
        assert_eq!(sample.median(), Some(Duration::from_millis(20)));
        assert_eq!(sample.peak_bytes(), 9);
    }
}
