//! Which samples make up each batch: shuffled, and within a pool of batches sorted by length, so
//! that the sequences of a batch are of like lengths and batches cost about the same to pack.

use crate::random::{Purpose, shuffle, stream};

/// Batches in a pool that is sorted by length before it is cut.
const POOL_BATCHES: usize = 20;

/// The batches of one epoch of training, as indices into `lengths`; the same for the same
/// (seed, epoch). Every sample occurs once; a last, smaller batch may occur anywhere.
pub fn training_order(
    lengths: &[u32],
    batch_size: usize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let batch_size = batch_size.max(1);
    let mut random = stream(seed, Purpose::Order, epoch, 0);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    shuffle(&mut order, &mut random);
    let mut batches = Vec::with_capacity(order.len().div_ceil(batch_size));
    for pool in order.chunks_mut(batch_size * POOL_BATCHES) {
        pool.sort_by_key(|&sample| lengths[sample]);
        batches.extend(pool.chunks(batch_size).map(<[usize]>::to_vec));
    }
    shuffle(&mut batches, &mut random);
    batches
}

/// The batches of an evaluation: by length, the shortest first; ties keep the order of samples.
pub fn evaluation_order(lengths: &[u32], batch_size: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&sample| lengths[sample]);
    order
        .chunks(batch_size.max(1))
        .map(<[usize]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> Vec<u32> {
        (0..1000u32).map(|i| i * 7919 % 128 + 1).collect()
    }

    fn every_sample_once(batches: &[Vec<usize>]) {
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn an_epoch_holds_every_sample_once_and_differs_by_epoch_and_seed() {
        let first = training_order(&lengths(), 16, 1, 0);
        every_sample_once(&first);
        assert_eq!(first, training_order(&lengths(), 16, 1, 0));
        assert_ne!(first, training_order(&lengths(), 16, 1, 1));
        assert_ne!(first, training_order(&lengths(), 16, 2, 0));
    }

    #[test]
    fn lengths_within_a_batch_are_alike() {
        let lengths = lengths();
        let spread = |batches: &[Vec<usize>]| -> u32 {
            batches
                .iter()
                .map(|batch| {
                    let of = |pick: fn(u32, u32) -> u32| {
                        batch.iter().map(|&i| lengths[i]).reduce(pick).unwrap_or(0)
                    };
                    of(u32::max) - of(u32::min)
                })
                .sum::<u32>()
                / batches.len() as u32
        };
        assert!(spread(&training_order(&lengths, 16, 1, 0)) < 16);
        assert!(spread(&evaluation_order(&lengths, 16)) < 4);
    }

    #[test]
    fn evaluation_holds_every_sample_once() {
        every_sample_once(&evaluation_order(&lengths(), 7));
        assert!(evaluation_order(&[], 7).is_empty());
        assert!(training_order(&[], 7, 0, 0).is_empty());
    }
}
