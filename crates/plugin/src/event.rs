//! What a worker tells: one JSON object a line, appended to the file that `SUPERMOE_EVENTS` names.

use serde::{Deserialize, Serialize};

/// A host passes over kinds and fields that it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Progress(Progress),
    /// The last value of a name is kept as the stage's metric.
    Metric {
        name: String,
        value: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
    },
    Log {
        level: LogLevel,
        message: String,
    },
    /// The checkpoint folder now holds a whole, consistent state.
    Checkpoint {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u64>,
    },
    /// Said before leaving with a code other than 0.
    Error {
        message: String,
        /// Whether another attempt may succeed.
        #[serde(default)]
        retry: bool,
    },
}

impl Event {
    /// What is warned of, where this is a warning.
    pub fn as_warning(&self) -> Option<&str> {
        match self {
            Event::Log {
                level: LogLevel::Warn,
                message,
            } => Some(message),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    pub done: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is counted: step, row, file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What is being done: a phase such as `epoch 2` or `reading events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}
