//! The listing of an artifact's files, in the one form that its digest is taken from.

use std::collections::HashSet;
use std::fmt::Write;

use crate::artifact::{Artifact, ArtifactKind};
use crate::digest::Digest;

/// Files up to this size stand in the tree itself, not in a blob of their own.
pub(crate) const LARGEST_PACKED_BYTES: u64 = 16 * 1024;
/// A tree packs no more than this altogether, so that it can be read into memory.
const LARGEST_PACK_BYTES: u64 = 4 * 1024 * 1024;
/// Most entries of a tree.
pub(crate) const MOST_ENTRIES: usize = 1_000_000;
/// What a listing begins with.
pub(crate) const FORMAT: &str = "supermoe-tree 1";

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Parts divided by `/`; empty for the one file of a file artifact.
    pub(crate) path: String,
    pub(crate) kind: EntryKind,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Executable,
    /// A folder that holds nothing; the others follow from the paths of their files.
    EmptyFolder,
}

impl EntryKind {
    fn letter(self) -> char {
        match self {
            EntryKind::File => 'f',
            EntryKind::Executable => 'x',
            EntryKind::EmptyFolder => 'd',
        }
    }

    pub(crate) fn from_letter(letter: &str) -> Option<EntryKind> {
        match letter {
            "f" => Some(EntryKind::File),
            "x" => Some(EntryKind::Executable),
            "d" => Some(EntryKind::EmptyFolder),
            _ => None,
        }
    }
}

/// All entries of an artifact, sorted by the bytes of their paths. Always valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    kind: ArtifactKind,
    entries: Vec<Entry>,
}

impl Listing {
    /// Checks the entries; says which path cannot stand, and why.
    pub(crate) fn new(kind: ArtifactKind, mut entries: Vec<Entry>) -> Result<Listing, String> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let listing = Listing { kind, entries };
        listing.check()?;
        Ok(listing)
    }

    /// Takes what was read; to be checked before it is used.
    pub(crate) fn unchecked(kind: ArtifactKind, entries: Vec<Entry>) -> Listing {
        Listing { kind, entries }
    }

    pub(crate) fn kind(&self) -> ArtifactKind {
        self.kind
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The canonical text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(64 + self.entries.len() * 112);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{FORMAT} {} {}", self.kind, self.entries.len());
        for entry in &self.entries {
            let Entry {
                path,
                kind,
                digest,
                size_bytes,
            } = entry;
            let _ = writeln!(
                text,
                "{digest} {size_bytes} {} {}:{path}",
                kind.letter(),
                path.len()
            );
        }
        text
    }

    /// The artifact of this listing.
    pub(crate) fn artifact(&self) -> Artifact {
        self.artifact_of_text(&self.text())
    }

    pub(crate) fn artifact_of_text(&self, text: &str) -> Artifact {
        let files = self
            .entries
            .iter()
            .filter(|entry| entry.kind != EntryKind::EmptyFolder);
        Artifact {
            digest: Digest::of(text.as_bytes()),
            kind: self.kind,
            size_bytes: self
                .entries
                .iter()
                .fold(0, |sum, entry| entry.size_bytes.saturating_add(sum)),
            files: files.count() as u64,
        }
    }

    /// For each entry, whether its content stands in the tree.
    pub(crate) fn packed(&self) -> Vec<bool> {
        let mut packer = Packer::default();
        self.entries
            .iter()
            .map(|entry| entry.kind != EntryKind::EmptyFolder && packer.takes(entry.size_bytes))
            .collect()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.kind == ArtifactKind::File {
            let one = matches!(&self.entries[..], [entry] if entry.path.is_empty() && entry.kind != EntryKind::EmptyFolder);
            return if one {
                Ok(())
            } else {
                Err("a file artifact is one file without a path".to_owned())
            };
        }
        if self.entries.len() > MOST_ENTRIES {
            return Err(format!("more than {MOST_ENTRIES} files"));
        }
        if let Some(pair) = self
            .entries
            .windows(2)
            .find(|pair| pair[0].path >= pair[1].path)
        {
            return Err(format!(
                "`{}` is listed twice or out of order",
                pair[1].path
            ));
        }
        let paths: HashSet<&str> = self
            .entries
            .iter()
            .map(|entry| entry.path.as_str())
            .collect();
        for entry in &self.entries {
            check_path(&entry.path)?;
            let inside_another = entry
                .path
                .match_indices('/')
                .any(|(at, _)| paths.contains(&entry.path[..at]));
            if inside_another {
                return Err(format!("`{}` is inside another entry", entry.path));
            }
            if entry.kind == EntryKind::EmptyFolder
                && (entry.size_bytes != 0 || entry.digest != Digest::of(b""))
            {
                return Err(format!("the empty folder `{}` has content", entry.path));
            }
        }
        Ok(())
    }
}

/// Decides what is packed, in the order of the listing.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    packed_bytes: u64,
}

impl Packer {
    /// Whether the next file is packed.
    pub(crate) fn takes(&mut self, size_bytes: u64) -> bool {
        let takes = size_bytes <= LARGEST_PACKED_BYTES
            && self.packed_bytes + size_bytes <= LARGEST_PACK_BYTES;
        if takes {
            self.packed_bytes += size_bytes;
        }
        takes
    }
}

/// Says why a path cannot stand in a tree.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("an entry has an empty path".to_owned());
    }
    if path.contains('\0') {
        return Err(format!("`{}` holds a zero byte", path.replace('\0', "\\0")));
    }
    match path
        .split('/')
        .find(|part| matches!(*part, "" | "." | ".."))
    {
        None => Ok(()),
        Some("") if path.starts_with('/') => Err(format!("`{path}` is an absolute path")),
        Some("..") => Err(format!("`{path}` leaves the folder")),
        Some(_) => Err(format!("`{path}` has an empty part or a `.`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &[u8]) -> Entry {
        Entry {
            path: path.to_owned(),
            kind: EntryKind::File,
            digest: Digest::of(content),
            size_bytes: content.len() as u64,
        }
    }

    #[test]
    fn the_text_is_pinned() {
        let mut script = file("bin/run me", b"x");
        script.kind = EntryKind::Executable;
        let listing = Listing::new(ArtifactKind::Folder, vec![script, file("a\nb", b"")])
            .expect("a valid listing");
        let [empty, x] = [Digest::of(b""), Digest::of(b"x")];
        assert_eq!(
            listing.text(),
            format!("supermoe-tree 1 folder 2\n{empty} 0 f 3:a\nb\n{x} 1 x 10:bin/run me\n")
        );
    }

    #[test]
    fn paths_that_leave_are_refused() {
        for wrong in [
            "../a",
            "a/../b",
            "/etc/passwd",
            "a//b",
            "./a",
            "a/.",
            "",
            "a\0b",
            "a/..",
        ] {
            assert!(
                Listing::new(ArtifactKind::Folder, vec![file(wrong, b"")]).is_err(),
                "{wrong:?}"
            );
        }
        for pair in [["a", "a"], ["a", "a/b"], ["a/b", "a/b/c/d"]] {
            let entries = pair.iter().map(|path| file(path, b"")).collect();
            assert!(
                Listing::new(ArtifactKind::Folder, entries).is_err(),
                "{pair:?}"
            );
        }
        assert!(
            Listing::new(
                ArtifactKind::Folder,
                vec![file("a", b""), file("a-b", b""), file("ab/c", b"")]
            )
            .is_ok()
        );
        assert!(Listing::new(ArtifactKind::File, vec![file("a", b"")]).is_err());
        assert!(Listing::new(ArtifactKind::File, vec![]).is_err());
    }

    #[test]
    fn a_pack_is_bounded() {
        let entries = (0..400)
            .map(|at| file(&format!("{at:03}"), &[0; 16 * 1024]))
            .collect();
        let listing = Listing::new(ArtifactKind::Folder, entries).expect("a valid listing");
        assert_eq!(
            listing.packed().iter().filter(|packed| **packed).count(),
            256
        );
    }
}
