//! Random batches.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use supermoe_nn::ops::DenseInput;
use supermoe_nn::{Error, Offsets};

use crate::lengths;
use crate::network::Network;
use crate::options::Options;

/// Share of the steps that masked channel prediction picks.
const MASK_RATE: f64 = 0.15;
/// Batches of a pool whose samples are sorted by length, as the trainer does.
const POOL_BATCHES: usize = 20;

/// One packed batch, collated.
pub struct Batch {
    /// Codes of the channels whose tables are parameters, then of the others, `[N]` each.
    pub categories: Vec<Arc<[u32]>>,
    pub ids: Vec<Arc<[u32]>>,
    pub dense: DenseInput,
    pub positions: Vec<u32>,
    pub offsets: Offsets,
    /// Picked rows, and for each head their codes.
    pub masked: Arc<[u32]>,
    pub targets: Vec<Vec<u32>>,
}

/// Makes them, one after the other.
pub struct Batches {
    random: ChaCha8Rng,
    categories: Vec<usize>,
    ids: Vec<usize>,
    dense: usize,
    heads: usize,
    /// Lengths of each batch, in turn.
    lengths: Vec<Vec<usize>>,
    made: usize,
}

impl Batches {
    pub fn new(options: &Options) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let lengths = if options.ragged {
            let sorted = lengths::quantiles(options.batch * POOL_BATCHES, options.seq);
            let mut batches: Vec<_> = sorted.chunks(options.batch).map(<[_]>::to_vec).collect();
            batches.shuffle(&mut random);
            batches
        } else {
            vec![vec![options.seq; options.batch]]
        };
        let host = options.host_tables();
        Self {
            random,
            categories: options.parameter_tables(),
            ids: vec![host.rows; host.count],
            dense: options.dense,
            heads: options.mcp,
            lengths,
            made: 0,
        }
    }

    /// Batches after which the same lengths come again. To time a part of them would be to time whichever
    /// lengths come first.
    pub fn pool(&self) -> usize {
        self.lengths.len()
    }

    /// The next batch for `network`.
    pub fn next(&mut self, network: &Network) -> Result<Batch, Error> {
        let lengths = &self.lengths[self.made % self.lengths.len()];
        self.made += 1;
        let offsets = Offsets::from_lengths(lengths)?;
        let rows = offsets.rows();
        let random = &mut self.random;
        let mut codes = |&vocabulary: &usize| -> Arc<[u32]> {
            (0..rows)
                .map(|_| random.random_range(0..vocabulary as u32))
                .collect()
        };
        let categories: Vec<_> = self.categories.iter().map(&mut codes).collect();
        let ids = self.ids.iter().map(&mut codes).collect();
        let values = (0..rows * self.dense)
            .map(|_| random.random_range(-1.73..1.73)) // a standard deviation of 1
            .collect();
        let masked: Arc<[u32]> = (0..rows as u32)
            .filter(|_| random.random_bool(MASK_RATE))
            .collect();
        let targets = categories[..self.heads]
            .iter()
            .map(|codes| masked.iter().map(|&row| codes[row as usize]).collect())
            .collect();
        Ok(Batch {
            categories,
            ids,
            dense: network.dense_input(values),
            positions: offsets
                .ranges()
                .flat_map(|rows| (0..rows.len() as u32).rev())
                .collect(),
            offsets,
            masked,
            targets,
        })
    }
}
