//! Objects of buckets: asked for by HEAD or a list, fetched in parts.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::client::Client;
use crate::environment::Environment;
use crate::error_mapping::StoreName;
use crate::fetch::FIRST_ANSWER;
use crate::fetch_error::FetchError;
use crate::fetched::{Copy, FetchedFolder, Seen, agree};
use crate::listing::MOST_ENTRIES;
use crate::store_url::{Cloud, StoreUrl};

/// One request must end within the client's patience, at 1.2 Mbit/s too.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const SETTLED_SECONDS: i64 = 2;
/// Of one object; with their buffers, 16 MiB.
const PARTS_AT_ONCE: usize = 2;

pub(crate) struct Bucket {
    client: Client,
}

/// An object of a bucket.
#[derive(Debug, Clone)]
pub(crate) struct BucketObject {
    /// Its own URL.
    pub(crate) url: String,
    /// Relative to the folder that was listed.
    pub(crate) path: String,
    pub(crate) seen: Seen,
    key: ObjectPath,
    size_bytes: u64,
}

impl Bucket {
    pub(crate) fn new(
        url: &str,
        cloud: Cloud,
        bucket: &str,
        environment: &Environment,
    ) -> Result<Bucket, FetchError> {
        let root = StoreUrl::Bucket {
            cloud,
            bucket: bucket.to_owned(),
            prefix: String::new(),
        };
        let client = Client::new(&root, environment);
        let client = client.map_err(|error| FetchError::of_bucket(url, error))?;
        Ok(Bucket { client })
    }

    /// Tells objects of one name on different servers apart.
    pub(crate) fn endpoint(&self) -> &str {
        self.client.store.endpoint.as_deref().unwrap_or_default()
    }

    /// One object.
    pub(crate) async fn ask(&self, url: &str, key: &str) -> Result<BucketObject, FetchError> {
        let key = path_of(url, key)?;
        let head = self.client.objects.head(&key);
        let meta = self.patiently(url, head).await?;
        Ok(BucketObject {
            url: url.to_owned(),
            path: String::new(),
            seen: seen(&meta),
            size_bytes: meta.size,
            key,
        })
    }

    /// All objects below a folder, sorted. What consoles write to show empty folders is left out.
    pub(crate) async fn list(
        &self,
        url: &str,
        folder: &str,
    ) -> Result<Vec<BucketObject>, FetchError> {
        let prefix = path_of(url, folder)?;
        let mut listed = self.client.objects.list(Some(&prefix));
        let mut found = Vec::new();
        while let Some(meta) = self.patiently(url, listed.try_next()).await? {
            if found.len() == MOST_ENTRIES {
                let (url, most) = (url.to_owned(), MOST_ENTRIES);
                return Err(FetchError::TooMany { url, most });
            }
            let path = meta.location.as_ref().strip_prefix(prefix.as_ref());
            let path = path.unwrap_or_default().trim_start_matches('/');
            if path.is_empty() {
                continue;
            }
            found.push(BucketObject {
                url: format!("{url}{path}"),
                path: path.to_owned(),
                seen: seen(&meta),
                size_bytes: meta.size,
                key: meta.location.clone(),
            });
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let folders: HashSet<String> = found
            .iter()
            .flat_map(|object| {
                let ends = object.path.match_indices('/');
                ends.map(|(at, _)| object.path[..at].to_owned())
            })
            .collect();
        found.retain(|object| object.size_bytes > 0 || !folders.contains(&object.path));
        if found.is_empty() {
            return Err(FetchError::NoObjects {
                url: url.to_owned(),
            });
        }
        Ok(found)
    }

    /// Fetches an object whole, as it was when it was asked for.
    pub(crate) async fn fetch(
        &self,
        object: &BucketObject,
        into: &FetchedFolder,
    ) -> Result<Copy, FetchError> {
        let mut incoming = into.begin(&object.url, Some(object.size_bytes))?;
        let starts = (0..object.size_bytes).step_by(PART_BYTES as usize);
        let parts = starts.map(|start| self.part(object, start));
        let mut parts = stream::iter(parts).buffered(PARTS_AT_ONCE);
        while let Some(part) = parts.try_next().await? {
            incoming.write(&part).await?;
        }
        drop(parts);
        incoming.finish(object.seen.clone(), self.endpoint()).await
    }

    async fn part(&self, object: &BucketObject, start: u64) -> Result<bytes::Bytes, FetchError> {
        let end = (start + PART_BYTES).min(object.size_bytes);
        let options = GetOptions {
            range: Some(GetRange::Bounded(start..end)),
            ..GetOptions::default()
        };
        let failed = |error| self.failed(&object.url, error);
        let answer = self.client.objects.get_opts(&object.key, options).await;
        let answer = answer.map_err(failed)?;
        // A condition in the request would be for the server to honour, and not every one does.
        let looks_alike = agree(etag(&answer.meta).as_ref(), object.seen.etag.as_ref());
        if answer.meta.size != object.size_bytes || !looks_alike {
            return Err(FetchError::Changed {
                url: object.url.clone(),
            });
        }
        let part = answer.bytes().await.map_err(failed)?;
        if part.len() as u64 == end - start {
            return Ok(part);
        }
        Err(FetchError::BrokeOff {
            url: object.url.clone(),
            got_bytes: start + part.len() as u64,
            expected: object.size_bytes.to_string(),
            cause: "a part is too short".to_owned(),
        })
    }

    async fn patiently<T>(
        &self,
        url: &str,
        asked: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, FetchError> {
        let seconds = FIRST_ANSWER.as_secs();
        let waited = || {
            self.store()
                .unreachable(format!("no answer within {seconds} seconds"))
        };
        match tokio::time::timeout(FIRST_ANSWER, asked).await {
            Ok(answer) => answer.map_err(|error| self.failed(url, error)),
            Err(_) => Err(FetchError::of_bucket(url, waited())),
        }
    }

    fn store(&self) -> &StoreName {
        &self.client.store
    }

    fn failed(&self, url: &str, error: object_store::Error) -> FetchError {
        FetchError::of_bucket(url, self.store().remote(url, error))
    }
}

fn path_of(url: &str, key: &str) -> Result<ObjectPath, FetchError> {
    ObjectPath::parse(key).map_err(|error| FetchError::NotAUrl {
        url: url.to_owned(),
        why: error.to_string(),
    })
}

fn seen(meta: &ObjectMeta) -> Seen {
    let etag = etag(meta);
    // Headers count seconds, lists more.
    let modified = meta.last_modified.timestamp();
    // Within the second it may change once more.
    let is_settled = jiff::Timestamp::now().as_second() >= modified + SETTLED_SECONDS;
    Seen {
        size_bytes: Some(meta.size),
        last_modified: (etag.is_some() || is_settled).then(|| modified.to_string()),
        etag,
        version: meta.version.clone(),
    }
}

/// Not every list has the quotes that headers have.
fn etag(meta: &ObjectMeta) -> Option<String> {
    let etag = meta.e_tag.as_deref()?.trim_matches('"');
    (!etag.is_empty()).then(|| etag.to_owned())
}
