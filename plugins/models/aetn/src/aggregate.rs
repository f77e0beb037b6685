//! The aggregate of each user: which codes occur in the steps, and the numbers of the steps and the snapshot.

use supermoe_channels::{MASK_CODE, PADDING_CODE, Schema};
use supermoe_trainer::{ModelInput, PooledNumbers};

/// How an aggregate is laid out.
pub struct AggregateLayout {
    /// By id and category channel: its places.
    bags: Vec<usize>,
    numbers: PooledNumbers,
}

/// The aggregates of a batch.
pub struct Aggregates {
    /// 1 where a code occurs that has this place, else 0. Row-major [B, bag]
    pub bag: Vec<f32>,
    /// Row-major [B, numbers]
    pub numbers: Vec<f32>,
}

impl AggregateLayout {
    /// With at most so many places for the codes of a channel.
    pub fn new(schema: &Schema, bag_width: usize) -> AggregateLayout {
        let channels = schema.code_channels().into_iter();
        let codes = channels.map(|channel| schema.channels[channel].vocabulary as usize);
        AggregateLayout {
            bags: codes.map(|codes| codes.min(bag_width)).collect(),
            numbers: PooledNumbers::new(schema),
        }
    }

    /// Places of all codes.
    pub fn bag(&self) -> usize {
        self.bags.iter().sum()
    }

    pub fn numbers(&self) -> usize {
        self.numbers.width()
    }

    /// Of what masking has left: a hidden value is in no aggregate.
    pub fn of(&self, input: &ModelInput) -> Aggregates {
        let width = self.bag();
        let mut bag = vec![0.0; input.offsets.sequences() * width];
        for (rows, bag) in input
            .offsets
            .ranges()
            .zip(bag.chunks_exact_mut(width.max(1)))
        {
            let mut start = 0;
            for (codes, &places) in input.codes.iter().zip(&self.bags) {
                for &code in &codes[rows.clone()] {
                    if code != PADDING_CODE && code != MASK_CODE {
                        bag[start + code as usize % places] = 1.0;
                    }
                }
                start += places;
            }
        }
        Aggregates {
            bag,
            numbers: self.numbers.of(input),
        }
    }
}
