//! The objects of a store by their names, on a folder or in a bucket.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};

use crate::client::Client;
use crate::error::{Result, StoreError};
use crate::error_mapping::{Access, StoreName, has_server_code};
use crate::local_put::{Durability, LocalFolder, Stat};
use crate::object_name;

/// Requests to a remote store at one time.
pub(crate) const PARALLEL_REQUESTS: usize = 32;
/// The format of the store that this build reads and writes.
const FORMAT: u32 = 1;
/// How long the first answer of a remote store may take.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// The objects of one store. Names hold letters, digits, `.`, `-`, `_` and `/` only.
#[derive(Clone)]
pub(crate) struct Objects {
    client: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    store: StoreName,
    /// Where the store is a folder: writes, small reads and stats go there directly.
    folder: Option<LocalFolder>,
    has_format: Arc<AtomicBool>,
}

/// An object in a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) stat: Stat,
}

impl Objects {
    pub(crate) fn new(client: Client, folder: Option<LocalFolder>) -> Objects {
        let Client {
            objects,
            prefix,
            store,
        } = client;
        Objects {
            client: objects,
            prefix,
            store,
            folder,
            has_format: Arc::new(AtomicBool::new(false)),
        }
    }

    pub(crate) fn store(&self) -> &StoreName {
        &self.store
    }

    pub(crate) fn folder(&self) -> Option<&LocalFolder> {
        self.folder.as_ref()
    }

    /// Asks for the store's format: finds out early whether a store can be reached and read.
    pub(crate) async fn probe(&self) -> Result<()> {
        let answer = tokio::time::timeout(FIRST_ANSWER, self.read_format()).await;
        let waited = || {
            self.store.unreachable(format!(
                "no answer within {} seconds",
                FIRST_ANSWER.as_secs()
            ))
        };
        let Some(bytes) = answer.map_err(|_| waited())?? else {
            return Ok(());
        };
        let found = serde_json::from_slice::<serde_json::Value>(&bytes)
            .ok()
            .and_then(|format| u32::try_from(format.get("format")?.as_u64()?).ok())
            .ok_or_else(|| {
                self.store.failed(
                    object_name::FORMAT,
                    "this is not a store: expected {\"format\":1} in it",
                )
            })?;
        if found > FORMAT {
            return Err(StoreError::NewerFormat {
                store: self.store.url.to_string(),
                found,
                known: FORMAT,
            });
        }
        self.has_format.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Only an object store says that an object is not there in the words of one: any other
    /// server, or a proxy, that says "not found" is not taken for an empty store.
    async fn read_format(&self) -> Result<Option<Bytes>> {
        let name = object_name::FORMAT;
        if let Some(folder) = &self.folder {
            // A few bytes: a thread for them costs more than they do.
            let read = folder.read(name);
            let bytes = read.map_err(|error| self.store.disk(Access::Read, name, &error))?;
            return Ok(bytes.map(Bytes::from));
        }
        let error = match self.client.get(&self.at(name)).await {
            Ok(answer) => {
                return answer
                    .bytes()
                    .await
                    .map(Some)
                    .map_err(|error| self.read_error(name, error));
            }
            Err(error) => error,
        };
        let is_strange = !has_server_code(&error);
        match self.read_error(name, error) {
            StoreError::Missing { .. } if is_strange => Err(self
                .store
                .unreachable("what answers there is no object store")),
            StoreError::Missing { .. } => Ok(None),
            error => Err(error),
        }
    }

    /// Marks a new store with its format. Called before the first write.
    pub(crate) async fn ensure_format(&self) -> Result<()> {
        if self.has_format.load(Ordering::Relaxed) {
            return Ok(());
        }
        let text = format!("{{\"format\":{FORMAT}}}\n");
        self.write_raw(object_name::FORMAT, text.into(), Durability::NoSync)
            .await?;
        self.has_format.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a small object whole.
    pub(crate) async fn write(
        &self,
        name: &str,
        bytes: Bytes,
        durability: Durability,
    ) -> Result<Stat> {
        self.ensure_format().await?;
        self.write_raw(name, bytes, durability).await
    }

    async fn write_raw(&self, name: &str, bytes: Bytes, durability: Durability) -> Result<Stat> {
        let Some(folder) = self.folder.clone() else {
            let size_bytes = bytes.len() as u64;
            let put = self
                .client
                .put(&self.at(name), PutPayload::from_bytes(bytes))
                .await;
            put.map_err(|error| self.write_error(name, error))?;
            return Ok(Stat {
                size_bytes,
                modified_ns: 0,
            });
        };
        let (store, name) = (self.store.clone(), name.to_owned());
        blocking(move || {
            folder
                .write(&name, &[&bytes], durability)
                .map_err(|error| store.disk(Access::Write, &name, &error))
        })
        .await
    }

    /// Reads a small object. None: it is not there.
    pub(crate) async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        self.read_range(name, None).await
    }

    /// Reads the last `bytes` of an object.
    pub(crate) async fn read_tail(&self, name: &str, bytes: u64) -> Result<Option<Bytes>> {
        // Not every server takes a range that is empty, or longer than the object.
        match self.stat(name).await? {
            None => Ok(None),
            Some(stat) if stat.size_bytes <= bytes => self.read(name).await,
            Some(_) if bytes == 0 => Ok(Some(Bytes::new())),
            Some(stat) => {
                let range = GetRange::Bounded(stat.size_bytes - bytes..stat.size_bytes);
                self.read_range(name, Some(range)).await
            }
        }
    }

    async fn read_range(&self, name: &str, range: Option<GetRange>) -> Result<Option<Bytes>> {
        let options = GetOptions {
            range,
            ..GetOptions::default()
        };
        let answer = match self.client.get_opts(&self.at(name), options).await {
            Ok(answer) => answer.bytes().await,
            Err(error) => Err(error),
        };
        match answer.map_err(|error| self.read_error(name, error)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads many small objects, in the order of the names.
    pub(crate) async fn read_many(&self, names: Vec<String>) -> Result<Vec<Option<Bytes>>> {
        let Some(folder) = self.folder.clone() else {
            let reads = names
                .into_iter()
                .map(|name| async move { self.read(&name).await });
            return stream::iter(reads)
                .buffered(PARALLEL_REQUESTS)
                .try_collect()
                .await;
        };
        let store = self.store.clone();
        blocking(move || {
            let read = |name: &String| {
                let bytes = folder
                    .read(name)
                    .map_err(|error| store.disk(Access::Read, name, &error))?;
                Ok(bytes.map(Bytes::from))
            };
            names.iter().map(read).collect()
        })
        .await
    }

    pub(crate) async fn stat(&self, name: &str) -> Result<Option<Stat>> {
        if let Some(folder) = &self.folder {
            return folder
                .stat(name)
                .map_err(|error| self.store.disk(Access::Read, name, &error));
        }
        match self
            .client
            .head(&self.at(name))
            .await
            .map_err(|error| self.read_error(name, error))
        {
            Ok(meta) => Ok(Some(self.stat_of(&meta))),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects under a folder.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        self.list_stream(folder).try_collect().await
    }

    pub(crate) fn list_stream(&self, folder: &str) -> stream::BoxStream<'_, Result<Listed>> {
        let listed = self.client.list(Some(&self.at(folder)));
        listed
            .map(|meta| {
                let meta = meta.map_err(|error| self.list_error(error))?;
                Ok(self.name_of(&meta.location).map(|name| Listed {
                    name,
                    stat: self.stat_of(&meta),
                }))
            })
            .filter_map(|listed| std::future::ready(listed.transpose()))
            .boxed()
    }

    /// The names of the folders directly in a folder, without what is above them.
    pub(crate) async fn list_folders(&self, folder: &str) -> Result<Vec<String>> {
        let listed = match self
            .client
            .list_with_delimiter(Some(&self.at(folder)))
            .await
        {
            Ok(listed) => listed,
            Err(error) => match self.list_error(error) {
                StoreError::Missing { .. } => return Ok(Vec::new()),
                error => return Err(error),
            },
        };
        Ok(listed
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect())
    }

    /// Removes an object; one that is not there is no error.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        if let Some(folder) = &self.folder {
            return folder
                .remove(name)
                .map_err(|error| self.store.disk(Access::Write, name, &error));
        }
        match self
            .client
            .delete(&self.at(name))
            .await
            .map_err(|error| self.write_error(name, error))
        {
            Err(StoreError::Missing { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn remove_many(&self, names: Vec<String>) -> Result<()> {
        let removed = names.iter().map(|name| self.remove(name));
        stream::iter(removed)
            .buffer_unordered(PARALLEL_REQUESTS)
            .try_collect::<()>()
            .await?;
        if let Some(folder) = &self.folder {
            names
                .iter()
                .for_each(|name| folder.remove_empty_parents(name));
        }
        Ok(())
    }

    /// The client and the path of a name in it, for content that flows.
    pub(crate) fn remote(&self, name: &str) -> (&Arc<dyn ObjectStore>, ObjectPath) {
        (&self.client, self.at(name))
    }

    pub(crate) fn read_error(&self, name: &str, error: object_store::Error) -> StoreError {
        self.disk_error(Access::Read, name, &error)
            .unwrap_or_else(|| self.store.remote(name, error))
    }

    /// A write to a bucket that is not there says "not found".
    pub(crate) fn write_error(&self, name: &str, error: object_store::Error) -> StoreError {
        match self
            .disk_error(Access::Write, name, &error)
            .unwrap_or_else(|| self.store.remote(name, error))
        {
            StoreError::Missing { store, .. } if self.folder.is_none() => {
                StoreError::NoBucket { store }
            }
            other => other,
        }
    }

    fn list_error(&self, error: object_store::Error) -> StoreError {
        match self.read_error("the list of its objects", error) {
            StoreError::Missing { store, .. } if self.folder.is_none() => {
                StoreError::NoBucket { store }
            }
            other => other,
        }
    }

    /// An error of the disk under object_store's local store.
    fn disk_error(
        &self,
        access: Access,
        name: &str,
        error: &object_store::Error,
    ) -> Option<StoreError> {
        self.folder.as_ref()?;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                return Some(self.store.disk(access, name, io));
            }
            next = error.source();
        }
        None
    }

    fn at(&self, name: &str) -> ObjectPath {
        self.prefix
            .parts()
            .chain(
                ObjectPath::from(name)
                    .parts()
                    .map(|part| part.as_ref().to_owned().into()),
            )
            .collect()
    }

    fn stat_of(&self, meta: &ObjectMeta) -> Stat {
        let nanoseconds = meta.last_modified.timestamp_nanos_opt().unwrap_or(0);
        // Servers tell whole seconds of one object and fractions in lists.
        let tick = if self.folder.is_some() {
            1
        } else {
            1_000_000_000
        };
        Stat {
            size_bytes: meta.size,
            modified_ns: nanoseconds - nanoseconds % tick,
        }
    }

    fn name_of(&self, location: &ObjectPath) -> Option<String> {
        let location = location.as_ref();
        if self.prefix.as_ref().is_empty() {
            return Some(location.to_owned());
        }
        location
            .strip_prefix(self.prefix.as_ref())?
            .strip_prefix('/')
            .map(str::to_owned)
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels; its futures are not polled any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Whether a path is a folder or could become one.
pub(crate) fn check_folder(path: &Path, store: &StoreName) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => Err(StoreError::Misconfigured {
            store: store.url.to_string(),
            why: "a file stands there. Choose a folder".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(StoreError::Misconfigured {
                store: store.url.to_string(),
                why: "a file stands where one of its folders should be".to_owned(),
            })
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(store.disk(Access::Read, "the folder itself", &error))
        }
        _ => Ok(()),
    }
}
