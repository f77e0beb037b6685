//! `definitions.json`: what the channels, aggregates and tasks of a dataset were made by, so that a
//! later dataset can be made alike.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use supermoe_channels::{ChannelKind, TaskKind, layout};

use crate::error::PrepareError;
use crate::params::{ChannelSource, Counted, Params};

/// The params that give values their meaning, as they were written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definitions {
    pub history: String,
    pub length: u32,
    pub channels: IndexMap<String, ChannelDefinition>,
    pub totals: IndexMap<String, TotalDefinition>,
    pub aggregates: IndexMap<String, String>,
    pub tasks: IndexMap<String, TaskDefinition>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelDefinition {
    pub kind: ChannelKind,
    pub from: ChannelSource,
    /// The column's name where the params have none.
    pub expr: String,
    /// 0 for none.
    pub hash: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TotalDefinition {
    pub count: Option<Counted>,
    pub sum: Option<String>,
    pub source: Vec<String>,
    /// Whether it is a channel; left out where it is.
    #[serde(default = "is_channel", skip_serializing_if = "Clone::clone")]
    pub channel: bool,
}

fn is_channel() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDefinition {
    pub kind: TaskKind,
    pub within: String,
    pub label: String,
    pub r#where: Option<String>,
}

impl Definitions {
    pub fn of(params: &Params) -> Self {
        let channels = params.channels.iter().map(|(name, channel)| {
            let definition = ChannelDefinition {
                kind: channel.kind,
                from: channel.from,
                expr: channel.expr.clone().unwrap_or_else(|| name.clone()),
                hash: channel.hash.unwrap_or(0),
            };
            (name.clone(), definition)
        });
        let totals = params.totals.iter().map(|(name, total)| {
            let definition = TotalDefinition {
                count: total.count,
                sum: total.sum.clone(),
                source: total.source.clone(),
                channel: total.channel,
            };
            (name.clone(), definition)
        });
        let tasks = params.tasks.iter().map(|(name, task)| {
            let definition = TaskDefinition {
                kind: task.kind,
                within: task.within.to_string(),
                label: task.label.clone(),
                r#where: task.r#where.clone(),
            };
            (name.clone(), definition)
        });
        Self {
            history: params.history.to_string(),
            length: params.length,
            channels: channels.collect(),
            totals: totals.collect(),
            aggregates: params.aggregates.clone(),
            tasks: tasks.collect(),
        }
    }

    /// # Errors
    /// A file that is missing or not of this kind.
    pub fn open(dataset: &Path) -> Result<Self, PrepareError> {
        let problem = |problem: String| PrepareError::Input {
            port: crate::fitted::PORT.to_owned(),
            place: String::new(),
            problem,
        };
        let text = std::fs::read(dataset.join(layout::DEFINITIONS_FILE)).map_err(|error| {
            problem(format!(
                "its {} cannot be read: {error}; is it a dataset of `prepare`?",
                layout::DEFINITIONS_FILE
            ))
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            problem(format!(
                "its {} is damaged: {error}",
                layout::DEFINITIONS_FILE
            ))
        })
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, dataset: &Path) -> Result<(), PrepareError> {
        let failed = |error: std::io::Error| {
            PrepareError::Data(format!(
                "cannot write {}: {error}",
                layout::DEFINITIONS_FILE
            ))
        };
        let mut text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        text.push('\n');
        std::fs::write(dataset.join(layout::DEFINITIONS_FILE), text).map_err(failed)
    }
}
