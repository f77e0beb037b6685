//! The newest results of many stages, and whether they still stand: one look into the index.

use std::collections::HashMap;
use std::sync::Arc;

use crate::digest::StageKey;
use crate::error::Result;
use crate::hit_check::HitState;
use crate::index_record::IndexedResult;
use crate::indexed::Indexed;
use crate::objects::blocking;
use crate::result::StageResult;
use crate::store::Inner;

/// What this machine remembers of many stages.
#[derive(Debug)]
pub struct Newest {
    /// The result last remembered for each stage, in the order asked; it need not be in the store
    /// any more. None: this machine knows of none.
    pub results: Vec<Option<Arc<StageResult>>>,
    /// What stands under the keys of these results.
    pub states: Result<HashMap<StageKey, HitState>>,
}

impl Inner {
    pub(crate) async fn newest(self: &Arc<Inner>, identities: Vec<String>) -> Newest {
        let inner = Arc::clone(self);
        let (results, keys, indexed) = blocking(move || {
            let batch = inner.index.batch();
            let newest: Vec<Option<IndexedResult>> = identities
                .iter()
                .map(|identity| batch.latest(identity))
                .collect();
            // Stages that do the same work share their result.
            let mut apart: Vec<IndexedResult> = newest.iter().flatten().cloned().collect();
            apart.sort_unstable_by_key(|indexed| indexed.result.key);
            apart.dedup_by_key(|indexed| indexed.result.key);
            let keys: Vec<StageKey> = apart.iter().map(|indexed| indexed.result.key).collect();
            let indexed = Indexed::with_trees(apart.into_iter().map(Some).collect(), &batch);
            let results = newest
                .into_iter()
                .map(|indexed| indexed.map(|indexed| indexed.result))
                .collect();
            (results, keys, indexed)
        })
        .await;
        let states = if keys.is_empty() {
            Ok(Vec::new())
        } else {
            self.check_indexed(&keys, indexed).await
        };
        Newest {
            results,
            states: states.map(|states| keys.into_iter().zip(states).collect()),
        }
    }
}
