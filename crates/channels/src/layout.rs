//! Names of the files and columns of a dataset folder.
//!
//! Columns that the user names carry a prefix, so that none can collide with ours.

/// The channel schema, JSON.
pub const SCHEMA_FILE: &str = "schema.json";
/// The data card, JSON: what stands in the dataset, for people and reports.
pub const CARD_FILE: &str = "card.json";
/// One Parquet file per id or category channel: value, code, count.
pub const VOCABULARY_FOLDER: &str = "vocabularies";
/// What the channels, aggregates and tasks were made by: JSON, for those who prepare more data alike.
pub const DEFINITIONS_FILE: &str = "definitions.json";
/// One row per step, sorted by entity index, time and the user's order; in shards, read in order.
pub const STEPS_FOLDER: &str = "steps";
/// One row per sample, within a shard sorted by snapshot and entity index.
pub const SAMPLES_FOLDER: &str = "samples";
/// One row per entity, by entity index; only where there are channels of the entity.
pub const ENTITIES_FOLDER: &str = "entities";

/// Steps: index of the entity (i64).
pub const STEP_ENTITY: &str = "entity";
/// Steps: index of the step's time among the distinct times of its entity (i32).
pub const STEP_VISIT: &str = "visit";

/// Samples: index of the entity (i64).
pub const ENTITY_INDEX: &str = "entity_index";
/// Samples: the entity's key as text.
pub const ENTITY: &str = "entity";
/// Samples: the snapshot (timestamp, milliseconds, UTC).
pub const SNAPSHOT: &str = "snapshot";
/// Samples: `train`, `valid`, `test` or `predict`.
pub const SPLIT: &str = "split";
/// Samples: row of the first step after the cut to `length` (i64).
pub const FIRST_STEP: &str = "first_step";
/// Samples: number of steps after the cut to `length` (i32).
pub const STEPS: &str = "steps";
/// Samples: row of the first step of the history window, before the cut (i64).
pub const WINDOW_FIRST: &str = "window_first";

/// Steps, samples or entities: a channel's codes (u32) or numbers (f32).
pub fn channel_column(name: &str) -> String {
    format!("channel_{name}")
}

/// Steps: what a channel is where the step is the first of its history window. Only for channels
/// that look at the step before, which is then out of sight.
pub fn first_of_window_column(name: &str) -> String {
    format!("first_{name}")
}

/// Steps: running total from the entity's first row (f64).
pub fn total_column(name: &str) -> String {
    format!("total_{name}")
}

/// Samples: an aggregate (f32, NULL where it has no value).
pub fn aggregate_column(name: &str) -> String {
    format!("aggregate_{name}")
}

/// Samples: a task's label (f32, NULL where there is none).
pub fn label_column(task: &str) -> String {
    format!("label_{task}")
}

/// Name of a shard within its folder.
pub fn shard_file(index: usize) -> String {
    format!("part-{index:05}.parquet")
}

/// Path of a channel's vocabulary within the dataset.
pub fn vocabulary_file(channel: &str) -> String {
    format!("{VOCABULARY_FOLDER}/{channel}.parquet")
}
