//! Typed ports: what flows between stages.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of what a port takes or gives. All but `file` are folders.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PortType {
    Dataset,
    Encoder,
    Model,
    Embeddings,
    Predictions,
    Report,
    Choice,
    File,
    Folder,
    /// An input that takes whatever it is given. Never the type of an output.
    Any,
}

impl PortType {
    pub const ALL: [PortType; 10] = [
        PortType::Dataset,
        PortType::Encoder,
        PortType::Model,
        PortType::Embeddings,
        PortType::Predictions,
        PortType::Report,
        PortType::Choice,
        PortType::File,
        PortType::Folder,
        PortType::Any,
    ];

    pub fn name(self) -> &'static str {
        match self {
            PortType::Dataset => "dataset",
            PortType::Encoder => "encoder",
            PortType::Model => "model",
            PortType::Embeddings => "embeddings",
            PortType::Predictions => "predictions",
            PortType::Report => "report",
            PortType::Choice => "choice",
            PortType::File => "file",
            PortType::Folder => "folder",
            PortType::Any => "any",
        }
    }

    /// Whether an input of this type takes an output of type `given`.
    /// `any` takes all, `folder` takes everything that is a folder, the others only themselves.
    pub fn accepts(self, given: PortType) -> bool {
        match self {
            PortType::Any => true,
            PortType::Folder => given != PortType::File,
            _ => self == given,
        }
    }

    /// Names that every folder of this type has in it, as the built-in plugins write and read them.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            PortType::Dataset => &["schema.json", "samples", "steps"],
            PortType::Encoder | PortType::Model => &["config.json", "weights.safetensors"],
            PortType::Embeddings => &["embeddings.parquet"],
            PortType::Predictions => &["predictions.parquet"],
            PortType::Report => &["report.json"],
            PortType::Choice => &["choice.json"],
            PortType::File | PortType::Folder | PortType::Any => &[],
        }
    }

    pub fn is_file(self) -> bool {
        self == PortType::File
    }
}

impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
