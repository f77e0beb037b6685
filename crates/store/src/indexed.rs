//! What the index knows of many results at once.

use std::collections::{BTreeSet, HashMap};

use crate::digest::Digest;
use crate::index::Batch;
use crate::index_record::{IndexedResult, IndexedTree};
use crate::result::StageResult;

/// What the index knows of the results under some keys, in the order of the keys, and of the
/// trees that they point to.
pub(crate) struct Indexed {
    pub(crate) results: Vec<Option<IndexedResult>>,
    pub(crate) trees: HashMap<Digest, IndexedTree>,
}

impl Indexed {
    /// Asks the index for the trees. Blocks.
    pub(crate) fn with_trees(results: Vec<Option<IndexedResult>>, batch: &Batch<'_>) -> Indexed {
        let digests: BTreeSet<Digest> = results
            .iter()
            .flatten()
            .flat_map(|found| tree_digests(&found.result))
            .collect();
        let trees = batch.trees(digests.into_iter());
        Indexed { results, trees }
    }
}

/// The trees that a result points to.
pub(crate) fn tree_digests(result: &StageResult) -> impl Iterator<Item = Digest> {
    result.outputs.values().map(|artifact| artifact.digest)
}
