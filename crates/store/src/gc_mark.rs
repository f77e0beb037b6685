//! What must stay: everything that a kept run, a ref or a pin names, and what that points to.
//!
//! A journal is read for digests, whatever they stand for: what is named anywhere in it stays.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::artifact_io::is_younger;
use crate::digest::{Digest, RunId, StageKey};
use crate::error::Result;
use crate::hit_check::indexed_tree;
use crate::index_record::IndexedTree;
use crate::local_put::Stat;
use crate::object_name;
use crate::objects::{Listed, blocking};
use crate::pin::PIN_LIFETIME;
use crate::result::StageResult;
use crate::run_log::OUTCOME;
use crate::store::Inner;

/// Objects that are read at one time.
const READ_AT_ONCE: usize = 64;
/// Trees may be large; so many are read at one time.
const TREES_AT_ONCE: usize = 4;

/// What was found to be reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Every digest that is named: keys, trees.
    pub(crate) named: HashSet<Digest>,
    pub(crate) trees: HashSet<Digest>,
    pub(crate) blobs: HashSet<Digest>,
}

/// The runs of a store and their objects.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) kept: Vec<Listed>,
    /// Finished or dead, not kept, with no young object.
    pub(crate) old: Vec<Vec<Listed>>,
}

impl Inner {
    /// Sorts the runs into kept and old ones. A run without an outcome that wrote something
    /// lately is still running, and kept.
    pub(crate) async fn sort_runs(&self, keep: &[RunId], young: Duration) -> Result<Runs> {
        let mut by_run: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
        for listed in self.objects.list("runs").await? {
            let run = listed.name.split('/').nth(1).unwrap_or_default().to_owned();
            by_run.entry(run).or_default().push(listed);
        }
        let mut runs = Runs {
            kept: Vec::new(),
            old: Vec::new(),
        };
        for (name, objects) in by_run {
            let is_kept = name.parse().is_ok_and(|run| keep.contains(&run));
            let has_ended = objects.iter().any(|object| object.name.ends_with(OUTCOME));
            let wrote_within = |age| objects.iter().any(|object| is_younger(&object.stat, age));
            if is_kept || wrote_within(young) || (!has_ended && wrote_within(PIN_LIFETIME)) {
                runs.kept.extend(objects);
            } else {
                runs.old.push(objects);
            }
        }
        Ok(runs)
    }

    /// The digests that kept runs, refs and fresh pins name.
    pub(crate) async fn named_digests(&self, runs: &Runs) -> Result<HashSet<Digest>> {
        let mut names: Vec<String> = Vec::new();
        let journals = runs
            .kept
            .iter()
            .filter(|object| !object.name.contains("/logs/"));
        names.extend(journals.map(|object| object.name.clone()));
        names.extend(
            self.objects
                .list("refs")
                .await?
                .into_iter()
                .map(|object| object.name),
        );
        let pins = self.objects.list("pins").await?;
        names.extend(
            pins.into_iter()
                .filter(|pin| is_younger(&pin.stat, PIN_LIFETIME))
                .map(|pin| pin.name),
        );
        let mut named = HashSet::new();
        for some in names.chunks(READ_AT_ONCE) {
            for bytes in self
                .objects
                .read_many(some.to_vec())
                .await?
                .into_iter()
                .flatten()
            {
                named.extend(digests_in(&bytes));
            }
        }
        Ok(named)
    }

    /// Adds to `reached` the trees and blobs that some digests, as keys or as trees, lead to.
    pub(crate) async fn follow(
        self: &Arc<Inner>,
        named: &HashSet<Digest>,
        reached: &mut Reached,
    ) -> Result<()> {
        let mut trees: HashSet<Digest> = HashSet::new();
        let digests: Vec<&Digest> = named
            .iter()
            .filter(|digest| !reached.named.contains(digest))
            .collect();
        for some in digests.chunks(READ_AT_ONCE) {
            let names = some
                .iter()
                .map(|digest| object_name::result(&StageKey::new(**digest)))
                .collect();
            for (digest, document) in some.iter().zip(self.objects.read_many(names).await?) {
                trees.insert(**digest);
                let result = document.and_then(|document| {
                    StageResult::from_document(&document, &StageKey::new(**digest)).ok()
                });
                trees.extend(
                    result
                        .iter()
                        .flat_map(|result| result.outputs.values().map(|artifact| artifact.digest)),
                );
            }
        }
        reached.named.extend(digests);
        trees.retain(|tree| !reached.trees.contains(tree));
        self.follow_trees(trees, reached).await
    }

    async fn follow_trees(
        self: &Arc<Inner>,
        trees: HashSet<Digest>,
        reached: &mut Reached,
    ) -> Result<()> {
        let (inner, digests) = (Arc::clone(self), trees.clone());
        // What the index knows of a tree is right: the tree's name is its digest.
        let indexed: HashMap<Digest, IndexedTree> =
            blocking(move || inner.index.batch().trees(digests.into_iter())).await;
        for tree in indexed.values() {
            reached
                .blobs
                .extend(tree.blobs.iter().map(|(blob, _)| *blob));
        }
        let unknown: Vec<&Digest> = trees
            .iter()
            .filter(|tree| !indexed.contains_key(*tree))
            .collect();
        for some in unknown.chunks(TREES_AT_ONCE) {
            let names = some
                .iter()
                .map(|digest| object_name::tree(digest))
                .collect();
            for (digest, bytes) in some.iter().zip(self.objects.read_many(names).await?) {
                let unseen = Stat {
                    size_bytes: 0,
                    modified_ns: 0,
                };
                let tree = bytes.and_then(|bytes| indexed_tree(&bytes, digest, unseen).ok());
                reached.blobs.extend(
                    tree.iter()
                        .flat_map(|tree| tree.blobs.iter().map(|(blob, _)| *blob)),
                );
            }
        }
        reached.trees.extend(trees);
        Ok(())
    }
}

/// Every run of exactly 64 hexadecimal digits in a text.
fn digests_in(bytes: &[u8]) -> impl Iterator<Item = Digest> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let words = bytes
        .split(move |byte| !is_digit(byte))
        .filter(|word| word.len() == 64);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_any_text() {
        let digest = Digest::of(b"x");
        let text = format!(
            "{{\"key\":\"{digest}\",\"longer\":\"{digest}0\",\"cut\":\"{}\"}}",
            &digest.to_string()[1..]
        );
        assert_eq!(digests_in(text.as_bytes()).collect::<Vec<_>>(), [digest]);
    }
}
