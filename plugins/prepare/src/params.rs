//! `with` of a `prepare` stage.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use supermoe_channels::{ChannelKind, TaskKind};

use crate::calendar::{Date, Span};

/// How events become a dataset. SQL is DataFusion's; names of tables and columns are taken as they
/// are written, capitals included.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// SQL query whose rows are the events; each input port is a table of its name. Without it the
    /// rows of the only input are the events.
    #[serde(default)]
    pub events: Option<String>,
    /// Column of the events that says whose event it is: whole numbers or text.
    pub entity: String,
    /// Column of the events that says when it was: a timestamp (taken as UTC) or a date.
    pub time: String,
    /// Columns that order the events of one entity at one time. What they leave equal is ordered by
    /// the other columns.
    #[serde(default)]
    pub order: Vec<String>,
    /// How far a sample looks back from its snapshot: a whole number and `h`, `d` or `w` (hours, days,
    /// weeks), such as `365d`.
    pub history: Span,
    /// Most steps of a sample; of more, the newest are kept. Totals and aggregates see all.
    #[serde(default = "default_length")]
    #[schemars(range(min = 1, max = 65536))]
    pub length: u32,
    /// What a step carries, by name; at least one.
    #[schemars(extend("minProperties" = 1, "examples" = [{ "item": { "kind": "id" } }]))]
    pub channels: IndexMap<String, ChannelParams>,
    /// Running totals over [snapshot - history, step], by name: dense channels, ln(1 + x).
    #[serde(default)]
    pub totals: IndexMap<String, TotalParams>,
    /// One number per sample, by name: an SQL aggregate over the rows of [snapshot - history,
    /// snapshot). `days_to_snapshot`, `days_since_previous` and `snapshot` are columns too. Taken as
    /// it comes, then standardised: write `ln(1 + ...)` yourself where it fits.
    #[serde(default)]
    pub aggregates: IndexMap<String, String>,
    /// Which snapshots are for training, validation and test.
    pub splits: SplitParams,
    /// What is to be predicted, by name.
    #[serde(default)]
    pub tasks: IndexMap<String, TaskParams>,
}

fn default_length() -> u32 {
    128
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "kind": { "const": "dense" } } },
    "then" = { "properties": { "min_count": {
        "type": "null",
        "x-expected": "none (a dense channel has no vocabulary)",
    } } },
))]
pub struct ChannelParams {
    /// `id` for many values, `category` for few, `dense` for a number.
    pub kind: ChannelKind,
    /// SQL expression over the columns of the event, `days_since_previous` (0 for the first row of the
    /// history), `days_to_snapshot` and `snapshot`. Without it the column of the channel's name.
    #[serde(default)]
    pub expr: Option<String>,
    /// Values seen less often in the training period are unknown. For id and category channels.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub min_count: Option<u64>,
}

/// Either `count` or `sum`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        { "required": ["count"], "properties": { "count": { "not": { "const": null } }, "sum": { "const": null } } },
        { "required": ["sum"], "properties": { "sum": { "not": { "const": null } }, "count": { "const": null } } },
    ],
    "x-expected" = "a map with either `count` or `sum`",
))]
pub struct TotalParams {
    /// Counts `rows`, or distinct `times`.
    #[serde(default)]
    pub count: Option<Counted>,
    /// SQL expression over the columns of the event; NULL adds nothing.
    #[serde(default)]
    pub sum: Option<String>,
    /// Channels that this total would betray: it is hidden in pre-training wherever one of them is.
    #[serde(default)]
    pub source: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    Rows,
    Times,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitParams {
    pub by: SplitBy,
    /// Snapshot dates to train on: a list such as `[2011-08-01, 2011-09-01]`, or
    /// `{ from: 2011-01-01, to: 2011-08-01, every: month }`.
    #[serde(deserialize_with = "train_snapshots")]
    pub train: Snapshots,
    /// Snapshot dates for early stopping and choices, written as those of `train`.
    #[serde(default, deserialize_with = "valid_snapshots")]
    pub valid: Snapshots,
    /// Snapshot dates for the final figures, written as those of `train`. No label window of train or
    /// valid may end after the first.
    #[serde(default, deserialize_with = "test_snapshots")]
    pub test: Snapshots,
}

fn train_snapshots<'de, D: Deserializer<'de>>(reader: D) -> Result<Snapshots, D::Error> {
    snapshots_of("train", reader)
}

fn valid_snapshots<'de, D: Deserializer<'de>>(reader: D) -> Result<Snapshots, D::Error> {
    snapshots_of("valid", reader)
}

fn test_snapshots<'de, D: Deserializer<'de>>(reader: D) -> Result<Snapshots, D::Error> {
    snapshots_of("test", reader)
}

fn snapshots_of<'de, D: Deserializer<'de>>(split: &str, reader: D) -> Result<Snapshots, D::Error> {
    Snapshots::deserialize(reader)
        .map_err(|error| D::Error::custom(format!("with.splits.{split}: {error}")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Every entity in every split, the snapshots apart.
    Time,
}

/// A list of dates, or `from`, `to` and `every`. A snapshot stands at 00:00 UTC of its date.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum Snapshots {
    Dates(Vec<Date>),
    Range(SnapshotRange),
}

/// By hand, since a derived one would not say which date is wrong.
impl<'de> Deserialize<'de> for Snapshots {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(SnapshotsVisitor)
    }
}

struct SnapshotsVisitor;

impl<'de> Visitor<'de> for SnapshotsVisitor {
    type Value = Snapshots;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of dates, or a map of `from`, `to` and `every`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Snapshots, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Snapshots::Dates)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Snapshots, A::Error> {
        SnapshotRange::deserialize(MapAccessDeserializer::new(map)).map(Snapshots::Range)
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Snapshots::Dates(Vec::new())
    }
}

/// `from`, and every such step after it up to and including `to`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRange {
    /// The first snapshot, written `2011-01-01`.
    pub from: Date,
    /// No snapshot is after this date, written `2011-08-01`.
    pub to: Date,
    /// The step from one snapshot to the next: `day`, `week` or `month`.
    pub every: Every,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    Day,
    Week,
    Month,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskParams {
    /// `binary`: the label is true or false, 1 or 0.
    pub kind: TaskKind,
    /// Length of the label window [snapshot, snapshot + within): a whole number and `h`, `d` or `w`, such
    /// as `30d`. A window past the end of the data has no label.
    pub within: Span,
    /// SQL aggregate over the rows of the label window; `snapshot` is a column too. NULL is no label:
    /// `coalesce(sum(x), 0)` where an empty window should count as 0.
    pub label: String,
    /// SQL condition, an aggregate over the label window: samples for which it is not true have no label.
    #[serde(default)]
    pub r#where: Option<String>,
}
