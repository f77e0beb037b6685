//! `with.sources`: how the files of an input port are read.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// Most bad rows that are skipped where the params do not say.
pub const MOST_BAD_ROWS: u64 = 1_000;

/// All of it is for CSV and JSON lines but `format`; Parquet says everything itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceParams {
    /// `csv`, `jsonl` (one object a line) or `parquet`. Without it by the file's first bytes or its ending:
    /// .parquet, .csv, .tsv, .json, .jsonl, .ndjson, the last five also with .gz or .zst after them.
    #[serde(default)]
    pub format: Option<SourceFormat>,
    /// What stands between the fields of CSV: one character, `,` where it is not said, a tab for .tsv.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// What stands around fields of CSV that have a delimiter or a line break: one character, `"` where
    /// it is not said.
    #[serde(default)]
    pub quote: Option<String>,
    /// How characters are written as bytes: `utf-8` where it is not said, `latin-1` (Windows-1252 with it)
    /// or `utf-16`. A byte order mark counts more.
    #[serde(default)]
    pub encoding: Option<TextEncoding>,
    /// Whether the first line of CSV names the columns: `true` where it is not said.
    #[serde(default)]
    pub header: Option<bool>,
    /// Names of the columns of CSV, in order; instead of those of the header, where there is one.
    /// Without header and names they are `column_1`, `column_2` and so on.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Types of columns, by name. A row with another value there is a bad row. The types of other columns
    /// are taken from all rows; what is mixed is text.
    #[serde(default)]
    pub types: IndexMap<String, ColumnType>,
    /// How times are written, as in strftime: `%d.%m.%Y %H:%M`, `%z` for an offset from UTC. For columns of
    /// the type `time` or `date`, and for the one that `with.time` names. Without it as in ISO 8601:
    /// `2011-08-01 12:30:00`, `2011-08-01T12:30:00+02:00`, `2011-08-01`.
    #[serde(default)]
    pub time_format: Option<String>,
    /// Time zone of times that do not say theirs, such as `Europe/Berlin`; UTC where it is not said. Of a
    /// time that stands twice, when clocks go back, the first is meant; one that clocks skip is as much
    /// later.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// `error`: the first row that cannot be read ends the stage. `skip`: it is left out, counted, and the
    /// first ten are shown. A row is bad when it has too many or too few fields, bytes that are no
    /// characters, is no JSON object, or has a value that is not of the type in `types`.
    #[serde(default)]
    pub bad_rows: BadRowPolicy,
    /// More skipped rows than this are an error.
    #[serde(default = "most_bad_rows")]
    pub max_bad_rows: u64,
}

fn most_bad_rows() -> u64 {
    MOST_BAD_ROWS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    Csv,
    Jsonl,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum TextEncoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "latin-1")]
    Latin1,
    #[serde(rename = "utf-16")]
    Utf16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// As it stands, leading zeros too.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A number of 64 bits.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A day.
    Date,
    /// An instant, to the microsecond.
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BadRowPolicy {
    #[default]
    Error,
    Skip,
}
