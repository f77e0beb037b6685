//! Digests of files outside the store, remembered by how the files look.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::artifact::ArtifactKind;
use crate::collect::{open_found, single_file};
use crate::digest::Digest;
use crate::error::Result;
use crate::error_mapping::local_error;
use crate::index::{Batch, Index};
use crate::index_record::IndexedFile;
use crate::listing::{Entry, EntryKind, Listing};
use crate::local_put::{Stat, copy_and_digest};
use crate::walk::{Found, refuse, refuse_special, walk};

/// The digest that the file or folder would have as an artifact. A link at its very top is
/// followed: users link to where their data is.
pub(crate) fn digest_path(path: &Path, index: &Index, batch: &Batch<'_>) -> Result<Digest> {
    let target = fs::canonicalize(path).map_err(|error| local_error(path, "read", error))?;
    let metadata = fs::metadata(&target).map_err(|error| local_error(path, "read", error))?;
    let (kind, files) = if metadata.is_dir() {
        (ArtifactKind::Folder, walk(&target)?)
    } else if metadata.is_file() {
        (ArtifactKind::File, vec![single_file(&target, metadata)])
    } else {
        return Err(refuse_special(path, &metadata));
    };
    let entries = files
        .into_iter()
        .map(|found| entry(found, index, batch))
        .collect::<Result<Vec<_>>>()?;
    let listing = Listing::new(kind, entries).map_err(|why| refuse(path, why))?;
    Ok(listing.artifact().digest)
}

/// The digest of a file's content alone.
pub(crate) fn digest_file(path: &Path, index: &Index, batch: &Batch<'_>) -> Result<Digest> {
    let metadata = fs::symlink_metadata(path).map_err(|error| local_error(path, "read", error))?;
    if !metadata.is_file() {
        return Err(refuse(path, "it is not a file"));
    }
    Ok(entry(single_file(path, metadata), index, batch)?.digest)
}

fn entry(found: Found, index: &Index, batch: &Batch<'_>) -> Result<Entry> {
    if found.kind == EntryKind::EmptyFolder {
        return Ok(Entry {
            path: found.path,
            kind: found.kind,
            digest: Digest::of(b""),
            size_bytes: 0,
        });
    }
    let looks = |metadata: &Metadata, digest| IndexedFile {
        stat: Stat::of(metadata),
        changed_ns: metadata
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.ctime_nsec()),
        inode: metadata.ino(),
        device: metadata.dev(),
        digest,
    };
    if let Some(known) = batch
        .file(&found.content)
        .filter(|known| *known == looks(&found.metadata, known.digest))
    {
        let size_bytes = known.stat.size_bytes;
        return Ok(Entry {
            path: found.path,
            kind: found.kind,
            digest: known.digest,
            size_bytes,
        });
    }
    let read_error = |error: io::Error| local_error(&found.content, "read", error);
    let mut file = open_found(&found.content)?;
    let before = file.metadata().map_err(read_error)?;
    let (digest, size_bytes) = copy_and_digest(&mut file, &mut io::sink()).map_err(read_error)?;
    let after = file.metadata().map_err(read_error)?;
    let seen = looks(&after, digest);
    if seen == looks(&before, digest) && size_bytes == after.len() && is_settled(&after) {
        index.learn_file(found.content, seen);
    }
    Ok(Entry {
        path: found.path,
        kind: found.kind,
        digest,
        size_bytes,
    })
}

/// Whether a later write would give the file another time than it has now: clocks of file
/// systems tick, some only every two seconds.
fn is_settled(metadata: &Metadata) -> bool {
    let coarse = metadata.mtime_nsec() == 0 && metadata.ctime_nsec() == 0;
    let tick = if coarse {
        Duration::from_secs(2)
    } else {
        Duration::from_millis(50)
    };
    let changed = Duration::new(
        metadata.ctime().try_into().unwrap_or(0),
        metadata.ctime_nsec().try_into().unwrap_or(0),
    );
    let modified = Duration::new(
        metadata.mtime().try_into().unwrap_or(0),
        metadata.mtime_nsec().try_into().unwrap_or(0),
    );
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    now > changed.max(modified) + tick
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_noticed_and_a_link_at_the_top_is_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let index = Index::new(folder.path().join("index.redb"));
        let data = folder.path().join("data.csv");
        fs::write(&data, "a,b\n1,2\n").expect("writes");
        let digest = |path: &Path| digest_path(path, &index, &index.batch()).expect("digests");
        let first = digest(&data);
        assert_eq!(digest(&data), first);
        fs::write(&data, "a,b\n1,3\n").expect("writes");
        let second = digest(&data);
        assert_ne!(second, first);
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&data, &link).expect("links");
        assert_eq!(digest(&link), second);
    }

    #[test]
    fn what_was_remembered_is_used_only_while_the_file_looks_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let index = Index::new(folder.path().join("index.redb"));
        let data = fs::canonicalize(folder.path())
            .expect("is there")
            .join("data.csv");
        fs::write(&data, "content").expect("writes");
        let metadata = fs::metadata(&data).expect("is there");
        let remembered = IndexedFile {
            stat: Stat::of(&metadata),
            changed_ns: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
            inode: metadata.ino(),
            device: metadata.dev(),
            digest: Digest::of(b"remembered"),
        };
        index.learn_file(data.clone(), remembered);
        let remembered = digest_path(&data, &index, &index.batch()).expect("digests");
        fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("sets a mode");
        fs::write(&data, "content").expect("writes");
        let read = digest_path(&data, &index, &index.batch()).expect("digests");
        assert_ne!(remembered, read);
    }
}
