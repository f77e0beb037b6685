//! The object of an artifact. `trees/<digest>` holds the listing, an empty line, and the content of the small files. The
//! digest is over the listing alone; the packed content is held to the digests in it.

use std::collections::HashSet;

use bytes::Bytes;

use crate::artifact::ArtifactKind;
use crate::digest::Digest;
use crate::listing::{Entry, EntryKind, FORMAT, Listing, MOST_ENTRIES};

/// A tree as it was read: its listing and the packed content, all held to their digests.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) listing: Listing,
    /// By entry; None stands for a blob or an empty folder.
    pub(crate) packed: Vec<Option<Bytes>>,
}

impl Tree {
    /// Reads a tree object that is to have `digest`; says what is wrong with it.
    pub(crate) fn parse(bytes: &Bytes, digest: &Digest) -> Result<Tree, String> {
        Tree::parse_named(bytes, |found| found == digest)
    }

    /// Reads a tree object whose name tells whether a digest is its own.
    pub(crate) fn parse_named(
        bytes: &Bytes,
        is_own: impl FnOnce(&Digest) -> bool,
    ) -> Result<Tree, String> {
        let (listing, text_bytes) = parse_listing(bytes)?;
        if !is_own(&Digest::of(&bytes[..text_bytes])) {
            return Err("its listing does not have the digest that it is named by".to_owned());
        }
        listing.check()?;
        if listing.text().as_bytes() != &bytes[..text_bytes] {
            return Err("its listing is not in canonical form".to_owned());
        }
        if bytes.get(text_bytes) != Some(&b'\n') {
            return Err("it ends early".to_owned());
        }
        let mut at = text_bytes + 1;
        let mut packed = Vec::with_capacity(listing.entries().len());
        for (entry, is_packed) in listing.entries().iter().zip(listing.packed()) {
            if !is_packed {
                packed.push(None);
                continue;
            }
            let end = at + entry.size_bytes as usize;
            let content = bytes.get(at..end).ok_or("it ends early")?;
            if Digest::of(content) != entry.digest {
                return Err(format!(
                    "the content of `{}` does not have its digest",
                    shown(&entry.path)
                ));
            }
            packed.push(Some(bytes.slice(at..end)));
            at = end;
        }
        if at != bytes.len() {
            return Err("it has more content than its listing says".to_owned());
        }
        Ok(Tree { listing, packed })
    }

    /// The digests and sizes of the files that stand in blobs of their own, each once.
    pub(crate) fn blobs(&self) -> Vec<(Digest, u64)> {
        let mut seen = HashSet::new();
        let entries = self.listing.entries().iter().zip(&self.packed);
        entries
            .filter(|(entry, packed)| packed.is_none() && entry.kind != EntryKind::EmptyFolder)
            .filter(|(entry, _)| seen.insert(entry.digest))
            .map(|(entry, _)| (entry.digest, entry.size_bytes))
            .collect()
    }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}

/// Gives the listing, not yet checked, and the length of its text.
fn parse_listing(bytes: &[u8]) -> Result<(Listing, usize), String> {
    let broken = || "its listing cannot be read".to_owned();
    let mut at = 0;
    let header = take_until(bytes, &mut at, b'\n').ok_or_else(broken)?;
    let header = header
        .strip_prefix(FORMAT)
        .ok_or("it is not a tree of a version that this program knows")?;
    let mut words = header.split(' ').skip(1);
    let kind = match words.next() {
        Some("file") => ArtifactKind::File,
        Some("folder") => ArtifactKind::Folder,
        _ => return Err(broken()),
    };
    let count: usize = words
        .next()
        .and_then(|count| count.parse().ok())
        .ok_or_else(broken)?;
    if count > MOST_ENTRIES || words.next().is_some() {
        return Err(broken());
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let digest = take_until(bytes, &mut at, b' ')
            .and_then(|text| text.parse().ok())
            .ok_or_else(broken)?;
        let size_bytes = take_until(bytes, &mut at, b' ')
            .and_then(|text| text.parse().ok())
            .ok_or_else(broken)?;
        let kind = take_until(bytes, &mut at, b' ')
            .and_then(EntryKind::from_letter)
            .ok_or_else(broken)?;
        let length: usize = take_until(bytes, &mut at, b':')
            .and_then(|text| text.parse().ok())
            .ok_or_else(broken)?;
        let end = at.checked_add(length).ok_or_else(broken)?;
        let path = bytes
            .get(at..end)
            .and_then(|path| std::str::from_utf8(path).ok())
            .ok_or_else(broken)?;
        if bytes.get(end) != Some(&b'\n') {
            return Err(broken());
        }
        entries.push(Entry {
            path: path.to_owned(),
            kind,
            digest,
            size_bytes,
        });
        at = end + 1;
    }
    Ok((Listing::unchecked(kind, entries), at))
}

fn take_until<'b>(bytes: &'b [u8], at: &mut usize, end: u8) -> Option<&'b str> {
    let rest = bytes.get(*at..)?;
    let length = rest.iter().take(256).position(|byte| *byte == end)?;
    *at += length + 1;
    std::str::from_utf8(&rest[..length]).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, content: &[u8]) -> Entry {
        Entry {
            path: path.to_owned(),
            kind: EntryKind::File,
            digest: Digest::of(content),
            size_bytes: content.len() as u64,
        }
    }

    fn object(listing: &Listing, content: impl Fn(&Entry) -> Vec<u8>) -> Bytes {
        let mut bytes = listing.text().into_bytes();
        bytes.push(b'\n');
        for (entry, packed) in listing.entries().iter().zip(listing.packed()) {
            if packed {
                bytes.extend(content(entry));
            }
        }
        bytes.into()
    }

    fn folders() -> impl Strategy<Value = Vec<(String, Vec<u8>, bool)>> {
        let part = proptest::string::string_regex("[a-zé .\n-]{1,6}").expect("a valid pattern");
        let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
        proptest::collection::vec(
            (
                path,
                proptest::collection::vec(any::<u8>(), 0..40),
                any::<bool>(),
            ),
            0..8,
        )
    }

    proptest! {
        #[test]
        fn one_content_has_one_form(files in folders()) {
            let entries: Vec<Entry> = files
                .iter()
                .map(|(path, content, executable)| Entry {
                    kind: if *executable { EntryKind::Executable } else { EntryKind::File },
                    ..file(path, content)
                })
                .collect();
            let mut reversed = entries.clone();
            reversed.reverse();
            let forward = Listing::new(ArtifactKind::Folder, entries);
            let backward = Listing::new(ArtifactKind::Folder, reversed);
            prop_assert_eq!(forward.is_ok(), backward.is_ok());
            let (Ok(listing), Ok(other)) = (forward, backward) else { return Ok(()) };
            prop_assert_eq!(listing.text(), other.text());

            let content = |entry: &Entry| {
                files.iter().find(|(path, ..)| *path == entry.path).map(|(_, content, _)| content.clone()).unwrap_or_default()
            };
            let bytes = object(&listing, content);
            let digest = listing.artifact().digest;
            let tree = Tree::parse(&bytes, &digest);
            prop_assert_eq!(tree.map(|tree| tree.listing), Ok(listing));
        }

        #[test]
        fn every_flipped_bit_is_seen(files in folders(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let entries = files.iter().map(|(path, content, _)| file(path, content)).collect();
            let Ok(listing) = Listing::new(ArtifactKind::Folder, entries) else { return Ok(()) };
            let content = |entry: &Entry| {
                files.iter().find(|(path, ..)| *path == entry.path).map(|(_, content, _)| content.clone()).unwrap_or_default()
            };
            let mut bytes = object(&listing, content).to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Tree::parse(&bytes.into(), &listing.artifact().digest).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let digest = Digest::of(&bytes);
            prop_assert!(Tree::parse(&bytes.into(), &digest).is_err());
        }
    }
}
