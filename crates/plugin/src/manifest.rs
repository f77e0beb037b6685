//! `plugin.json`: what a plugin says of itself. Data only: reading it runs nothing.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ports::PortType;

/// The version of the contract that this build speaks.
pub const PROTOCOL: u32 = 1;

/// The file that stands beside an external plugin's program.
pub const MANIFEST_FILE: &str = "plugin.json";

/// The name of an input port that stands for any number of ports named by the user.
pub const WILDCARD_PORT: &str = "*";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The contract's version: 1.
    pub protocol: u32,
    /// Lower-case letters, digits, `-` and `_`; begins with a letter.
    pub name: String,
    /// The plugin's own version, for people.
    #[serde(default)]
    pub version: String,
    /// One line that says what the plugin does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How its worker is started.
    pub launch: Launch,
    /// Built-in plugins: stands for their code in stage keys, raised when outputs change.
    /// External plugins leave it out: the digest of their folder, or of `code`, is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Globs, relative to the manifest's folder, of the files that make up the plugin's code.
    /// Empty: every file in the folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<String>,
    /// Input ports by name. The name `*` stands for any number of ports that the user names.
    #[serde(default)]
    pub inputs: IndexMap<String, InputPort>,
    /// Output ports by name.
    #[serde(default)]
    pub outputs: IndexMap<String, OutputPort>,
    /// Name of a param that holds further output ports, as a map from port name to type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs_param: Option<String>,
    /// JSON Schema of `with`: an object with `properties`; unknown properties are refused
    /// unless the schema itself allows them.
    #[serde(default = "empty_object_schema")]
    pub params: Value,
    /// Params that choose among variants, each with its own section, for example models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Variants>,
    /// This plugin is chosen instead of another where one param has one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// Whether it writes checkpoints and goes on from them.
    #[serde(default)]
    pub checkpoints: bool,
    /// Whether it computes on `device`: the device's kind and dtype are then part of its key.
    #[serde(default)]
    pub trains: bool,
    /// What it takes where a stage says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceDefaults>,
}

fn empty_object_schema() -> Value {
    serde_json::json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

/// How a worker is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// A program and its arguments. Words that begin with `./` or `../` are taken from the
    /// manifest's folder; any other program is looked for on PATH.
    Command(Vec<String>),
    /// The text of this param is run by `sh -euc`. Expressions in it become references to
    /// environment variables, so that no value is ever parsed as shell.
    Shell { param: String },
    /// Served by this binary: `supermoe worker NAME`.
    BuiltIn,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputPort {
    #[serde(rename = "type")]
    pub port_type: PortType,
    #[serde(default = "yes")]
    pub required: bool,
    /// Takes a list of artifacts; without it exactly one.
    #[serde(default)]
    pub many: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputPort {
    #[serde(rename = "type")]
    pub port_type: PortType,
    /// An output that is not required may be left unwritten.
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

fn yes() -> bool {
    true
}

/// Built-in variants: the value of `param` chooses one; its own params stand in
/// `with.<section>.<value>`. Only the chosen section is checked and enters the stage key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variants {
    pub param: String,
    pub section: String,
    pub values: BTreeMap<String, VariantValue>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantValue {
    pub revision: String,
    /// JSON Schema of the variant's section.
    pub params: Value,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Why this plugin cannot use the variant, where it cannot: a stage that chooses it is a mistake, and
    /// its section may stand beside those of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// Params of the plugin that have a default, and that a stage with this variant has to give all the same:
    /// each with why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub needs: BTreeMap<String, String>,
}

/// In an external plugin: it is the program for `of` wherever `param` equals `value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub of: String,
    pub param: String,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceDefaults {
    /// Processor cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
}
