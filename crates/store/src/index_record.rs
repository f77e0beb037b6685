//! What the index remembers, as bytes that carry their own checksum.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::artifact::{Artifact, ArtifactKind};
use crate::digest::{Digest, RunId, StageKey};
use crate::local_put::Stat;
use crate::result::{KeyManifest, StageResult};

/// A result and how its object looked when it was last known to be whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexedResult {
    pub(crate) stat: Stat,
    pub(crate) result: Arc<StageResult>,
}

/// A tree, the blobs it points to, and how they looked when they were last known to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedTree {
    pub(crate) stat: Stat,
    pub(crate) blobs: Vec<(Digest, Stat)>,
}

/// The digest of a file outside the store, and what the file looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexedFile {
    pub(crate) stat: Stat,
    pub(crate) changed_ns: i64,
    pub(crate) inode: u64,
    pub(crate) device: u64,
    pub(crate) digest: Digest,
}

const CHECKSUM_BYTES: usize = 8;

impl IndexedResult {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let result = &*self.result;
        let mut to = Writer::new();
        to.stat(&self.stat);
        to.number(u64::from(result.version));
        to.digest(result.key.digest());
        to.text(result.manifest.text());
        to.number(result.outputs.len() as u64);
        for (port, artifact) in &result.outputs {
            to.text(port);
            to.digest(&artifact.digest);
            to.number(u64::from(artifact.kind == ArtifactKind::Folder));
            to.number(artifact.size_bytes);
            to.number(artifact.files);
        }
        to.number(result.metrics.len() as u64);
        for (name, value) in &result.metrics {
            to.text(name);
            to.number(value.to_bits());
        }
        to.number(result.seconds.to_bits());
        to.number(u64::from(result.peak_memory_bytes.is_some()));
        to.number(result.peak_memory_bytes.unwrap_or(0));
        to.0.extend(result.run.to_bytes());
        to.text(&result.instruction_set);
        to.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<IndexedResult> {
        let mut from = Reader::new(bytes)?;
        let stat = from.stat()?;
        let version = u32::try_from(from.number()?).ok()?;
        let key = StageKey::new(from.digest()?);
        let manifest = KeyManifest::from_text(from.text()?);
        let mut outputs = IndexMap::new();
        for _ in 0..from.number()? {
            let port = from.text()?.to_owned();
            let digest = from.digest()?;
            let kind = if from.number()? == 1 {
                ArtifactKind::Folder
            } else {
                ArtifactKind::File
            };
            outputs.insert(
                port,
                Artifact {
                    digest,
                    kind,
                    size_bytes: from.number()?,
                    files: from.number()?,
                },
            );
        }
        let mut metrics = IndexMap::new();
        for _ in 0..from.number()? {
            let name = from.text()?.to_owned();
            metrics.insert(name, f64::from_bits(from.number()?));
        }
        let seconds = f64::from_bits(from.number()?);
        let has_peak = from.number()? == 1;
        let peak = from.number()?;
        let run = RunId::from_bytes(from.array()?);
        let instruction_set = from.text()?.to_owned();
        let peak_memory_bytes = has_peak.then_some(peak);
        let result = StageResult {
            version,
            key,
            manifest,
            outputs,
            metrics,
            seconds,
            peak_memory_bytes,
            run,
            instruction_set,
        };
        from.is_at_end().then(|| IndexedResult {
            stat,
            result: Arc::new(result),
        })
    }
}

impl IndexedTree {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.stat(&self.stat);
        to.number(self.blobs.len() as u64);
        for (digest, stat) in &self.blobs {
            to.digest(digest);
            to.stat(stat);
        }
        to.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<IndexedTree> {
        let mut from = Reader::new(bytes)?;
        let stat = from.stat()?;
        let mut blobs = Vec::new();
        for _ in 0..from.number()? {
            blobs.push((from.digest()?, from.stat()?));
        }
        from.is_at_end().then_some(IndexedTree { stat, blobs })
    }
}

impl IndexedFile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        to.stat(&self.stat);
        to.number(self.changed_ns as u64);
        to.number(self.inode);
        to.number(self.device);
        to.digest(&self.digest);
        to.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<IndexedFile> {
        let mut from = Reader::new(bytes)?;
        let stat = from.stat()?;
        let changed_ns = from.number()? as i64;
        let (inode, device, digest) = (from.number()?, from.number()?, from.digest()?);
        from.is_at_end().then_some(IndexedFile {
            stat,
            changed_ns,
            inode,
            device,
            digest,
        })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Writer {
        Writer(vec![0; CHECKSUM_BYTES])
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn digest(&mut self, digest: &Digest) {
        self.0.extend(digest.as_bytes());
    }

    fn stat(&mut self, stat: &Stat) {
        self.number(stat.size_bytes);
        self.number(stat.modified_ns as u64);
    }

    fn finish(mut self) -> Vec<u8> {
        let checksum = checksum(&self.0[CHECKSUM_BYTES..]);
        self.0[..CHECKSUM_BYTES].copy_from_slice(&checksum);
        self.0
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8]) -> Option<Reader<'b>> {
        let (sum, rest) = bytes.split_at_checked(CHECKSUM_BYTES)?;
        (sum == checksum(rest)).then_some(Reader(rest))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn digest(&mut self) -> Option<Digest> {
        self.array().map(Digest::from_bytes)
    }

    fn stat(&mut self) -> Option<Stat> {
        Some(Stat {
            size_bytes: self.number()?,
            modified_ns: self.number()? as i64,
        })
    }

    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> IndexedResult {
        let artifact = Artifact {
            digest: Digest::of(b"a"),
            kind: ArtifactKind::Folder,
            size_bytes: 7,
            files: 2,
        };
        let result = StageResult {
            version: 1,
            key: StageKey::of(b"{}"),
            manifest: serde_json::json!({"plugin": "shell"}).into(),
            outputs: [("out".to_owned(), artifact)].into_iter().collect(),
            metrics: [("loss".to_owned(), f64::INFINITY)].into_iter().collect(),
            seconds: 1.5,
            peak_memory_bytes: Some(9),
            run: RunId::generate(),
            instruction_set: "avx2".to_owned(),
        };
        IndexedResult {
            stat: Stat {
                size_bytes: 3,
                modified_ns: -1,
            },
            result: Arc::new(result),
        }
    }

    #[test]
    fn records_come_back() {
        let result = result();
        assert_eq!(IndexedResult::decode(&result.encode()), Some(result));
        let stat = Stat {
            size_bytes: 3,
            modified_ns: 4,
        };
        let tree = IndexedTree {
            stat,
            blobs: vec![(Digest::of(b"b"), stat)],
        };
        assert_eq!(IndexedTree::decode(&tree.encode()), Some(tree));
        let file = IndexedFile {
            stat,
            changed_ns: -5,
            inode: 6,
            device: 7,
            digest: Digest::of(b"c"),
        };
        assert_eq!(IndexedFile::decode(&file.encode()), Some(file));
    }

    #[test]
    fn damage_is_seen() {
        let bytes = result().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(IndexedResult::decode(&damaged), None);
            assert_eq!(IndexedResult::decode(&bytes[..at]), None);
        }
    }
}
