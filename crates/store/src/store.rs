//! The store: what the engine and the commands call.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;

use crate::artifact::{Artifact, ArtifactKind};
use crate::checkpoint::Checkpoint;
use crate::client::Client;
use crate::digest::{Digest, RunId, StageKey};
use crate::digest_path::digest_path;
use crate::environment::Environment;
use crate::error::Result;
use crate::error_mapping::Access;
use crate::fetch::Fetching;
use crate::fetch_error::FetchError;
use crate::fetched::{Fetched, FetchedFolder};
use crate::gc::{GcOptions, GcReport};
use crate::hit_check::HitState;
use crate::index::Index;
use crate::index_record::IndexedResult;
use crate::layout::Target;
use crate::local_put::{Durability, LocalFolder};
use crate::newest::{Ahead, Newest};
use crate::object_name;
use crate::objects::{Objects, blocking, check_folder};
use crate::refs::RefEntry;
use crate::result::StageResult;
use crate::store_url::StoreUrl;
use crate::temp_folder::TempFolder;

/// A store. Cheap to clone; all clones are one store. Its calls need a tokio runtime.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) url: StoreUrl,
    pub(crate) objects: Objects,
    /// Where content lies on this machine: the store's own folder, or the cache of a bucket.
    pub(crate) local: LocalFolder,
    /// Temporary files beside the index, for what is laid out.
    pub(crate) temp: TempFolder,
    pub(crate) index: Index,
    /// What inputs by URL were fetched.
    pub(crate) fetched: FetchedFolder,
    /// Where the credentials for inputs by URL come from.
    pub(crate) environment: Environment,
    /// Objects that were found missing or damaged: the next one that has their content writes it.
    suspects: Mutex<HashSet<String>>,
    /// What was looked at before it was asked for.
    pub(crate) ahead: Mutex<Option<Ahead>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.url)
    }
}

impl Store {
    /// Opens a store with the credentials of this process's environment.
    ///
    /// A folder that does not exist is made by the first write, not here. `local` (in a project,
    /// `.supermoe/local`) takes the index and, for a bucket, the cache. A bucket that cannot be
    /// reached or read is an error within about ten seconds.
    pub async fn open(url: &StoreUrl, local: &Path) -> Result<Store> {
        Store::open_in(url, local, &Environment::of_process()).await
    }

    /// Opens a store with the credentials and endpoints of an environment.
    pub async fn open_in(url: &StoreUrl, local: &Path, environment: &Environment) -> Result<Store> {
        let client = Client::new(url, environment)?;
        let (folder, own) = match url {
            StoreUrl::Folder(path) => {
                check_folder(path, &client.store)?;
                let folder = LocalFolder::new(path.clone());
                (folder.clone(), Some(folder))
            }
            StoreUrl::Bucket { .. } => (
                LocalFolder::new(local.join("cache").join(mark_of(url, &client))),
                None,
            ),
        };
        let index = Index::new(local.join(format!("index-{}.redb", mark_of(url, &client))));
        let temp = TempFolder::new(local.join("tmp"));
        temp.remove_left_behind();
        folder.temp().remove_left_behind();
        let objects = Objects::new(client, own);
        objects.probe().await?;
        let inner = Inner {
            url: url.clone(),
            objects,
            local: folder,
            temp,
            index,
            fetched: FetchedFolder::new(local.join("fetched")),
            environment: environment.clone(),
            suspects: Mutex::default(),
            ahead: Mutex::default(),
        };
        Ok(Store {
            inner: Arc::new(inner),
        })
    }

    pub fn url(&self) -> &StoreUrl {
        &self.inner.url
    }

    /// Stores the file or folder at `path`: its blobs, then its tree.
    ///
    /// Links inside the folder are stored as what they point to. Links that leave it, sockets,
    /// pipes, devices and names that are not UTF-8 are [`StoreError::NotStorable`].
    ///
    /// [`StoreError::NotStorable`]: crate::StoreError::NotStorable
    pub async fn put(&self, path: &Path, kind: ArtifactKind) -> Result<Artifact> {
        self.inner.put(path, kind).await
    }

    /// Lays an artifact out at `to`, which must not exist or be an empty folder. The content is
    /// verified on its way; `to` appears whole or not at all. [`StoreError::Damaged`] names the
    /// object that is missing or damaged.
    ///
    /// [`StoreError::Damaged`]: crate::StoreError::Damaged
    pub async fn lay_out(&self, digest: &Digest, to: &Path) -> Result<ArtifactKind> {
        self.inner.lay_out(digest, to, Target::Free).await
    }

    /// Like [`Store::lay_out`], and takes the place of whatever stands at `to`.
    pub async fn lay_out_over(&self, digest: &Digest, to: &Path) -> Result<ArtifactKind> {
        self.inner.lay_out(digest, to, Target::Replaced).await
    }

    /// One file of an artifact; `path` is relative to its folder, and empty for an artifact that
    /// is a file. The content is verified. None: the artifact has no such file. A file of more than
    /// `most_bytes` is [`StoreError::Failed`].
    ///
    /// [`StoreError::Failed`]: crate::StoreError::Failed
    pub async fn read_file(
        &self,
        digest: &Digest,
        path: &str,
        most_bytes: u64,
    ) -> Result<Option<Bytes>> {
        self.inner.read_file(digest, path, most_bytes).await
    }

    /// The digest that [`Store::put`] would give, without storing anything. Digests of files are
    /// remembered by size, times and inode. A link at `path` itself is followed.
    pub async fn digest_path(&self, path: &Path) -> Result<Digest> {
        let inner = Arc::clone(&self.inner);
        let path = path.to_owned();
        blocking(move || digest_path(&path, &inner.index, &inner.index.batch())).await
    }

    /// [`Store::digest_path`] of many, in one batch, in the order given.
    pub async fn digest_paths(&self, paths: &[PathBuf]) -> Vec<Result<Digest>> {
        let inner = Arc::clone(&self.inner);
        let paths = paths.to_vec();
        blocking(move || {
            let batch = inner.index.batch();
            paths
                .iter()
                .map(|path| digest_path(path, &inner.index, &batch))
                .collect()
        })
        .await
    }

    /// Brings objects that URLs name (`s3://bucket/key`, `gs://`, `az://`, `https://`, `http://`)
    /// onto this machine, in the order given; a bucket's URL that ends in `/` is the folder of all
    /// objects below it. Every call asks how the objects look now, and fetches those that look
    /// otherwise than the copies that were fetched before. An object without ETag and time of
    /// change is fetched each time. Credentials are those of the environment. `told` is called for
    /// each URL of which something has to be fetched, before that begins.
    pub async fn fetch(
        &self,
        urls: &[String],
        told: &(dyn Fn(Fetching) + Sync),
    ) -> Vec<std::result::Result<Fetched, FetchError>> {
        self.inner.fetch(urls, told).await
    }

    /// The result under a key, verified by its checksum; what it points to is not looked at.
    pub async fn result(&self, key: &StageKey) -> Result<Option<Arc<StageResult>>> {
        let name = object_name::result(key);
        let Some(document) = self.inner.objects.read(&name).await? else {
            return Ok(None);
        };
        match StageResult::from_document(&document, key) {
            Ok(result) => Ok(Some(Arc::new(result))),
            Err(what) => Err(self.inner.objects.store().damaged(&name, what)),
        }
    }

    /// What stands under each key, in the order of the keys. A hit means that the result and all
    /// that it points to is there and looks as it did when it was last known to be whole.
    pub async fn check_results(&self, keys: &[StageKey]) -> Result<Vec<HitState>> {
        self.inner.check_results(keys).await
    }

    /// Writes a result. Its artifacts must have been put before; with [`Durability::Sync`] they
    /// are synced first.
    pub async fn put_result(&self, result: &StageResult, durability: Durability) -> Result<()> {
        self.inner.put_result(result, durability).await
    }

    /// Remembers a key as the newest of a stage (`workflow/stage[cell]`). Kept by the local index
    /// alone.
    pub fn remember_latest(&self, identity: &str, key: &StageKey) {
        self.inner.index.learn_latest(identity, *key);
    }

    /// The result last remembered for a stage; it need not be in the store any more. None: this
    /// machine knows of none.
    pub async fn nearest_result(&self, identity: &str) -> Option<Arc<StageResult>> {
        self.nearest_results(&[identity.to_owned()])
            .await
            .pop()
            .flatten()
    }

    /// [`Store::nearest_result`] of many, in one batch, in the order given.
    pub async fn nearest_results(&self, identities: &[String]) -> Vec<Option<Arc<StageResult>>> {
        let inner = Arc::clone(&self.inner);
        let identities = identities.to_vec();
        blocking(move || {
            let batch = inner.index.batch();
            identities
                .iter()
                .map(|identity| batch.latest(identity).map(|indexed| indexed.result))
                .collect()
        })
        .await
    }

    /// Begins to answer the next [`Store::newest`] before it is known exactly which stages it will
    /// ask for: those whose identities begin with `prefix`. Blocks, and needs no runtime.
    pub fn read_ahead(&self, prefix: &str) {
        self.inner.read_ahead(prefix);
    }

    /// [`Store::nearest_results`] together with [`Store::check_results`] of their keys.
    pub async fn newest(&self, identities: Vec<String>) -> Newest {
        self.inner.newest(identities).await
    }

    /// Writes what the index has learned. To be called at the end of a run or plan; costs nothing
    /// where nothing was learned, and is never an error.
    pub async fn flush_index(&self) {
        if self.inner.index.has_learned() {
            let inner = Arc::clone(&self.inner);
            blocking(move || inner.index.flush()).await;
        }
    }

    /// Stores the state of a stage that runs, durably. Of each attempt the two newest are kept.
    pub async fn put_checkpoint(&self, key: &StageKey, attempt: &str, folder: &Path) -> Result<()> {
        self.inner.put_checkpoint(key, attempt, folder).await
    }

    /// Lays the newest checkpoint that is whole out at `to`, which must not exist or be empty.
    /// None: there is none.
    pub async fn newest_checkpoint(&self, key: &StageKey, to: &Path) -> Result<Option<Checkpoint>> {
        self.inner.newest_checkpoint(key, to).await
    }

    /// Removes all checkpoints of a key.
    pub async fn remove_checkpoints(&self, key: &StageKey) -> Result<()> {
        self.inner.remove_checkpoints(key).await
    }

    /// Begins the journal of a run with its workflow as resolved.
    pub async fn create_run(&self, run: &RunId, document: &Value) -> Result<()> {
        self.inner.put_run_document(run, document).await
    }

    /// The same with a document that is JSON text already.
    pub async fn create_run_from_text(&self, run: &RunId, document: Bytes) -> Result<()> {
        self.inner.put_run_text(run, document).await
    }

    /// Adds a segment of events: whole lines of NDJSON. Segments count from 0.
    pub async fn append_events(&self, run: &RunId, segment: u64, bytes: Bytes) -> Result<()> {
        self.inner.append_events(run, segment, bytes).await
    }

    /// Ends the journal of a run.
    pub async fn finish_run(&self, run: &RunId, outcome: &Value) -> Result<()> {
        self.inner.put_outcome(run, outcome).await
    }

    /// The workflow of a run as resolved. None: there is no such run.
    pub async fn run_document(&self, run: &RunId) -> Result<Option<Value>> {
        self.inner.run_document(run).await
    }

    /// How a run ended. None: it has not ended, or was killed.
    pub async fn run_outcome(&self, run: &RunId) -> Result<Option<Value>> {
        self.inner.run_outcome(run).await
    }

    /// All events of a run as NDJSON, in order.
    pub async fn run_events(&self, run: &RunId) -> Result<Vec<u8>> {
        self.inner.run_events(run).await
    }

    /// All runs, newest first.
    pub async fn list_runs(&self) -> Result<Vec<RunId>> {
        self.inner.list_runs().await
    }

    /// Stores the log of a cell from a file; replaces what was stored of it before.
    pub async fn put_log(&self, run: &RunId, cell: &str, path: &Path) -> Result<()> {
        self.inner.put_log(run, cell, path).await
    }

    /// The whole log of a cell.
    pub async fn log(&self, run: &RunId, cell: &str) -> Result<Option<Bytes>> {
        self.inner.log(run, cell).await
    }

    /// The last `bytes` of the log of a cell.
    pub async fn log_tail(&self, run: &RunId, cell: &str, bytes: u64) -> Result<Option<Bytes>> {
        self.inner.log_tail(run, cell, bytes).await
    }

    /// Says what a run plans to use, so that gc spares it; to be called before the results are
    /// checked, and again within every few hours that the run takes.
    pub async fn pin(&self, run: &RunId, keys: &[StageKey], artifacts: &[Digest]) -> Result<()> {
        self.inner.pin(run, keys, artifacts).await
    }

    /// Takes a run's pin back.
    pub async fn unpin(&self, run: &RunId) -> Result<()> {
        self.inner.unpin(run).await
    }

    /// Moves a name (`models/retail/champion`) to an artifact, durably. Its history is kept.
    pub async fn move_ref(&self, name: &str, entry: &RefEntry) -> Result<()> {
        self.inner.move_ref(name, entry).await
    }

    /// Where a name stands.
    pub async fn resolve_ref(&self, name: &str) -> Result<Option<RefEntry>> {
        self.inner.resolve_ref(name).await
    }

    /// Where a name stood, newest first.
    pub async fn ref_history(&self, name: &str) -> Result<Vec<RefEntry>> {
        self.inner.ref_history(name).await
    }

    /// All names, sorted, and where they stand.
    pub async fn list_refs(&self) -> Result<IndexMap<String, RefEntry>> {
        self.inner.list_refs().await
    }

    /// Removes what no kept run, ref, pin or young object reaches, or counts it.
    pub async fn gc(&self, options: &GcOptions) -> Result<GcReport> {
        self.inner.gc(options).await
    }
}

impl Inner {
    pub(crate) fn is_remote(&self) -> bool {
        self.objects.folder().is_none()
    }

    /// Remembers that an object was found missing or damaged.
    pub(crate) fn suspect(&self, name: &str) {
        self.suspects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
    }

    pub(crate) fn is_suspect(&self, name: &str) -> bool {
        self.suspects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    /// The object was written anew.
    pub(crate) fn trust(&self, name: &str) {
        self.suspects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    async fn put_result(
        self: &Arc<Inner>,
        result: &StageResult,
        durability: Durability,
    ) -> Result<()> {
        self.objects.ensure_format().await?;
        let name = object_name::result(&result.key);
        let document = result
            .to_document()
            .map_err(|error| self.objects.store().failed(&name, error.to_string()))?;
        let result = Arc::new(result.clone());
        let stat = if self.is_remote() {
            self.objects
                .write(&name, document.into(), durability)
                .await?
        } else {
            let (inner, result) = (Arc::clone(self), Arc::clone(&result));
            blocking(move || {
                if durability == Durability::Sync {
                    let digests: Vec<Digest> = result
                        .outputs
                        .values()
                        .map(|artifact| artifact.digest)
                        .collect();
                    inner.sync_artifacts(&digests)?;
                }
                let written = inner.local.write(&name, &[&document], durability);
                written.map_err(|error| inner.objects.store().disk(Access::Write, &name, &error))
            })
            .await?
        };
        self.index.learn_result(IndexedResult { stat, result });
        if self.index.is_heavy() {
            let inner = Arc::clone(self);
            blocking(move || inner.index.flush()).await;
        }
        Ok(())
    }
}

/// Tells the stores of one project apart: by address, and by the server where that is set.
fn mark_of(url: &StoreUrl, client: &Client) -> String {
    let endpoint = client.store.endpoint.as_deref().unwrap_or_default();
    Digest::of(format!("{url} {endpoint}").as_bytes()).to_string()[..16].to_owned()
}
