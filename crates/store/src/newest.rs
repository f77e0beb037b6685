//! The newest results of many stages, and whether they still stand: one look into the index, which
//! can be begun before it is known exactly which stages are asked for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crate::digest::{Digest, StageKey};
use crate::error::Result;
use crate::hit_check::HitState;
use crate::index::Batch;
use crate::index_record::{IndexedResult, IndexedTree};
use crate::indexed::{Indexed, tree_digests};
use crate::local_put::Stat;
use crate::object_name;
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

/// The newest results of all stages of one workflow.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// What the identities of its stages begin with.
    prefix: String,
    results: HashMap<String, Arc<StageResult>>,
    look: Look,
}

/// What a look at the objects of results has found.
#[derive(Debug, Default)]
struct Look {
    /// The result and all that it points to is there, and looks as it did when it was known to be
    /// whole.
    whole: HashMap<StageKey, HitState>,
    /// What has to be looked at more closely.
    open: HashMap<StageKey, IndexedResult>,
    trees: HashMap<Digest, IndexedTree>,
}

impl Inner {
    /// Looks at the newest results of all stages whose identities begin with `prefix`, for the next
    /// call of [`Inner::newest`]. Blocks.
    pub(crate) fn read_ahead(&self, prefix: &str) {
        let batch = self.index.batch();
        let newest = batch.latest_with(prefix);
        let look = self.look(newest.iter().map(|(_, indexed)| indexed), &batch);
        let results = newest
            .into_iter()
            .map(|(identity, indexed)| (identity, indexed.result))
            .collect();
        let ahead = Ahead {
            prefix: prefix.to_owned(),
            results,
            look,
        };
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    pub(crate) async fn newest(self: &Arc<Inner>, identities: Vec<String>) -> Newest {
        let ahead = self
            .ahead
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .filter(|ahead| identities.iter().all(|one| one.starts_with(&ahead.prefix)));
        let (results, look) = match ahead {
            Some(ahead) => {
                let result = |identity| ahead.results.get(identity).cloned();
                (identities.iter().map(result).collect(), ahead.look)
            }
            None => {
                let inner = Arc::clone(self);
                blocking(move || {
                    let batch = inner.index.batch();
                    let newest: Vec<Option<IndexedResult>> = identities
                        .iter()
                        .map(|identity| batch.latest(identity))
                        .collect();
                    let look = inner.look(newest.iter().flatten(), &batch);
                    let results = newest
                        .into_iter()
                        .map(|indexed| indexed.map(|indexed| indexed.result))
                        .collect();
                    (results, look)
                })
                .await
            }
        };
        let Look {
            whole: mut states,
            open,
            trees,
        } = look;
        let (keys, open): (Vec<StageKey>, Vec<IndexedResult>) = open.into_iter().unzip();
        let indexed = Indexed {
            results: open.into_iter().map(Some).collect(),
            trees,
        };
        let checked = match keys.is_empty() {
            true => Ok(Vec::new()),
            false => self.check_indexed(&keys, indexed).await,
        };
        Newest {
            results,
            states: checked.map(|checked| {
                states.extend(keys.into_iter().zip(checked));
                states
            }),
        }
    }

    /// Looks at the objects that results point to. In a bucket nothing is looked at: many questions
    /// are better asked together.
    fn look<'r>(
        &self,
        results: impl Iterator<Item = &'r IndexedResult>,
        batch: &Batch<'_>,
    ) -> Look {
        let mut look = Look::default();
        look.whole.reserve(results.size_hint().0);
        let folder = (!self.is_remote())
            .then(|| self.local.open().ok())
            .flatten();
        let stands = |name: &str, known: &Stat| {
            let seen = folder.as_ref().map(|folder| folder.stat(name));
            seen.is_some_and(|seen| seen.is_ok_and(|seen| seen.as_ref() == Some(known)))
        };
        for indexed in results {
            let key = indexed.result.key;
            // Stages that do the same work share their result.
            if look.whole.contains_key(&key) || look.open.contains_key(&key) {
                continue;
            }
            let trees: Vec<(Digest, IndexedTree)> = batch.trees(tree_digests(&indexed.result));
            let is_whole = stands(&object_name::result(&key), &indexed.stat)
                && trees.len() == indexed.result.outputs.len()
                && trees.iter().all(|(digest, tree)| {
                    stands(&object_name::tree(digest), &tree.stat)
                        && tree
                            .blobs
                            .iter()
                            .all(|(blob, stat)| stands(&object_name::blob(blob), stat))
                });
            if is_whole {
                let hit = HitState::Hit(Arc::clone(&indexed.result));
                look.whole.insert(key, hit);
            } else {
                look.open.insert(key, indexed.clone());
                look.trees.extend(trees);
            }
        }
        look
    }
}
