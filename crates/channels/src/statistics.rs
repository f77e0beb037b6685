//! Means, deviations and quantiles over the training samples, put into the schema.

use crate::dataset::Dataset;
use crate::pack::for_each_number;
use crate::schema::Split;

/// Most buckets of a dense channel.
pub const MAX_BUCKETS: usize = 32;

/// Most values that quantiles are taken from; of more, every n-th is taken.
const QUANTILE_VALUES: usize = 200_000;

/// Count, mean and sum of squared differences, by Welford's method; NaN is passed over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub fn add(&mut self, x: f64) {
        if x.is_nan() {
            return;
        }
        self.count += 1;
        let difference = x - self.mean;
        self.mean += difference / self.count as f64;
        self.squares += difference * (x - self.mean);
    }

    /// Adds the numbers of another (Chan et al. 1979).
    pub fn merge(&mut self, other: &Moments) {
        if other.count == 0 {
            return;
        }
        let (of_self, of_other) = (self.count as f64, other.count as f64);
        let all = of_self + of_other;
        let difference = other.mean - self.mean;
        self.mean += difference * (of_other / all);
        self.squares += other.squares + difference * difference * (of_self * of_other / all);
        self.count += other.count;
    }

    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Of the whole population; 1 where all values are (nearly) equal, so that one may divide by it.
    pub fn deviation(&self) -> f64 {
        if self.count == 0 {
            return 1.0;
        }
        let deviation = (self.squares / self.count as f64).sqrt();
        if deviation > 1e-6 * self.mean.abs().max(1e-6) {
            deviation
        } else {
            1.0
        }
    }
}

/// Gathers the numbers that one scale is taken from, in bounded memory.
#[derive(Debug, Clone)]
pub struct ScaleFit {
    moments: Moments,
    /// Of every `stride` numbers one.
    picked: Vec<f32>,
    stride: u64,
    seen: u64,
    missing: u64,
    capacity: usize,
}

impl ScaleFit {
    /// `capacity`: most numbers that are kept for the quantiles.
    pub fn new(capacity: usize) -> Self {
        Self {
            moments: Moments::default(),
            picked: Vec::new(),
            stride: 1,
            seen: 0,
            missing: 0,
            capacity: capacity.max(2),
        }
    }

    /// NaN is a missing value.
    pub fn add(&mut self, x: f64) {
        if x.is_nan() {
            self.missing += 1;
            return;
        }
        self.moments.add(x);
        if self.seen.is_multiple_of(self.stride) {
            if self.picked.len() == self.capacity {
                let mut at = 0;
                self.picked.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.stride *= 2;
            }
            if self.seen.is_multiple_of(self.stride) {
                self.picked.push(x as f32);
            }
        }
        self.seen += 1;
    }

    /// How many numbers were missing, and how many came in all.
    pub fn missing(&self) -> (u64, u64) {
        (self.missing, self.seen + self.missing)
    }
}

/// How the numbers of a channel, aggregate or regression task are scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    pub mean: f64,
    /// 1 where it would be 0.
    pub deviation: f64,
    /// The distinct inner bounds of up to [`MAX_BUCKETS`] buckets of about equal size.
    pub quantiles: Vec<f64>,
}

impl Scale {
    /// Puts the numbers of several fits together; the result hangs on their order.
    pub fn of<'a>(fits: impl IntoIterator<Item = &'a ScaleFit>) -> Self {
        let mut moments = Moments::default();
        let mut weighted: Vec<(f32, u64)> = Vec::new();
        for fit in fits {
            moments.merge(&fit.moments);
            weighted.extend(fit.picked.iter().map(|&x| (x, fit.stride)));
        }
        Self {
            mean: moments.mean(),
            deviation: moments.deviation(),
            quantiles: inner_quantiles(weighted),
        }
    }
}

impl Dataset {
    /// Sets mean, deviation and quantiles of dense channels and aggregates to those of the training
    /// samples: channels over all their steps after the cut, aggregates over the samples.
    pub fn fit_scales(&mut self) {
        let train = self.split(Split::Train);
        for channel in 0..self.schema.channels.len() {
            if !self.schema.channels[channel].is_dense() {
                continue;
            }
            let mut fit = ScaleFit::new(QUANTILE_VALUES);
            for &sample in &train {
                for_each_number(self, channel, sample, |x| fit.add(x));
            }
            let scale = Scale::of([&fit]);
            let channel = &mut self.schema.channels[channel];
            (channel.mean, channel.deviation) = (scale.mean, scale.deviation);
            channel.quantiles = scale.quantiles;
        }
        let aggregates = self.schema.aggregates.iter_mut();
        for (aggregate, values) in aggregates.zip(&self.samples.aggregates) {
            let mut moments = Moments::default();
            train
                .iter()
                .for_each(|sample| moments.add(f64::from(values[sample.index()])));
            (aggregate.mean, aggregate.deviation) = (moments.mean(), moments.deviation());
        }
    }
}

/// Each value stands for as many as its weight says.
fn inner_quantiles(mut values: Vec<(f32, u64)>) -> Vec<f64> {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let Some(&(smallest, _)) = values.first() else {
        return Vec::new();
    };
    let all: u64 = values.iter().map(|(_, weight)| weight).sum();
    let mut bounds = Vec::with_capacity(MAX_BUCKETS - 1);
    let mut values = values.into_iter();
    // How many values stand up to and with the last one that was taken.
    let (mut last, mut up_to) = (smallest, 0);
    for i in 1..MAX_BUCKETS as u64 {
        let place = i * all / MAX_BUCKETS as u64;
        while up_to <= place {
            let Some((value, weight)) = values.next() else {
                break;
            };
            (last, up_to) = (value, up_to + weight);
        }
        bounds.push(f64::from(last));
    }
    bounds.dedup();
    // A bound at the smallest value would leave the first bucket empty.
    bounds.retain(|&bound| bound > f64::from(smallest));
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_population() {
        let mut moments = Moments::default();
        [1.0, 2.0, f64::NAN, 3.0, 6.0]
            .iter()
            .for_each(|&x| moments.add(x));
        assert_eq!(moments.mean(), 3.0);
        assert!((moments.deviation() - 3.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_constant_or_absent_value_can_be_divided_by() {
        let mut moments = Moments::default();
        assert_eq!(moments.deviation(), 1.0);
        (0..100).for_each(|_| moments.add(0.1));
        assert_eq!(moments.deviation(), 1.0);
    }

    #[test]
    fn quantiles_split_evenly_and_are_distinct() {
        let bounds = inner_quantiles((0u16..320).map(|i| (f32::from(i), 3)).collect());
        assert_eq!(bounds.len(), MAX_BUCKETS - 1);
        assert_eq!(bounds[..2], [10.0, 20.0]);
        assert_eq!(inner_quantiles(vec![(0.0, 3), (1.0, 1)]), [1.0]);
        assert!(inner_quantiles(vec![(5.0, 1); 9]).is_empty());
        assert!(inner_quantiles(Vec::new()).is_empty());
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let numbers = |range: std::ops::Range<u32>| {
            let mut fit = ScaleFit::new(1_000);
            range.for_each(|i| fit.add(f64::from(i * 7919 % 10_007)));
            fit
        };
        let whole = Scale::of([&numbers(0..10_007)]);
        let parts = [numbers(0..100), numbers(100..9_000), numbers(9_000..10_007)];
        let together = Scale::of(&parts);
        assert!((whole.mean - together.mean).abs() < 1e-6);
        assert!((whole.deviation - together.deviation).abs() < 1e-6);
        assert_eq!(together.quantiles.len(), MAX_BUCKETS - 1);
        for (bound, i) in together.quantiles.iter().zip(1u32..) {
            let exact = f64::from(i) * 10_007.0 / MAX_BUCKETS as f64;
            assert!((bound - exact).abs() < 400.0, "{bound} is far from {exact}");
        }
    }
}
