//! Which features belong together: their mutual information over samples.

use supermoe_channels::MASK_CODE;
use supermoe_trainer::{ModelInput, events_and_snapshot};

/// Values that a feature is told apart by, at most.
const BINS: usize = 16;
/// Buckets of about equal size that a number falls into.
const BUCKETS: usize = 8;

/// What a view hides as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// An id or category channel, by its index in [`ModelInput::codes`].
    Codes(usize),
    /// A column of the dense input.
    Dense(usize),
}

/// All features of a batch: each channel, each aggregate.
pub fn features(input: &ModelInput) -> Vec<Feature> {
    let codes = (0..input.codes.len()).map(Feature::Codes);
    codes
        .chain((0..input.dense.channels).map(Feature::Dense))
        .collect()
}

/// By feature: the others, that with the most mutual information first; of equal ones the earlier first.
pub fn neighbours(input: &ModelInput, features: &[Feature]) -> Vec<Vec<usize>> {
    let values: Vec<Vec<u8>> = features.iter().map(|&of| binned(input, of)).collect();
    let count = features.len();
    let mut shared = vec![0.0; count * count];
    for (a, of_a) in values.iter().enumerate() {
        for (b, of_b) in values.iter().enumerate().skip(a + 1) {
            let information = mutual_information(of_a, of_b);
            shared[a * count + b] = information;
            shared[b * count + a] = information;
        }
    }
    let of = |a: usize| {
        let mut others: Vec<usize> = (0..count).filter(|&b| b != a).collect();
        others.sort_by(|&b, &c| shared[a * count + c].total_cmp(&shared[a * count + b]));
        others
    };
    (0..count).map(of).collect()
}

/// The value of a feature in each sample, as a bin: at the snapshot step where it stands there, else at the
/// newest event.
fn binned(input: &ModelInput, feature: Feature) -> Vec<u8> {
    let samples = input.offsets.ranges().map(events_and_snapshot);
    match feature {
        Feature::Codes(channel) => {
            let codes = &input.codes[channel];
            by_frequency(samples.map(|(events, snapshot)| match codes[snapshot] {
                MASK_CODE => events.last().map_or(MASK_CODE, |newest| codes[newest]),
                code => code,
            }))
        }
        Feature::Dense(column) => {
            let dense = &input.dense;
            let of_steps = dense.maskable.contains(&column);
            let value = |row: usize| dense.values[row * dense.channels + column];
            by_size(samples.map(|(events, snapshot)| {
                let newest = events.last().filter(|_| of_steps);
                value(newest.unwrap_or(snapshot))
            }))
        }
    }
}

/// The most frequent codes have a bin each, the others share the last.
fn by_frequency(codes: impl Iterator<Item = u32>) -> Vec<u8> {
    let codes: Vec<u32> = codes.collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    let mut counted: Vec<(usize, u32)> = sorted
        .chunk_by(|a, b| a == b)
        .map(|same| (same.len(), same[0]))
        .collect();
    counted.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let bin = |code: u32| {
        let place = counted
            .iter()
            .take(BINS - 1)
            .position(|(_, of)| *of == code);
        place.unwrap_or(BINS - 1) as u8
    };
    codes.into_iter().map(bin).collect()
}

fn by_size(numbers: impl Iterator<Item = f32>) -> Vec<u8> {
    let numbers: Vec<f32> = numbers.collect();
    let mut sorted = numbers.clone();
    sorted.sort_by(f32::total_cmp);
    let bounds = (1..BUCKETS).filter_map(|i| sorted.get(i * sorted.len() / BUCKETS).copied());
    let bounds: Vec<f32> = bounds.collect();
    let bucket = |x: f32| bounds.partition_point(|&bound| bound <= x) as u8;
    numbers.into_iter().map(bucket).collect()
}

/// In nats, from the counts of pairs.
fn mutual_information(a: &[u8], b: &[u8]) -> f64 {
    let mut pairs = [[0u32; BINS]; BINS];
    for (&a, &b) in a.iter().zip(b) {
        pairs[a as usize][b as usize] += 1;
    }
    let total = a.len() as f64;
    let of_a = pairs.map(|row| f64::from(row.iter().sum::<u32>()));
    let of_b: [f64; BINS] =
        std::array::from_fn(|b| f64::from(pairs.iter().map(|row| row[b]).sum::<u32>()));
    let mut information = 0.0;
    for (row, of_a) in pairs.iter().zip(of_a) {
        for (&count, of_b) in row.iter().zip(of_b).filter(|(count, _)| **count > 0) {
            let count = f64::from(count);
            information += count / total * (count * total / (of_a * of_b)).ln();
        }
    }
    information
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn information_is_that_of_the_definition() {
        let a = [0, 0, 1, 1, 2, 2, 3, 3];
        assert!((mutual_information(&a, &a) - 4f64.ln()).abs() < 1e-12);
        let halves = [0, 0, 0, 0, 1, 1, 1, 1];
        assert!((mutual_information(&a, &halves) - 2f64.ln()).abs() < 1e-12);
        let other = [0, 1, 0, 1, 0, 1, 0, 1];
        assert!(mutual_information(&halves, &other).abs() < 1e-12);
        assert_eq!(mutual_information(&[], &[]), 0.0);
    }

    #[test]
    fn numbers_fall_into_buckets_of_equal_size() {
        let numbers = (0..80).map(|i| (i * 37 % 80) as f32);
        let mut counts = [0; BUCKETS];
        by_size(numbers)
            .iter()
            .for_each(|&bin| counts[bin as usize] += 1);
        assert_eq!(counts, [10; BUCKETS]);
        assert_eq!(by_size([1.0, 1.0, 1.0].into_iter()), [7, 7, 7]);
    }

    #[test]
    fn frequent_codes_have_a_bin_each() {
        let codes = (0..100u32).map(|i| if i < 60 { 7 } else { i });
        let bins = by_frequency(codes);
        assert!(bins[..60].iter().all(|&bin| bin == 0));
        assert_eq!((bins[60], bins[99]), (1, BINS as u8 - 1));
    }
}
