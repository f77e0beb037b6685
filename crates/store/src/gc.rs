//! Removes what nothing reaches: results first, then trees, then blobs, so that a reader never
//! finds a result whose content was taken on purpose.
//!
//! Safe beside runs that write: nothing young is removed, what runs name and pin is kept, and
//! both are looked at again before the first removal, the age of each object right before its
//! own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use crate::artifact_io::is_younger;
use crate::digest::{Digest, RunId};
use crate::error::Result;
use crate::error_mapping::Access;
use crate::gc_mark::Reached;
use crate::objects::{Listed, PARALLEL_REQUESTS};
use crate::pin::PIN_LIFETIME;
use crate::store::Inner;

/// What to keep and what to do.
#[derive(Debug, Clone)]
pub struct GcOptions {
    /// Runs to keep, with everything that their journals name. Runs that still write are kept
    /// in any case.
    pub keep: Vec<RunId>,
    /// Nothing younger than this is removed. The default is 24 hours; less is safe only where no
    /// run writes at the same time.
    pub young: Duration,
    pub mode: GcMode,
}

impl GcOptions {
    /// Keeps some runs, and what is younger than 24 hours.
    pub fn keeping(keep: Vec<RunId>, mode: GcMode) -> GcOptions {
        GcOptions {
            keep,
            young: Duration::from_secs(24 * 60 * 60),
            mode,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// Counts, removes nothing.
    DryRun,
    Sweep,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Journals of runs that are not kept.
    pub runs: u64,
    pub results: u64,
    /// Stage keys whose checkpoints go.
    pub checkpoints: u64,
    pub trees: u64,
    pub blobs: u64,
    /// The size of all that goes.
    pub removed_bytes: u64,
    /// Results, trees and blobs that stay.
    pub kept_objects: u64,
    /// Their size.
    pub kept_bytes: u64,
}

/// What goes, in groups that go one after another.
#[derive(Debug, Default)]
struct Garbage {
    results: Vec<Listed>,
    checkpoints: BTreeMap<String, Vec<Listed>>,
    runs: Vec<Vec<Listed>>,
    pins: Vec<Listed>,
    trees: Vec<Listed>,
    blobs: Vec<Listed>,
    kept: u64,
    kept_bytes: u64,
}

impl Inner {
    pub(crate) async fn gc(self: &Arc<Inner>, options: &GcOptions) -> Result<GcReport> {
        let mut reached = Reached::default();
        let runs = self.sort_runs(&options.keep, options.young).await?;
        let named = self.named_digests(&runs).await?;
        self.follow(&named, &mut reached).await?;
        let results = self.objects.list("results").await?;
        let trees = self.objects.list("trees").await?;
        // What is young stands for itself, even where no run names it yet.
        let young = results
            .iter()
            .chain(&trees)
            .filter(|object| is_younger(&object.stat, options.young));
        let young: HashSet<Digest> = young.filter_map(digest_of).collect();
        self.follow(&young, &mut reached).await?;

        let mut garbage = Garbage {
            runs: runs.old,
            ..Garbage::default()
        };
        garbage.checkpoints = self.old_checkpoints(&reached, options.young).await?;
        let blobs = self.objects.list("blobs").await?;
        let pins = self.objects.list("pins").await?;
        garbage.pins = pins
            .into_iter()
            .filter(|pin| !is_younger(&pin.stat, PIN_LIFETIME))
            .collect();
        garbage.results = garbage.sift(results, &reached.named, options.young);
        garbage.trees = garbage.sift(trees, &reached.trees, options.young);
        garbage.blobs = garbage.sift(blobs, &reached.blobs, options.young);
        if options.mode == GcMode::DryRun {
            return Ok(garbage.report());
        }

        // A run may have begun meanwhile, and may use what looked like garbage.
        let runs = self.sort_runs(&options.keep, options.young).await?;
        let named = self.named_digests(&runs).await?;
        self.follow(&named, &mut reached).await?;
        garbage.spare(&reached);
        let report = garbage.report();
        self.sweep(garbage).await?;
        Ok(report)
    }

    /// Checkpoints of keys that nothing names and that nobody wrote to lately.
    async fn old_checkpoints(
        &self,
        reached: &Reached,
        young: Duration,
    ) -> Result<BTreeMap<String, Vec<Listed>>> {
        let mut by_key: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
        for listed in self.objects.list("checkpoints").await? {
            let key = listed.name.split('/').nth(1).unwrap_or_default().to_owned();
            by_key.entry(key).or_default().push(listed);
        }
        by_key.retain(|key, objects| {
            let is_named = key.parse().is_ok_and(|key| reached.named.contains(&key));
            !is_named && !objects.iter().any(|object| is_younger(&object.stat, young))
        });
        Ok(by_key)
    }

    async fn sweep(&self, garbage: Garbage) -> Result<()> {
        let checkpoints = garbage.checkpoints.into_values().flatten().collect();
        let runs = garbage.runs.into_iter().flatten().collect();
        for group in [
            garbage.results,
            checkpoints,
            runs,
            garbage.pins,
            garbage.trees,
            garbage.blobs,
        ] {
            let removals = group.iter().map(|listed| self.remove_if_unchanged(listed));
            stream::iter(removals)
                .buffer_unordered(PARALLEL_REQUESTS)
                .try_collect::<()>()
                .await?;
            if let Some(folder) = self.objects.folder() {
                group
                    .iter()
                    .for_each(|listed| folder.remove_empty_parents(&listed.name));
            }
        }
        Ok(())
    }

    /// Removes an object unless somebody has written it since it was listed.
    async fn remove_if_unchanged(&self, listed: &Listed) -> Result<()> {
        if let Some(folder) = self.objects.folder() {
            let removed = folder.remove_unchanged(&listed.name, &listed.stat);
            return removed.map_err(|error| {
                self.objects
                    .store()
                    .disk(Access::Write, &listed.name, &error)
            });
        }
        match self.objects.stat(&listed.name).await? {
            Some(stat) if stat == listed.stat => {
                self.remove_with_copies(vec![listed.name.clone()]).await
            }
            _ => Ok(()),
        }
    }
}

impl Garbage {
    /// Gives what is neither reached nor young; counts the rest.
    fn sift(
        &mut self,
        listed: Vec<Listed>,
        reached: &HashSet<Digest>,
        young: Duration,
    ) -> Vec<Listed> {
        let (stay, go): (Vec<_>, Vec<_>) = listed.into_iter().partition(|object| {
            digest_of(object).is_none_or(|digest| reached.contains(&digest))
                || is_younger(&object.stat, young)
        });
        self.kept += stay.len() as u64;
        self.kept_bytes += bytes_of(&stay);
        go
    }

    fn spare(&mut self, reached: &Reached) {
        for (group, reached) in [
            (&mut self.results, &reached.named),
            (&mut self.trees, &reached.trees),
            (&mut self.blobs, &reached.blobs),
        ] {
            let go = split_off_reached(group, reached);
            self.kept += go.len() as u64;
            self.kept_bytes += bytes_of(&go);
        }
        self.checkpoints
            .retain(|key, _| !key.parse().is_ok_and(|key| reached.named.contains(&key)));
    }

    fn report(&self) -> GcReport {
        let checkpoints = self
            .checkpoints
            .values()
            .map(|objects| bytes_of(objects))
            .sum::<u64>();
        let runs = self
            .runs
            .iter()
            .map(|objects| bytes_of(objects))
            .sum::<u64>();
        GcReport {
            runs: self.runs.len() as u64,
            results: self.results.len() as u64,
            checkpoints: self.checkpoints.len() as u64,
            trees: self.trees.len() as u64,
            blobs: self.blobs.len() as u64,
            removed_bytes: checkpoints
                + runs
                + bytes_of(&self.results)
                + bytes_of(&self.pins)
                + bytes_of(&self.trees)
                + bytes_of(&self.blobs),
            kept_objects: self.kept,
            kept_bytes: self.kept_bytes,
        }
    }
}

/// Takes out and gives what is reached after all.
fn split_off_reached(group: &mut Vec<Listed>, reached: &HashSet<Digest>) -> Vec<Listed> {
    let is_reached =
        |object: &Listed| digest_of(object).is_some_and(|digest| reached.contains(&digest));
    let (stay, go) = std::mem::take(group).into_iter().partition(is_reached);
    *group = go;
    stay
}

fn bytes_of(objects: &[Listed]) -> u64 {
    objects.iter().map(|object| object.stat.size_bytes).sum()
}

fn digest_of(object: &Listed) -> Option<Digest> {
    object.name.rsplit('/').next()?.parse().ok()
}
