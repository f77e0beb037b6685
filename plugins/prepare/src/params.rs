//! `with` of a `prepare` stage.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_channels::{ChannelKind, TaskKind};

use crate::dates::Span;
use crate::source_params::SourceParams;
use crate::split_params::SplitParams;

/// How events become a dataset. SQL is DataFusion's; names of tables and columns are taken as they
/// are written, capitals included.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// How the files of an input port are read, by port: delimiter, encoding, times, bad rows. Needed
    /// only where the files do not say it themselves.
    #[serde(default)]
    pub sources: IndexMap<String, SourceParams>,
    /// SQL query whose rows are the events; each input port is a table of its name. Without it the
    /// rows of the only input are the events.
    #[serde(default)]
    pub events: Option<String>,
    /// SQL query with one row per entity, which has a column of the entity's name: what is known of an
    /// entity at any time, such as a segment. Channels take it with `from: profile`.
    #[serde(default)]
    pub profile: Option<String>,
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
    /// Running totals over [snapshot - history, step], by name: dense channels, ln(1 + x). The SQL of a
    /// dense channel or of another total may name them, and sees the running value; where the events have
    /// a column of that name, it is the column that is meant.
    #[serde(default)]
    pub totals: IndexMap<String, TotalParams>,
    /// One number per sample, by name: an SQL aggregate over the rows of [snapshot - history,
    /// snapshot). `days_to_snapshot`, `days_since_previous`, `days_since_first` and `snapshot` are columns
    /// too. Taken as it comes, then standardised: write `ln(1 + ...)` yourself where it fits.
    #[serde(default)]
    pub aggregates: IndexMap<String, String>,
    /// Which samples are for training, validation and test, or to be predicted.
    pub splits: SplitParams,
    /// What is to be predicted, by name. With an input `fitted` and without tasks, those of the fitted
    /// dataset, without labels.
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
    "then" = { "properties": {
        "min_count": { "type": "null", "x-expected": "none (a dense channel has no vocabulary)" },
        "max_size": { "type": "null", "x-expected": "none (a dense channel has no vocabulary)" },
        "hash": { "type": "null", "x-expected": "none (a dense channel has no codes)" },
    } },
))]
pub struct ChannelParams {
    /// `id` for many values, `category` for few, `dense` for a number.
    pub kind: ChannelKind,
    /// What `expr` looks at: the `event` (and the snapshot), or the entity's row of the `profile`.
    #[serde(default)]
    pub from: ChannelSource,
    /// SQL expression over the columns of the event, `days_since_previous` (0 for the first row of the
    /// history), `days_since_first`, `days_to_snapshot`, `snapshot`, and in a dense channel the totals by
    /// name; or over the columns of the profile. Without it the column of the channel's name.
    #[serde(default)]
    pub expr: Option<String>,
    /// Values seen less often in the training period are unknown. For id and category channels.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub min_count: Option<u64>,
    /// Only so many values are known: those seen most often in the training period. For id and category
    /// channels.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_size: Option<u32>,
    /// Codes by a hash of the value into so many buckets, instead of a vocabulary: for more values than
    /// one can keep, and for values that are new after training. Not beside `min_count` and `max_size`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub hash: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelSource {
    /// The event, and the snapshot that looks back at it.
    #[default]
    Event,
    /// The entity's row of `with.profile`.
    Profile,
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
    /// SQL expression over the columns of the event, `days_since_previous`, `days_since_first`,
    /// `days_to_snapshot`, `snapshot` and other totals; NULL adds nothing.
    #[serde(default)]
    pub sum: Option<String>,
    /// Channels that this total would betray: it is hidden in pre-training wherever one of them is, and so
    /// is every channel and total that names it.
    #[serde(default)]
    pub source: Vec<String>,
    /// `false` where the total only serves the SQL that names it, and is no channel itself.
    #[serde(default = "default_channel")]
    pub channel: bool,
}

fn default_channel() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    Rows,
    Times,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskParams {
    /// `binary`: the label is true or false, 1 or 0. `multiclass`: the label is text or a number, each
    /// value a class; classes that no training sample has are no labels. `regression`: a number.
    pub kind: TaskKind,
    /// Length of the label window [snapshot, snapshot + within): a whole number and `h`, `d` or `w`, such
    /// as `30d`. A window that reaches past the end of the data has no label.
    pub within: Span,
    /// SQL aggregate over the rows of the label window; `snapshot` is a column too. NULL is no label:
    /// `coalesce(sum(x), 0)` where an empty window should count as 0.
    pub label: String,
    /// SQL condition, an aggregate over the label window: samples for which it is not true have no label.
    #[serde(default)]
    pub r#where: Option<String>,
}
