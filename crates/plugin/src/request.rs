//! What a worker is told: the JSON file that `SUPERMOE_REQUEST` names.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ports::PortType;

/// Path of the request file.
pub const REQUEST_VARIABLE: &str = "SUPERMOE_REQUEST";
/// Path of the file that events are appended to, one JSON object a line.
pub const EVENTS_VARIABLE: &str = "SUPERMOE_EVENTS";
/// Marks every process of a run: the run's id.
pub const RUN_VARIABLE: &str = "SUPERMOE_RUN";

/// Readers tolerate fields that they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub protocol: u32,
    pub plugin: String,
    /// `with`, after defaults.
    pub params: Map<String, Value>,
    /// Input artifacts by port, in the order of the workflow. An absent optional port has no entry.
    pub inputs: IndexMap<String, Vec<InputArtifact>>,
    /// Where to write each output: an empty folder that exists, or a file that does not.
    pub outputs: IndexMap<String, PathBuf>,
    /// A folder for mid-stage state; holds the newest state when an earlier attempt left one.
    /// Absent for plugins without `checkpoints`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// Scratch space and working directory; removed afterwards.
    pub work: PathBuf,
    /// `with.seed` where there is one, else drawn from the stage key.
    pub seed: u64,
    /// How many threads to use. Must not change the outputs.
    pub threads: u32,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Whether to tell in the log where the time goes (`run --profile`). Must not change the outputs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub profile: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputArtifact {
    /// A file or a folder, by the port's type. Read-only by contract.
    pub path: PathBuf,
    #[serde(rename = "type")]
    pub port_type: PortType,
    /// Where the port gathers all cells of a stage (`x.*.port`): the cell's matrix values.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub matrix: IndexMap<String, Value>,
}
