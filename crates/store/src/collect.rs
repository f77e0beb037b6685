//! From files on the disk to blobs and a tree in a folder of objects.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::artifact::{Artifact, ArtifactKind};
use crate::digest::Digest;
use crate::error::Result;
use crate::error_mapping::{Access, StoreName, local_error};
use crate::listing::{Entry, EntryKind, Listing, Packer};
use crate::local_put::{Durability, LocalFolder, Stat};
use crate::object_name::Area;
use crate::walk::{Found, file_kind, refuse, refuse_special, walk};

/// What was written.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) artifact: Artifact,
    pub(crate) tree: Stat,
    /// Each once.
    pub(crate) blobs: Vec<(Digest, Stat)>,
}

/// Copies an artifact into `folder`: its blobs, then its tree.
pub(crate) fn collect(
    folder: &LocalFolder,
    store: &StoreName,
    area: &Area,
    path: &Path,
    kind: ArtifactKind,
    durability: Durability,
) -> Result<Collected> {
    let mut collector = Collector {
        folder,
        store,
        area,
        durability,
        packer: Packer::default(),
        pack: Vec::new(),
        blobs: Vec::new(),
    };
    let mut entries = Vec::new();
    for found in files_of(path, kind)? {
        entries.push(collector.take(found)?);
    }
    let listing = Listing::new(kind, entries).map_err(|why| refuse(path, why))?;
    collector.write_tree(&listing)
}

/// The files of an artifact, in the order of its listing.
pub(crate) fn files_of(path: &Path, kind: ArtifactKind) -> Result<Vec<Found>> {
    let metadata = fs::symlink_metadata(path).map_err(|error| local_error(path, "read", error))?;
    if metadata.is_symlink() {
        return Err(refuse(
            path,
            "it is a link; write the file or folder itself",
        ));
    }
    match kind {
        ArtifactKind::Folder if metadata.is_dir() => walk(path),
        ArtifactKind::File if metadata.is_file() => Ok(vec![single_file(path, metadata)]),
        _ if metadata.is_dir() => Err(refuse(path, "it is a folder, a file was expected")),
        _ if metadata.is_file() => Err(refuse(path, "it is a file, a folder was expected")),
        _ => Err(refuse_special(path, &metadata)),
    }
}

pub(crate) fn single_file(path: &Path, metadata: Metadata) -> Found {
    Found {
        path: String::new(),
        content: path.to_owned(),
        kind: file_kind(&metadata),
        metadata,
    }
}

/// Opens what was found to be a file; never follows a link that took its place.
pub(crate) fn open_found(path: &Path) -> Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    file.map_err(|error| local_error(path, "read", error))
}

struct Collector<'s> {
    folder: &'s LocalFolder,
    store: &'s StoreName,
    area: &'s Area,
    durability: Durability,
    packer: Packer,
    pack: Vec<u8>,
    blobs: Vec<(Digest, Stat)>,
}

impl Collector<'_> {
    fn take(&mut self, found: Found) -> Result<Entry> {
        if found.kind == EntryKind::EmptyFolder {
            return Ok(Entry {
                path: found.path,
                kind: found.kind,
                digest: Digest::of(b""),
                size_bytes: 0,
            });
        }
        let mut file = open_found(&found.content)?;
        let (digest, size_bytes) = if self.packer.takes(found.metadata.len()) {
            self.pack_file(&mut file, &found)?
        } else {
            self.blob(&mut file, &found)?
        };
        Ok(Entry {
            path: found.path,
            kind: found.kind,
            digest,
            size_bytes,
        })
    }

    fn pack_file(&mut self, file: &mut File, found: &Found) -> Result<(Digest, u64)> {
        let start = self.pack.len();
        let limit = found.metadata.len() + 1;
        let read = file.take(limit).read_to_end(&mut self.pack);
        read.map_err(|error| local_error(&found.content, "read", error))?;
        let content = &self.pack[start..];
        if content.len() as u64 != found.metadata.len() {
            return Err(refuse(&found.content, "it changed while it was stored"));
        }
        Ok((Digest::of(content), content.len() as u64))
    }

    fn blob(&mut self, file: &mut File, found: &Found) -> Result<(Digest, u64)> {
        let copied = self
            .folder
            .copy_in(file, |digest| self.area.blob(digest), self.durability);
        let (digest, stat) =
            copied.map_err(|error| self.store.disk(Access::Write, &shown(found), &error))?;
        if stat.size_bytes != found.metadata.len() {
            return Err(refuse(&found.content, "it changed while it was stored"));
        }
        self.blobs.push((digest, stat));
        Ok((digest, stat.size_bytes))
    }

    fn write_tree(mut self, listing: &Listing) -> Result<Collected> {
        let text = listing.text();
        let artifact = listing.artifact_of_text(&text);
        let name = self.area.tree(&artifact.digest);
        let written = self.folder.write(
            &name,
            &[text.as_bytes(), b"\n", &self.pack],
            self.durability,
        );
        let tree = written.map_err(|error| self.store.disk(Access::Write, &name, &error))?;
        // The last write of a content is the one whose time holds.
        self.blobs.reverse();
        self.blobs.sort_by_key(|(digest, _)| *digest);
        self.blobs.dedup_by_key(|(digest, _)| *digest);
        Ok(Collected {
            artifact,
            tree,
            blobs: self.blobs,
        })
    }
}

fn shown(found: &Found) -> String {
    format!("the content of {}", found.content.display())
}
