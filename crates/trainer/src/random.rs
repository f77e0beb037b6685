//! Random streams. Each draw belongs to a stream named by (seed, purpose, epoch, step), so that
//! training holds no generator state and goes on from a checkpoint with the same numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The order of samples in an epoch.
    Order,
    /// Which steps are masked, and with what.
    Mask,
    /// The masks of the validation split, the same in every epoch.
    ValidationMask,
    /// Dropout.
    Dropout,
    /// The permutation of `shuffle_labels`.
    ShuffleLabels,
    /// The order in which gradients of tasks are projected on one another.
    Projection,
    /// The validation samples on which the weights of tasks learn.
    ValidationBatch,
}

/// The seed of one stream: a mix of its name, the same on every machine.
pub fn stream_seed(seed: u64, purpose: Purpose, epoch: u64, step: u64) -> u64 {
    [purpose as u64 + 1, epoch, step]
        .into_iter()
        .fold(mix(seed), |state, part| {
            mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)))
        })
}

/// The stream itself.
pub fn stream(seed: u64, purpose: Purpose, epoch: u64, step: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(stream_seed(seed, purpose, epoch, step))
}

/// The key of one of several places that draw in the same step.
pub fn mix_key(key: u64, place: u64) -> u64 {
    mix(key ^ mix(place.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// The finalizer of splitmix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in [0, 1), 24 bits of it.
pub fn unit(random: &mut impl Rng) -> f32 {
    (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

/// A number in [0, bound); `bound` is at least 1.
pub fn below(random: &mut impl Rng, bound: usize) -> usize {
    ((random.next_u64() as u128 * bound as u128) >> 64) as usize
}

/// Fisher and Yates.
pub fn shuffle<T>(items: &mut [T], random: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(random, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_every_part_of_their_name() {
        let base = stream_seed(1, Purpose::Mask, 2, 3);
        assert_ne!(base, stream_seed(2, Purpose::Mask, 2, 3));
        assert_ne!(base, stream_seed(1, Purpose::Order, 2, 3));
        assert_ne!(base, stream_seed(1, Purpose::Mask, 3, 3));
        assert_ne!(base, stream_seed(1, Purpose::Mask, 2, 4));
        assert_ne!(base, stream_seed(1, Purpose::Mask, 3, 2));
        assert_eq!(base, stream_seed(1, Purpose::Mask, 2, 3));
    }

    #[test]
    fn shuffling_keeps_every_item_once() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut items, &mut stream(7, Purpose::Order, 0, 0));
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut random = stream(3, Purpose::Mask, 0, 0);
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&unit(&mut random)));
            assert!(below(&mut random, 3) < 3);
        }
        assert_eq!(below(&mut random, 1), 0);
    }
}
