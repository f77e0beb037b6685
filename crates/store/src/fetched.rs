//! What was fetched from URLs, in a folder of its own beside the index: for each URL the content
//! by its digest, and how the object looked when it had it. Only a memory: the folder can be
//! deleted while no run goes on.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use crate::artifact::ArtifactKind;
use crate::digest::Digest;
use crate::fetch_error::FetchError;
use crate::local_put::{Durability, LocalFolder};
use crate::object_name;
use crate::temp_folder::TempPath;

/// A former content stays so long, for runs that go on and may still use it.
const FORMER_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const KNOWN: &str = "known.json";

/// An input that was fetched whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The same that a local file or folder with this content has.
    pub digest: Digest,
    pub kind: ArtifactKind,
    /// Paths inside the input, none for a file, and where their content is.
    pub(crate) files: Vec<(String, PathBuf)>,
}

impl Fetched {
    /// Copies the content to `to`, which does not exist yet.
    pub fn copy_to(&self, to: &Path) -> io::Result<()> {
        if self.kind == ArtifactKind::Folder {
            fs::create_dir(to)?;
        }
        for (path, content) in &self.files {
            if path.is_empty() {
                fs::copy(content, to)?;
                continue;
            }
            let target = to.join(path);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(content, &target)?;
        }
        Ok(())
    }
}

/// How an object looks without reading it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) size_bytes: Option<u64>,
    pub(crate) etag: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Seen {
    /// Whether an object that looked like this, and looks like `now`, has the same content. Lists
    /// and headers do not tell the same of an object: size and version count where both have them.
    pub(crate) fn still_holds(&self, now: &Seen) -> bool {
        (self.etag.is_some() || self.last_modified.is_some())
            && self.etag == now.etag
            && self.last_modified == now.last_modified
            && agree(self.size_bytes.as_ref(), now.size_bytes.as_ref())
            && agree(self.version.as_ref(), now.version.as_ref())
    }
}

/// Whether two facts are the same, or one of them is not known.
pub(crate) fn agree<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// The content of an object on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) file: PathBuf,
}

/// What is remembered of a URL.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    url: String,
    seen: Seen,
    digest: Digest,
    size_bytes: u64,
}

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct FetchedFolder {
    folder: LocalFolder,
    path: PathBuf,
}

impl FetchedFolder {
    pub(crate) fn new(path: PathBuf) -> FetchedFolder {
        let folder = LocalFolder::new(path.clone());
        folder.temp().remove_left_behind();
        FetchedFolder { folder, path }
    }

    /// The copy of an object that looks like `seen` now, if it was fetched before. Its content is
    /// for the caller to verify.
    pub(crate) fn find(&self, url: &str, endpoint: &str, seen: &Seen) -> Option<Copy> {
        let mark = mark(url, endpoint);
        let bytes = self.folder.read(&format!("{mark}/{KNOWN}")).ok()??;
        let known: Known = serde_json::from_slice(&bytes).ok()?;
        let file = self.folder.path(&format!("{mark}/{}", known.digest));
        (known.url == url && known.seen.still_holds(seen)).then_some(Copy {
            digest: known.digest,
            size_bytes: known.size_bytes,
            file,
        })
    }

    /// Begins to take an object in.
    pub(crate) fn begin(&self, url: &str, size: Option<u64>) -> Result<Incoming, FetchError> {
        let not_kept = |cause| self.not_kept(url, cause);
        self.folder.temp().create().map_err(not_kept)?;
        let free_bytes = free_bytes(&self.path).map_err(not_kept)?;
        if let Some(size_bytes) = size.filter(|size| *size > free_bytes) {
            return Err(FetchError::TooLarge {
                url: url.to_owned(),
                size_bytes,
                free_bytes,
                folder: self.path.clone(),
            });
        }
        let (temp, file) = self.folder.create_temp().map_err(not_kept)?;
        Ok(Incoming {
            into: self.clone(),
            url: url.to_owned(),
            temp,
            file: tokio::fs::File::from_std(file),
            hasher: blake3::Hasher::new(),
            got_bytes: 0,
        })
    }

    fn not_kept(&self, url: &str, cause: io::Error) -> FetchError {
        FetchError::NotKept {
            url: url.to_owned(),
            folder: self.path.clone(),
            cause,
        }
    }

    fn keep(&self, temp: TempPath, file: File, known: &Known, endpoint: &str) -> io::Result<Copy> {
        let mark = mark(&known.url, endpoint);
        let name = format!("{mark}/{}", known.digest);
        self.folder.finish(temp, file, &name, Durability::NoSync)?;
        let text = serde_json::to_vec(known).map_err(io::Error::other)?;
        let record = format!("{mark}/{KNOWN}");
        self.folder.write(&record, &[&text], Durability::NoSync)?;
        self.remove_former(&mark, &known.digest);
        Ok(Copy {
            digest: known.digest,
            size_bytes: known.size_bytes,
            file: self.folder.path(&name),
        })
    }

    /// What cannot be removed stays for the next time.
    fn remove_former(&self, mark: &str, digest: &Digest) {
        let Ok(entries) = fs::read_dir(self.folder.path(mark)) else {
            return;
        };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let is_former = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.parse::<Digest>().is_ok_and(|former| former != *digest));
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|time| now.duration_since(time).ok());
            if is_former && age.is_some_and(|age| age > FORMER_LIFETIME) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// An object on its way: its file is removed again unless the object comes in whole.
pub(crate) struct Incoming {
    into: FetchedFolder,
    url: String,
    temp: TempPath,
    file: tokio::fs::File,
    hasher: blake3::Hasher,
    got_bytes: u64,
}

impl Incoming {
    pub(crate) fn got_bytes(&self) -> u64 {
        self.got_bytes
    }

    pub(crate) async fn write(&mut self, piece: &Bytes) -> Result<(), FetchError> {
        self.hasher.update(piece);
        self.got_bytes += piece.len() as u64;
        let written = self.file.write_all(piece).await;
        written.map_err(|cause| self.into.not_kept(&self.url, cause))
    }

    /// The object is whole, and looked like `seen`.
    pub(crate) async fn finish(mut self, seen: Seen, endpoint: &str) -> Result<Copy, FetchError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|cause| self.into.not_kept(&self.url, cause))?;
        let file = self.file.into_std().await;
        let known = Known {
            url: self.url,
            seen,
            digest: self.hasher.finalize().into(),
            size_bytes: self.got_bytes,
        };
        let kept = self.into.keep(self.temp, file, &known, endpoint);
        kept.map_err(|cause| self.into.not_kept(&known.url, cause))
    }
}

fn mark(url: &str, endpoint: &str) -> String {
    object_name::mark(&Digest::of(format!("{endpoint} {url}").as_bytes()))
}

#[allow(clippy::useless_conversion, reason = "the widths differ by platform")]
fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    Ok(u64::from(found.blocks_available()).saturating_mul(u64::from(found.fragment_size())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(etag: Option<&str>, last_modified: Option<&str>, size: Option<u64>) -> Seen {
        Seen {
            size_bytes: size,
            etag: etag.map(str::to_owned),
            version: None,
            last_modified: last_modified.map(str::to_owned),
        }
    }

    #[test]
    fn what_looks_the_same_is_the_same_and_nothing_else() {
        let known = seen(Some("a"), Some("Monday"), Some(3));
        assert!(known.still_holds(&known));
        assert!(known.still_holds(&seen(Some("a"), Some("Monday"), None)));
        for now in [
            seen(Some("b"), Some("Monday"), Some(3)),
            seen(None, Some("Monday"), Some(3)),
            seen(Some("a"), Some("Tuesday"), Some(3)),
            seen(Some("a"), Some("Monday"), Some(4)),
        ] {
            assert!(!known.still_holds(&now), "{now:?}");
        }
        let nothing = seen(None, None, Some(3));
        assert!(!nothing.still_holds(&nothing));
    }

    #[tokio::test]
    async fn an_object_is_found_again_under_its_own_url_and_looks() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = FetchedFolder::new(temp.path().join("fetched"));
        let looks = seen(Some("a"), None, Some(3));
        let mut incoming = folder.begin("s3://b/k", Some(3)).expect("begins");
        incoming
            .write(&Bytes::from_static(b"abc"))
            .await
            .expect("writes");
        let copy = incoming.finish(looks.clone(), "").await.expect("keeps");
        assert_eq!(fs::read(&copy.file).ok(), Some(b"abc".to_vec()));
        assert_eq!(copy.digest, Digest::of(b"abc"));
        assert_eq!(folder.find("s3://b/k", "", &looks), Some(copy));
        assert_eq!(folder.find("s3://b/k", "http://other", &looks), None);
        assert_eq!(folder.find("s3://b/other", "", &looks), None);
        assert_eq!(
            folder.find("s3://b/k", "", &seen(Some("b"), None, Some(3))),
            None
        );
    }

    #[tokio::test]
    async fn what_breaks_off_or_is_too_large_leaves_nothing() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = FetchedFolder::new(temp.path().join("fetched"));
        let mut incoming = folder.begin("s3://b/k", None).expect("begins");
        incoming
            .write(&Bytes::from_static(b"abc"))
            .await
            .expect("writes");
        drop(incoming);
        let Err(error) = folder.begin("s3://b/k", Some(u64::MAX)) else {
            panic!("nobody has so much space");
        };
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
        let left = fs::read_dir(temp.path().join("fetched/tmp")).map(Iterator::count);
        assert_eq!(left.ok(), Some(0));
    }

    #[tokio::test]
    async fn a_former_content_goes_when_no_run_can_use_it_any_more() {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = FetchedFolder::new(temp.path().join("fetched"));
        let mut files = Vec::new();
        for (etag, age) in [
            ("a", 2 * FORMER_LIFETIME),
            ("b", Duration::ZERO),
            ("c", Duration::ZERO),
        ] {
            let mut incoming = folder.begin("s3://b/k", None).expect("begins");
            incoming
                .write(&Bytes::from_static(etag.as_bytes()))
                .await
                .expect("writes");
            let copy = incoming
                .finish(seen(Some(etag), None, None), "")
                .await
                .expect("keeps");
            let file = File::options()
                .write(true)
                .open(&copy.file)
                .expect("is there");
            file.set_modified(SystemTime::now() - age)
                .expect("sets a time");
            files.push(copy.file);
        }
        let there: Vec<bool> = files.iter().map(|file| file.exists()).collect();
        assert_eq!(there, [false, true, true]);
    }
}
