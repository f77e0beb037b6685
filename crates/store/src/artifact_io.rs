//! Artifacts into the store and out of it: on a folder directly, on a bucket through the cache.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{StreamExt, TryStreamExt, stream};

use crate::artifact::{Artifact, ArtifactKind};
use crate::collect::{Collected, collect};
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::error_mapping::Access;
use crate::index_record::IndexedTree;
use crate::layout::{self, Source, Target};
use crate::local_put::{Durability, Stat};
use crate::object_name::{self, Area};
use crate::objects::blocking;
use crate::store::Inner;
use crate::transfer::{download, upload};
use crate::tree::Tree;

/// Files that are on their way to or from a bucket at one time.
const FILES_AT_ONCE: usize = 4;
/// Up to this size, sending again costs no more than asking.
const ASK_FROM_BYTES: u64 = 64 * 1024;
/// A remote object older than this is sent again rather than relied on: gc may be about to
/// remove it, unless it is young.
const RELIED_ON_FOR: Duration = Duration::from_secs(12 * 60 * 60);

impl Inner {
    pub(crate) async fn put(
        self: &Arc<Inner>,
        path: &Path,
        kind: ArtifactKind,
    ) -> Result<Artifact> {
        let collected = self
            .put_in(Area::Store, path, kind, Durability::NoSync)
            .await?;
        let Collected {
            artifact,
            mut tree,
            mut blobs,
        } = collected;
        if self.is_remote() {
            // The server's own times are not known yet.
            tree.modified_ns = 0;
            blobs.iter_mut().for_each(|(_, stat)| stat.modified_ns = 0);
        }
        self.index
            .learn_tree(artifact.digest, IndexedTree { stat: tree, blobs });
        Ok(artifact)
    }

    /// Stores blobs, then the tree.
    pub(crate) async fn put_in(
        self: &Arc<Inner>,
        area: Area,
        path: &Path,
        kind: ArtifactKind,
        durability: Durability,
    ) -> Result<Collected> {
        if !self.is_remote() {
            self.objects.ensure_format().await?;
        }
        let (inner, own_area, own_path) = (Arc::clone(self), area.clone(), path.to_owned());
        let collected = blocking(move || {
            let store = inner.objects.store();
            collect(&inner.local, store, &own_area, &own_path, kind, durability)
        })
        .await?;
        if self.is_remote() {
            let uploads = collected
                .blobs
                .iter()
                .map(|(digest, stat)| self.send(area.blob(digest), *digest, *stat));
            stream::iter(uploads)
                .buffer_unordered(FILES_AT_ONCE)
                .try_collect::<()>()
                .await?;
            let name = area.tree(&collected.artifact.digest);
            upload(&self.objects, &name, &self.local.path(&name), None).await?;
            self.trust(&name);
        }
        Ok(collected)
    }

    async fn send(&self, name: String, digest: Digest, stat: Stat) -> Result<()> {
        if stat.size_bytes > ASK_FROM_BYTES && !self.is_suspect(&name) {
            let there = self.objects.stat(&name).await?;
            if there.is_some_and(|there| {
                there.size_bytes == stat.size_bytes && is_younger(&there, RELIED_ON_FOR)
            }) {
                return Ok(());
            }
        }
        upload(&self.objects, &name, &self.local.path(&name), Some(&digest)).await?;
        self.trust(&name);
        Ok(())
    }

    pub(crate) async fn lay_out(
        self: &Arc<Inner>,
        digest: &Digest,
        to: &Path,
        target: Target,
    ) -> Result<ArtifactKind> {
        let tree = self
            .read_tree(&object_name::tree(digest), |found| found == digest)
            .await?;
        self.lay_out_tree(Area::Store, Arc::new(tree), to, target)
            .await
    }

    /// A tree object, held to the digest that its name tells.
    pub(crate) async fn read_tree(
        &self,
        name: &str,
        is_own: impl Fn(&Digest) -> bool,
    ) -> Result<Tree> {
        if self.is_remote() {
            let cached = self.local.read(name).ok().flatten();
            if let Some(Ok(tree)) = cached.map(|bytes| Tree::parse_named(&bytes.into(), &is_own)) {
                return Ok(tree);
            }
        }
        let tree = self.fetch_tree(name, &is_own).await;
        tree.inspect_err(|_| self.suspect(name))
    }

    async fn fetch_tree(&self, name: &str, is_own: impl Fn(&Digest) -> bool) -> Result<Tree> {
        let store = self.objects.store();
        let bytes = self
            .objects
            .read_many(vec![name.to_owned()])
            .await?
            .pop()
            .flatten();
        let bytes = bytes.ok_or_else(|| store.missing(name))?;
        let tree = Tree::parse_named(&bytes, is_own).map_err(|what| store.damaged(name, what))?;
        if self.is_remote() {
            let written = self.local.write(name, &[&bytes], Durability::NoSync);
            written.map_err(|error| {
                store.disk(Access::Write, &format!("the local copy of {name}"), &error)
            })?;
        }
        Ok(tree)
    }

    pub(crate) async fn lay_out_tree(
        self: &Arc<Inner>,
        area: Area,
        tree: Arc<Tree>,
        to: &Path,
        target: Target,
    ) -> Result<ArtifactKind> {
        self.fetch_blobs(&area, &tree).await?;
        match self.lay_out_here(&area, &tree, to, target).await {
            // The cache's copy is bad, the store's may be good.
            Err(StoreError::Damaged { object, .. } | StoreError::Missing { object, .. })
                if self.is_remote() =>
            {
                let removed = self.local.remove(&object);
                removed
                    .map_err(|error| self.objects.store().disk(Access::Write, &object, &error))?;
                self.fetch_blobs(&area, &tree).await?;
                self.lay_out_here(&area, &tree, to, target).await
            }
            Err(StoreError::Missing { store, object }) => {
                self.suspect(&object);
                Err(StoreError::Damaged {
                    store,
                    object,
                    what: "it is missing".to_owned(),
                })
            }
            Err(error) => {
                if let StoreError::Damaged { object, .. } = &error {
                    self.suspect(object);
                }
                Err(error)
            }
            Ok(kind) => Ok(kind),
        }
    }

    async fn lay_out_here(
        self: &Arc<Inner>,
        area: &Area,
        tree: &Arc<Tree>,
        to: &Path,
        target: Target,
    ) -> Result<ArtifactKind> {
        let (inner, area, tree, to) = (
            Arc::clone(self),
            area.clone(),
            Arc::clone(tree),
            to.to_owned(),
        );
        blocking(move || {
            let source = Source {
                folder: &inner.local,
                store: inner.objects.store(),
                area: &area,
            };
            layout::lay_out(&source, &tree, &to, target, &inner.temp)
        })
        .await
    }

    /// Brings what is missing into the cache.
    async fn fetch_blobs(self: &Arc<Inner>, area: &Area, tree: &Tree) -> Result<()> {
        if !self.is_remote() {
            return Ok(());
        }
        let fetches = tree
            .blobs()
            .into_iter()
            .map(|(digest, size_bytes)| async move {
                let name = area.blob(&digest);
                let cached = self.local.stat(&name).ok().flatten();
                if cached.is_some_and(|cached| cached.size_bytes == size_bytes) {
                    return Ok(());
                }
                let fetched = download(&self.objects, &name, &digest, &self.local).await;
                fetched.map(drop).map_err(|error| {
                    self.suspect(&name);
                    match error {
                        StoreError::Missing { store, object } => StoreError::Damaged {
                            store,
                            object,
                            what: "it is missing".to_owned(),
                        },
                        error => error,
                    }
                })
            });
        stream::iter(fetches)
            .buffer_unordered(FILES_AT_ONCE)
            .try_collect()
            .await
    }

    /// Syncs what results point to, before a result that must not be lost is written.
    pub(crate) fn sync_artifacts(&self, digests: &[Digest]) -> Result<()> {
        /// One sync of the whole file system is cheaper than more than so many.
        const SINGLY: usize = 64;
        let trees: Vec<(Digest, IndexedTree)> = self.index.batch().trees(digests.iter().copied());
        let blobs = trees
            .iter()
            .flat_map(|(_, tree)| tree.blobs.iter().map(|(blob, _)| object_name::blob(blob)));
        let names: Vec<String> = blobs.chain(digests.iter().map(object_name::tree)).collect();
        let synced = |name: &str, done: std::io::Result<()>| {
            done.map_err(|error| self.objects.store().disk(Access::Write, name, &error))
        };
        if names.len() > SINGLY && sync_file_system(&self.local.path("")).is_ok() {
            return Ok(());
        }
        names
            .iter()
            .try_for_each(|name| synced(name, self.local.sync(name)))
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(folder: &Path) -> std::io::Result<()> {
    let folder = std::fs::File::open(folder)?;
    nix::unistd::syncfs(&folder).map_err(std::io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_folder: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Whether an object was written less than `age` ago.
pub(crate) fn is_younger(stat: &Stat, age: Duration) -> bool {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let modified = Duration::from_nanos(u64::try_from(stat.modified_ns).unwrap_or(0));
    now.saturating_sub(modified) < age
}
