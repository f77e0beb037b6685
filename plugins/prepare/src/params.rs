//! `with` of a `prepare` stage.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
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
    /// How far a sample looks back from its snapshot, such as `365d`.
    pub history: Span,
    /// Most steps of a sample; of more, the newest are kept. Totals and aggregates see all.
    #[serde(default = "default_length")]
    #[schemars(range(min = 1, max = 65536))]
    pub length: u32,
    /// What a step carries, by name.
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
    /// Snapshot dates to train on.
    pub train: Snapshots,
    /// Snapshot dates for early stopping and choices.
    #[serde(default)]
    pub valid: Snapshots,
    /// Snapshot dates for the final figures. No label window of train or valid may end after the first.
    #[serde(default)]
    pub test: Snapshots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Every entity in every split, the snapshots apart.
    Time,
}

/// A list of dates, or `from`, `to` and `every`. A snapshot stands at 00:00 UTC of its date.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a list of dates, or a map of `from`, `to` and `every`"
)]
pub enum Snapshots {
    Dates(Vec<Date>),
    Range(SnapshotRange),
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
    pub from: Date,
    pub to: Date,
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
    /// Length of the label window [snapshot, snapshot + within), such as `30d`. A window past the end of
    /// the data has no label.
    pub within: Span,
    /// SQL aggregate over the rows of the label window; `snapshot` is a column too. NULL is no label:
    /// `coalesce(sum(x), 0)` where an empty window should count as 0.
    pub label: String,
    /// SQL condition, an aggregate over the label window: samples for which it is not true have no label.
    #[serde(default)]
    pub r#where: Option<String>,
}
