//! Params of id tables: how they are split, where they are kept, when they are updated.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use supermoe_nn::tables::{RowOptimizer, RowUpdates, TableSettings, UpdateWorker};
use supermoe_plugin::size::{SIZE_PATTERN, parse_size};

use crate::error::TrainError;
use crate::table_plan::{TableBudget, TablePlan};
use crate::training_params::at_least_one;

/// How id tables are kept and updated. What is learned depends on neither `shards` nor `memory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TableParams {
    /// Parts of each table, by row modulo their number, that are updated in parallel; at most the rows
    /// of the smallest table.
    #[schemars(range(min = 1, max = 4096))]
    pub shards: usize,
    /// What all tables together, with their optimizer's state, may take of memory, such as `2GiB`; a table
    /// that does not fit in what is left lives in a memory-mapped file in the stage's work folder. null:
    /// all in memory.
    pub memory: Option<MemorySize>,
    /// When the rows that a step used are updated: `synchronous` (before the next step), or
    /// `{ staleness: k }` (by a thread of its own, exactly k steps later than that).
    pub updates: TableUpdates,
}

impl Default for TableParams {
    fn default() -> TableParams {
        TableParams {
            shards: 1,
            memory: None,
            updates: TableUpdates::Synchronous,
        }
    }
}

/// When rows are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableUpdates {
    /// Before the next step.
    Synchronous,
    /// So many steps later, while those run.
    Staleness(#[schemars(range(min = 1, max = 1000))] u64),
}

/// An amount of memory with its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemorySize(String);

impl JsonSchema for MemorySize {
    fn schema_name() -> Cow<'static, str> {
        "MemorySize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": SIZE_PATTERN,
            "description": "A number of bytes with its unit, such as `512MiB`."
        })
    }
}

impl MemorySize {
    fn bytes(&self) -> Result<u64, TrainError> {
        let MemorySize(text) = self;
        parse_size(text).map_err(|error| {
            let reason = format!("expected a size such as 512MiB or 2GiB, and {text:?} {error}");
            TrainError::param("tables.memory", reason)
        })
    }
}

impl TableParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        at_least_one("tables.shards", self.shards as u64)?;
        if let TableUpdates::Staleness(steps) = self.updates {
            at_least_one("tables.updates.staleness", steps)?;
        }
        self.memory.as_ref().map_or(Ok(0), MemorySize::bytes)?;
        Ok(())
    }

    /// The plan for a network whose rows are updated by `optimizer`; files come into `folder`.
    ///
    /// # Errors
    /// Params that [`TableParams::check`] refuses, or no thread for late updates.
    pub fn plan(&self, optimizer: RowOptimizer, folder: &Path) -> Result<TablePlan, TrainError> {
        self.check()?;
        let updates = match self.updates {
            TableUpdates::Synchronous => RowUpdates::Synchronous,
            TableUpdates::Staleness(steps) => RowUpdates::Delayed {
                delay: NonZeroUsize::new(steps as usize).unwrap_or(NonZeroUsize::MIN),
                worker: UpdateWorker::new()?,
            },
        };
        let memory = self.memory.as_ref().map(MemorySize::bytes).transpose()?;
        Ok(TablePlan {
            settings: TableSettings {
                shards: NonZeroUsize::new(self.shards).unwrap_or(NonZeroUsize::MIN),
                updates,
                ..optimizer.into()
            },
            budget: memory.map(|left| TableBudget {
                left,
                folder: folder.to_owned(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> TableParams {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn updates_are_a_word_or_a_number_of_steps() {
        let late = params(r#"{ "updates": { "staleness": 2 } }"#);
        assert_eq!(late.updates, TableUpdates::Staleness(2));
        let now = params(r#"{ "updates": "synchronous" }"#);
        assert_eq!(now, TableParams::default());
    }

    #[test]
    fn what_is_out_of_range_is_told() {
        let told = |text: &str| params(text).check().unwrap_err().to_string();
        assert_eq!(
            told(r#"{ "memory": "2" }"#),
            "`tables.memory`: expected a size such as 512MiB or 2GiB, and \"2\" has no unit"
        );
        assert_eq!(
            told(r#"{ "shards": 0 }"#),
            "`tables.shards`: expected at least 1, found 0"
        );
        assert!(told(r#"{ "updates": { "staleness": 0 } }"#).starts_with("`tables.updates.stale"));
    }
}
