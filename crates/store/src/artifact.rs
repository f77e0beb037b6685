//! What a stage leaves behind: a file or a folder, named by its content.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Whether an artifact is one file or a folder of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    File,
    Folder,
}

impl ArtifactKind {
    pub fn name(self) -> &'static str {
        match self {
            ArtifactKind::File => "file",
            ArtifactKind::Folder => "folder",
        }
    }
}

impl std::fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// An artifact in the store. Two artifacts with one digest hold the same content under the same
/// names with the same executable bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Artifact {
    /// BLAKE3 of the listing of the artifact's files.
    pub digest: Digest,
    pub kind: ArtifactKind,
    /// The sum of the sizes of its files, in bytes.
    pub size_bytes: u64,
    /// How many files it has.
    pub files: u64,
}
