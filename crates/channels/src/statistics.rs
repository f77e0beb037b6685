//! Means, deviations and quantiles over the training samples, put into the schema.

use crate::dataset::{Dataset, SampleId};
use crate::pack::for_each_number;
use crate::schema::Split;

/// Most buckets of a dense channel.
pub const MAX_BUCKETS: usize = 32;

/// Most values that quantiles are taken from; of more, every n-th is taken.
const QUANTILE_VALUES: u64 = 200_000;

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

impl Dataset {
    /// Sets mean, deviation and quantiles of dense channels and aggregates to those of the training
    /// samples: channels over all their steps after the cut, aggregates over the samples.
    pub fn fit_scales(&mut self) {
        let train = self.split(Split::Train);
        for channel in 0..self.schema.channels.len() {
            if self.schema.channels[channel].is_dense() {
                self.fit_channel(channel, &train);
            }
        }
        for (aggregate, values) in self
            .schema
            .aggregates
            .iter_mut()
            .zip(&self.samples.aggregates)
        {
            let mut moments = Moments::default();
            train
                .iter()
                .for_each(|sample| moments.add(f64::from(values[sample.index()])));
            (aggregate.mean, aggregate.deviation) = (moments.mean(), moments.deviation());
        }
    }

    fn fit_channel(&mut self, channel: usize, train: &[SampleId]) {
        let steps: u64 = train
            .iter()
            .map(|&sample| self.tokens(sample) as u64 - 1)
            .sum();
        let stride = steps.div_ceil(QUANTILE_VALUES).max(1);
        let mut moments = Moments::default();
        let mut picked = Vec::new();
        let mut step: u64 = 0;
        for &sample in train {
            for_each_number(self, channel, sample, |x| {
                moments.add(x);
                if step.is_multiple_of(stride) && !x.is_nan() {
                    picked.push(x);
                }
                step += 1;
            });
        }
        let channel = &mut self.schema.channels[channel];
        (channel.mean, channel.deviation) = (moments.mean(), moments.deviation());
        channel.quantiles = inner_quantiles(picked);
    }
}

/// The distinct inner bounds of up to [`MAX_BUCKETS`] buckets of about equal size.
fn inner_quantiles(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (Some(&smallest), count) = (values.first(), values.len()) else {
        return Vec::new();
    };
    let mut bounds: Vec<f64> = (1..MAX_BUCKETS)
        .map(|i| values[i * count / MAX_BUCKETS])
        .collect();
    bounds.dedup();
    // A bound at the smallest value would leave the first bucket empty.
    bounds.retain(|&bound| bound > smallest);
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
        let bounds = inner_quantiles((0..320).map(f64::from).collect());
        assert_eq!(bounds.len(), MAX_BUCKETS - 1);
        assert_eq!(bounds[..2], [10.0, 20.0]);
        assert_eq!(inner_quantiles(vec![0.0, 0.0, 0.0, 1.0]), [1.0]);
        assert!(inner_quantiles(vec![5.0; 9]).is_empty());
        assert!(inner_quantiles(Vec::new()).is_empty());
    }
}
