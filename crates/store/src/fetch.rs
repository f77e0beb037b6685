//! Inputs by URL: asks how they look, and fetches what looks otherwise than what was fetched before.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{OnceCell, Semaphore};

use crate::artifact::ArtifactKind;
use crate::digest_path::digest_file;
use crate::fetch_bucket::{Bucket, BucketObject};
use crate::fetch_error::FetchError;
use crate::fetch_web::Web;
use crate::fetched::{Copy, Fetched, Seen};
use crate::listing::{Entry, EntryKind, Listing};
use crate::objects::blocking;
use crate::store::Inner;
use crate::store_url::Cloud;

/// How long the first answer of a server may take.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(10);
const URLS_AT_ONCE: usize = 16;
/// Objects that are on their way at one time, of all URLs.
const OBJECTS_AT_ONCE: usize = 4;
/// Of one folder.
const WAITING_OBJECTS: usize = 16;

/// What begins to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetching {
    pub url: String,
    pub objects: u64,
    /// Of all of them, where the server tells.
    pub size_bytes: Option<u64>,
}

impl Inner {
    pub(crate) async fn fetch(
        self: &Arc<Inner>,
        urls: &[String],
        told: &(dyn Fn(Fetching) + Sync),
    ) -> Vec<Result<Fetched, FetchError>> {
        let fetcher = Fetcher {
            inner: Arc::clone(self),
            web: OnceCell::new(),
            buckets: Mutex::default(),
            permits: Semaphore::new(OBJECTS_AT_ONCE),
            told,
        };
        stream::iter(urls.iter().map(|url| fetcher.fetch(url)))
            .buffered(URLS_AT_ONCE)
            .collect()
            .await
    }
}

struct Fetcher<'t> {
    inner: Arc<Inner>,
    web: OnceCell<Web>,
    buckets: Mutex<HashMap<(Cloud, String), Arc<Bucket>>>,
    permits: Semaphore,
    told: &'t (dyn Fn(Fetching) + Sync),
}

/// An object, the server's name where that tells objects apart, and how it looks now.
struct Asked {
    url: String,
    endpoint: String,
    seen: Seen,
}

impl Fetcher<'_> {
    async fn fetch(&self, url: &str) -> Result<Fetched, FetchError> {
        let not_a_url = |why: &str| FetchError::NotAUrl {
            url: url.to_owned(),
            why: why.to_owned(),
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| not_a_url("it has no scheme"))?;
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            "http" | "https" => return self.web_file(url).await,
            _ => return Err(not_a_url("its scheme is not known")),
        };
        let (name, key) = rest
            .split_once('/')
            .ok_or_else(|| not_a_url("it has no key"))?;
        let bucket = self.bucket(url, cloud, name)?;
        let (kind, objects) = if key.is_empty() || key.ends_with('/') {
            (ArtifactKind::Folder, bucket.list(url, key).await?)
        } else {
            (ArtifactKind::File, vec![bucket.ask(url, key).await?])
        };
        let copies = self.bucket_copies(url, &bucket, &objects).await?;
        let paths = objects.into_iter().map(|object| object.path).collect();
        put_together(url, kind, paths, copies)
    }

    async fn bucket_copies(
        &self,
        url: &str,
        bucket: &Bucket,
        objects: &[BucketObject],
    ) -> Result<Vec<Copy>, FetchError> {
        let asked = objects.iter().map(|object| Asked {
            url: object.url.clone(),
            endpoint: bucket.endpoint().to_owned(),
            seen: object.seen.clone(),
        });
        let held = self.held(asked.collect()).await;
        let missing = objects.iter().zip(&held).filter(|(_, held)| held.is_none());
        let sizes: Vec<Option<u64>> = missing.map(|(object, _)| object.seen.size_bytes).collect();
        self.tell(url, &sizes);
        let copies = objects.iter().zip(held).map(|(object, held)| async move {
            if let Some(copy) = held {
                return Ok(copy);
            }
            let _permit = self.permits.acquire().await;
            bucket.fetch(object, &self.inner.fetched).await
        });
        stream::iter(copies)
            .buffered(WAITING_OBJECTS)
            .try_collect()
            .await
    }

    async fn web_file(&self, url: &str) -> Result<Fetched, FetchError> {
        let web = self.web.get_or_try_init(async || {
            Web::new().map_err(|why| FetchError::NotAUrl {
                url: url.to_owned(),
                why,
            })
        });
        let web = web.await?;
        let seen = web.ask(url).await?;
        let size = seen.as_ref().and_then(|seen| seen.size_bytes);
        let asked = seen.map(|seen| Asked {
            url: url.to_owned(),
            endpoint: String::new(),
            seen,
        });
        let held = self.held(asked.into_iter().collect()).await;
        let copy = match held.into_iter().next().flatten() {
            Some(copy) => copy,
            None => {
                self.tell(url, &[size]);
                let _permit = self.permits.acquire().await;
                web.fetch(url, &self.inner.fetched).await?
            }
        };
        put_together(url, ArtifactKind::File, vec![String::new()], vec![copy])
    }

    /// The copies that were fetched before, of objects that still look as they did then. A copy
    /// that somebody damaged is none.
    async fn held(&self, asked: Vec<Asked>) -> Vec<Option<Copy>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let mut batch = None;
            let mut is_whole = |copy: &Copy| {
                let batch = batch.get_or_insert_with(|| inner.index.batch());
                digest_file(&copy.file, &inner.index, batch).is_ok_and(|found| found == copy.digest)
            };
            let copies = asked.iter().map(|asked| {
                let found = inner.fetched.find(&asked.url, &asked.endpoint, &asked.seen);
                found.filter(&mut is_whole)
            });
            copies.collect()
        })
        .await
    }

    fn tell(&self, url: &str, sizes: &[Option<u64>]) {
        if !sizes.is_empty() {
            (self.told)(Fetching {
                url: url.to_owned(),
                objects: sizes.len() as u64,
                size_bytes: sizes.iter().copied().sum(),
            });
        }
    }

    fn bucket(&self, url: &str, cloud: Cloud, name: &str) -> Result<Arc<Bucket>, FetchError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cloud, name.to_owned());
        if let Some(bucket) = buckets.get(&key) {
            return Ok(Arc::clone(bucket));
        }
        let bucket = Arc::new(Bucket::new(url, cloud, name, &self.inner.environment)?);
        buckets.insert(key, Arc::clone(&bucket));
        Ok(bucket)
    }
}

fn put_together(
    url: &str,
    kind: ArtifactKind,
    paths: Vec<String>,
    copies: Vec<Copy>,
) -> Result<Fetched, FetchError> {
    let entries = paths.iter().zip(&copies).map(|(path, copy)| Entry {
        path: path.clone(),
        kind: EntryKind::File,
        digest: copy.digest,
        size_bytes: copy.size_bytes,
    });
    let listing = Listing::new(kind, entries.collect()).map_err(|why| FetchError::NotAFolder {
        url: url.to_owned(),
        why,
    })?;
    let files: Vec<(String, PathBuf)> = paths
        .into_iter()
        .zip(copies.into_iter().map(|copy| copy.file))
        .collect();
    Ok(Fetched {
        digest: listing.artifact().digest,
        kind,
        files,
    })
}
