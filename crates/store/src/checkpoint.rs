//! Mid-stage state: `checkpoints/<stage key>/<attempt>/`, a tree for every state and the blobs
//! that it needs. The tree is written last; the newest that is whole is the one that counts.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::artifact::ArtifactKind;
use crate::digest::StageKey;
use crate::error::{Result, StoreError};
use crate::layout::Target;
use crate::local_put::Durability;
use crate::object_name::{self, Area};
use crate::objects::Listed;
use crate::store::Inner;
use crate::tree::Tree;

/// States that an attempt keeps: the newest, and one to fall back on.
const KEPT_STATES: usize = 2;

/// A checkpoint that was laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The attempt that wrote it, as its name stands in the store.
    pub attempt: String,
    /// Grows with every checkpoint of the key.
    pub sequence: u64,
    /// Newer ones that were passed over: what is wrong with each.
    pub damaged: Vec<String>,
}

/// A state that is listed in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    sequence: u64,
    attempt: String,
    /// The first digits of its tree's digest.
    mark: String,
}

impl State {
    /// Reads `checkpoints/<key>/<attempt>/<sequence>-<mark>`.
    fn parse(name: &str) -> Option<State> {
        let mut parts = name.split('/').skip(2);
        let attempt = parts.next()?.to_owned();
        let (sequence, mark) = parts.next()?.split_once('-')?;
        let state = State {
            sequence: sequence.parse().ok()?,
            attempt,
            mark: mark.to_owned(),
        };
        parts.next().is_none().then_some(state)
    }

    fn area(&self, key: &StageKey) -> Area {
        Area::Checkpoint {
            folder: attempt_folder(key, &self.attempt),
            sequence: self.sequence,
        }
    }

    fn tree_name(&self, key: &StageKey) -> String {
        format!(
            "{}/{:06}-{}",
            attempt_folder(key, &self.attempt),
            self.sequence,
            self.mark
        )
    }
}

fn attempt_folder(key: &StageKey, attempt: &str) -> String {
    format!("{}/{attempt}", object_name::checkpoints(key))
}

fn states(listed: &[Listed]) -> Vec<State> {
    listed
        .iter()
        .filter_map(|listed| State::parse(&listed.name))
        .collect()
}

impl Inner {
    pub(crate) async fn put_checkpoint(
        self: &Arc<Inner>,
        key: &StageKey,
        attempt: &str,
        folder: &Path,
    ) -> Result<()> {
        let attempt = object_name::part_of(attempt);
        let listed = self.objects.list(&object_name::checkpoints(key)).await?;
        let sequence = states(&listed)
            .iter()
            .map(|state| state.sequence + 1)
            .max()
            .unwrap_or(0);
        let area = Area::Checkpoint {
            folder: attempt_folder(key, &attempt),
            sequence,
        };
        self.put_in(area, folder, ArtifactKind::Folder, Durability::Sync)
            .await?;
        self.prune(key, &attempt).await
    }

    /// Removes the older states of one attempt, and the blobs that no state of it needs.
    async fn prune(self: &Arc<Inner>, key: &StageKey, attempt: &str) -> Result<()> {
        let folder = attempt_folder(key, attempt);
        let listed = self.objects.list(&folder).await?;
        let mut own = states(&listed);
        own.sort_unstable_by(|a, b| b.cmp(a));
        let mut needed = HashSet::new();
        for state in own.iter().take(KEPT_STATES) {
            let area = state.area(key);
            needed.insert(state.tree_name(key));
            match self.read_state(key, state).await {
                Ok(tree) => needed.extend(tree.blobs().iter().map(|(blob, _)| area.blob(blob))),
                Err(StoreError::Damaged { .. } | StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let removed = listed
            .into_iter()
            .map(|listed| listed.name)
            .filter(|name| !needed.contains(name))
            .collect();
        self.remove_with_copies(removed).await
    }

    async fn read_state(&self, key: &StageKey, state: &State) -> Result<Tree> {
        self.read_tree(&state.tree_name(key), |digest| {
            object_name::mark(digest) == state.mark
        })
        .await
    }

    pub(crate) async fn newest_checkpoint(
        self: &Arc<Inner>,
        key: &StageKey,
        to: &Path,
    ) -> Result<Option<Checkpoint>> {
        let mut states = states(&self.objects.list(&object_name::checkpoints(key)).await?);
        states.sort_unstable_by(|a, b| b.cmp(a));
        let mut damaged = Vec::new();
        for state in states {
            let area = state.area(key);
            let laid_out = match self.read_state(key, &state).await {
                Ok(tree) => {
                    self.lay_out_tree(area, Arc::new(tree), to, Target::Free)
                        .await
                }
                Err(error) => Err(error),
            };
            match laid_out {
                Ok(_) => {
                    return Ok(Some(Checkpoint {
                        attempt: state.attempt,
                        sequence: state.sequence,
                        damaged,
                    }));
                }
                Err(error @ (StoreError::Damaged { .. } | StoreError::Missing { .. })) => {
                    damaged.push(error.to_string())
                }
                Err(error) => return Err(error),
            }
        }
        for what in &damaged {
            tracing::warn!(%key, what, "a checkpoint is damaged and none before it is whole");
        }
        Ok(None)
    }

    pub(crate) async fn remove_checkpoints(&self, key: &StageKey) -> Result<()> {
        let listed = self.objects.list(&object_name::checkpoints(key)).await?;
        // Trees first: a state without its tree is no state.
        let mut by_kind: BTreeMap<bool, Vec<String>> = BTreeMap::new();
        for listed in listed {
            by_kind
                .entry(State::parse(&listed.name).is_none())
                .or_default()
                .push(listed.name);
        }
        for names in by_kind.into_values() {
            self.remove_with_copies(names).await?;
        }
        Ok(())
    }

    /// Removes objects and what the cache holds of them.
    pub(crate) async fn remove_with_copies(&self, names: Vec<String>) -> Result<()> {
        if self.is_remote() {
            for name in &names {
                if let Err(error) = self.local.remove(name) {
                    tracing::debug!(name, %error, "a local copy could not be removed");
                }
                self.local.remove_empty_parents(name);
            }
        }
        self.objects.remove_many(names).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn states_are_read_from_their_names() {
        let digest = Digest::of(b"x");
        let key = StageKey::of(b"k");
        let state = State {
            sequence: 12,
            attempt: "01-2".to_owned(),
            mark: object_name::mark(&digest),
        };
        assert_eq!(state.area(&key).tree(&digest), state.tree_name(&key));
        assert_eq!(State::parse(&state.tree_name(&key)), Some(state.clone()));
        assert_eq!(State::parse(&state.area(&key).blob(&digest)), None);
        assert_eq!(State::parse("checkpoints/k/a/notes.txt"), None);
    }
}
