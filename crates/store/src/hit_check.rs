//! Whether results are there, with all that they point to: one batch, without reading content
//! that looks as it did when it was last known to be whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::digest::{Digest, StageKey};
use crate::error::Result;
use crate::error_mapping::Access;
use crate::index_record::{IndexedResult, IndexedTree};
use crate::indexed::{Indexed, tree_digests};
use crate::local_put::{Stat, copy_and_digest};
use crate::object_name;
use crate::objects::{PARALLEL_REQUESTS, blocking};
use crate::result::StageResult;
use crate::store::Inner;
use crate::transfer;
use crate::tree::Tree;

/// A remote blob that was written again is read to see whether it is whole, up to this size.
const READ_AGAIN_UP_TO_BYTES: u64 = 64 * 1024 * 1024;
/// Trees may be as large as 100 MiB; so many are read at one time.
const TREES_AT_ONCE: usize = 4;

/// What stands in the store under a stage key.
#[derive(Debug, Clone)]
pub enum HitState {
    /// The result and everything that it points to is there.
    Hit(Arc<StageResult>),
    /// There is no result.
    Miss,
    /// A result is there, but it, or something that it points to, is missing or damaged.
    Damaged {
        /// The name of what is damaged: `trees/ab…`.
        object: String,
        /// What is wrong with it: "it is missing".
        what: String,
    },
}

/// A result that is there, or why not.
type Found = std::result::Result<Option<Arc<StageResult>>, Damage>;

#[derive(Debug, Clone)]
struct Damage {
    object: String,
    what: String,
}

impl Damage {
    fn missing(object: String) -> Damage {
        Damage {
            object,
            what: "it is missing".to_owned(),
        }
    }
}

impl Inner {
    pub(crate) async fn check_results(
        self: &Arc<Inner>,
        keys: &[StageKey],
    ) -> Result<Vec<HitState>> {
        let indexed = self.indexed(keys.to_vec()).await;
        self.check_indexed(keys, indexed).await
    }

    /// What stands under each key, of which the index knows so much.
    pub(crate) async fn check_indexed(
        self: &Arc<Inner>,
        keys: &[StageKey],
        indexed: Indexed,
    ) -> Result<Vec<HitState>> {
        let Indexed { results, trees } = indexed;
        let mut known_trees = trees;
        let results = self.find_results(keys, results).await?;

        let digests: BTreeSet<Digest> = results
            .iter()
            .filter_map(|found| found.as_ref().ok()?.as_deref())
            .flat_map(tree_digests)
            .collect();
        let damaged_trees = self.check_trees(&digests, &mut known_trees).await?;
        let damaged_blobs = self.check_blobs(&digests, &mut known_trees).await?;

        let all_is_whole = damaged_trees.is_empty() && damaged_blobs.is_empty();
        let damage_of = |result: &StageResult| {
            if all_is_whole {
                return None;
            }
            tree_digests(result).find_map(|digest| {
                let in_tree = damaged_trees.get(&digest);
                in_tree.or_else(|| {
                    known_trees
                        .get(&digest)?
                        .blobs
                        .iter()
                        .find_map(|(blob, _)| damaged_blobs.get(blob))
                })
            })
        };
        let state = |found: Found| match found {
            Ok(None) => HitState::Miss,
            Ok(Some(result)) => match damage_of(&result) {
                None => HitState::Hit(result),
                Some(Damage { object, what }) => HitState::Damaged {
                    object: object.clone(),
                    what: what.clone(),
                },
            },
            Err(Damage { object, what }) => HitState::Damaged { object, what },
        };
        let states: Vec<HitState> = results.into_iter().map(state).collect();
        for state in &states {
            if let HitState::Damaged { object, .. } = state {
                self.suspect(object);
            }
        }
        Ok(states)
    }

    async fn indexed(self: &Arc<Inner>, keys: Vec<StageKey>) -> Indexed {
        let inner = Arc::clone(self);
        blocking(move || {
            let batch = inner.index.batch();
            Indexed::with_trees(batch.results(&keys), &batch)
        })
        .await
    }

    async fn find_results(
        &self,
        keys: &[StageKey],
        indexed: Vec<Option<IndexedResult>>,
    ) -> Result<Vec<Found>> {
        let stats = self
            .objects
            .stat_many(keys.iter().map(object_name::result).collect())
            .await?;
        let mut found: Vec<Found> = Vec::with_capacity(keys.len());
        let mut to_read = Vec::new();
        for (at, (indexed, stat)) in indexed.into_iter().zip(&stats).enumerate() {
            found.push(match (indexed, stat) {
                (_, None) => Ok(None),
                (Some(known), Some(stat)) if known.stat.still_holds(stat) => {
                    if known.stat != *stat {
                        self.index.learn_result(IndexedResult {
                            stat: *stat,
                            result: Arc::clone(&known.result),
                        });
                    }
                    Ok(Some(known.result))
                }
                (_, Some(stat)) => {
                    to_read.push((at, *stat));
                    Ok(None)
                }
            });
        }
        let names = to_read
            .iter()
            .map(|(at, _)| object_name::result(&keys[*at]))
            .collect();
        let documents = self.objects.read_many(names).await?;
        for ((at, stat), document) in to_read.into_iter().zip(documents) {
            let Some(document) = document else { continue };
            found[at] = match StageResult::from_document(&document, &keys[at]) {
                Ok(result) => {
                    let result = Arc::new(result);
                    self.index.learn_result(IndexedResult {
                        stat,
                        result: Arc::clone(&result),
                    });
                    Ok(Some(result))
                }
                Err(what) => Err(Damage {
                    object: object_name::result(&keys[at]),
                    what,
                }),
            };
        }
        Ok(found)
    }

    /// Gives the damaged ones. Afterwards `known` has all others.
    async fn check_trees(
        &self,
        digests: &BTreeSet<Digest>,
        known: &mut HashMap<Digest, IndexedTree>,
    ) -> Result<HashMap<Digest, Damage>> {
        let mut damaged = HashMap::new();
        let mut to_read = Vec::new();
        let stats = self
            .objects
            .stat_many(digests.iter().map(object_name::tree).collect())
            .await?;
        for (digest, stat) in digests.iter().zip(stats) {
            match (known.get_mut(digest), stat) {
                (_, None) => {
                    drop(damaged.insert(*digest, Damage::missing(object_name::tree(digest))))
                }
                (Some(tree), Some(stat)) if tree.stat.still_holds(&stat) => {
                    if tree.stat != stat {
                        tree.stat = stat;
                        self.index.learn_tree(*digest, tree.clone());
                    }
                }
                (_, Some(stat)) => to_read.push((*digest, stat)),
            }
        }
        for some in to_read.chunks(TREES_AT_ONCE) {
            let names = some
                .iter()
                .map(|(digest, _)| object_name::tree(digest))
                .collect();
            for ((digest, stat), bytes) in some.iter().zip(self.objects.read_many(names).await?) {
                match bytes.map(|bytes| indexed_tree(&bytes, digest, *stat)) {
                    Some(Ok(tree)) => {
                        self.index.learn_tree(*digest, tree.clone());
                        known.insert(*digest, tree);
                    }
                    Some(Err(what)) => drop(damaged.insert(
                        *digest,
                        Damage {
                            object: object_name::tree(digest),
                            what,
                        },
                    )),
                    None => {
                        drop(damaged.insert(*digest, Damage::missing(object_name::tree(digest))))
                    }
                }
            }
        }
        Ok(damaged)
    }

    async fn check_blobs(
        self: &Arc<Inner>,
        digests: &BTreeSet<Digest>,
        trees: &mut HashMap<Digest, IndexedTree>,
    ) -> Result<HashMap<Digest, Damage>> {
        let mut expected: HashMap<Digest, Stat> = HashMap::new();
        for (blob, stat) in digests
            .iter()
            .filter_map(|digest| trees.get(digest))
            .flat_map(|tree| &tree.blobs)
        {
            let known = expected.entry(*blob).or_insert(*stat);
            known.modified_ns = known.modified_ns.max(stat.modified_ns);
        }
        if expected.is_empty() {
            return Ok(HashMap::new());
        }
        let expected: Vec<(Digest, Stat)> = expected.into_iter().collect();
        let names = expected
            .iter()
            .map(|(blob, _)| object_name::blob(blob))
            .collect();
        let seen = self.objects.stat_many(names).await?;

        let checks = expected
            .iter()
            .zip(&seen)
            .map(|((blob, expected), seen)| async move {
                Ok((
                    *blob,
                    *seen,
                    self.blob_damage(blob, expected, seen.as_ref()).await?,
                ))
            });
        let checked: Vec<(Digest, Option<Stat>, Option<Damage>)> = stream::iter(checks)
            .buffered(PARALLEL_REQUESTS)
            .try_collect::<Vec<_>>()
            .await?;
        let mut whole = HashMap::new();
        let mut damaged = HashMap::new();
        for (blob, seen, damage) in checked {
            match (damage, seen) {
                (Some(damage), _) => drop(damaged.insert(blob, damage)),
                (None, Some(seen)) => drop(whole.insert(blob, seen)),
                (None, None) => {}
            }
        }
        self.learn_blobs(digests, trees, &whole);
        Ok(damaged)
    }

    async fn blob_damage(
        self: &Arc<Inner>,
        blob: &Digest,
        expected: &Stat,
        seen: Option<&Stat>,
    ) -> Result<Option<Damage>> {
        let name = object_name::blob(blob);
        let Some(seen) = seen else {
            return Ok(Some(Damage::missing(name)));
        };
        if seen.size_bytes != expected.size_bytes {
            let what = format!(
                "it has {} bytes instead of {}",
                seen.size_bytes, expected.size_bytes
            );
            return Ok(Some(Damage { object: name, what }));
        }
        if expected.still_holds(seen) || self.blob_is_whole(&name, blob, seen.size_bytes).await? {
            return Ok(None);
        }
        Ok(Some(Damage {
            object: name,
            what: "its content does not have the digest that it is named by".to_owned(),
        }))
    }

    async fn blob_is_whole(
        self: &Arc<Inner>,
        name: &str,
        blob: &Digest,
        size_bytes: u64,
    ) -> Result<bool> {
        if self.is_remote() {
            return Ok(size_bytes > READ_AGAIN_UP_TO_BYTES
                || transfer::has_digest(&self.objects, name, blob).await?);
        }
        let (inner, name, blob) = (Arc::clone(self), name.to_owned(), *blob);
        blocking(move || {
            let mut file = std::fs::File::open(inner.local.path(&name));
            let digest = file
                .as_mut()
                .map_err(|error| std::io::Error::from(error.kind()))
                .and_then(|file| {
                    copy_and_digest(file, &mut std::io::sink()).map(|(digest, _)| digest)
                });
            match digest {
                Ok(digest) => Ok(digest == blob),
                Err(error) => Err(inner.objects.store().disk(Access::Read, &name, &error)),
            }
        })
        .await
    }

    /// Remembers how whole blobs look now, for the trees where that is news.
    fn learn_blobs(
        &self,
        digests: &BTreeSet<Digest>,
        trees: &mut HashMap<Digest, IndexedTree>,
        whole: &HashMap<Digest, Stat>,
    ) {
        for digest in digests {
            let Some(tree) = trees.get_mut(digest) else {
                continue;
            };
            let mut is_news = false;
            for (blob, stat) in &mut tree.blobs {
                if let Some(seen) = whole.get(blob).filter(|seen| *seen != stat) {
                    *stat = *seen;
                    is_news = true;
                }
            }
            if is_news {
                self.index.learn_tree(*digest, tree.clone());
            }
        }
    }
}

/// What the index is to know of a tree, if it is whole.
pub(crate) fn indexed_tree(
    bytes: &Bytes,
    digest: &Digest,
    stat: Stat,
) -> std::result::Result<IndexedTree, String> {
    let tree = Tree::parse(bytes, digest)?;
    let unknown = |(blob, size_bytes)| {
        (
            blob,
            Stat {
                size_bytes,
                modified_ns: 0,
            },
        )
    };
    Ok(IndexedTree {
        stat,
        blobs: tree.blobs().into_iter().map(unknown).collect(),
    })
}
