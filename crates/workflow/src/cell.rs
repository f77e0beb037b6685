//! One cell of a stage's matrix: the unit that is planned, run and cached.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use supermoe_plugin::catalog::PluginEntry;
use supermoe_plugin::manifest::OutputPort;
use supermoe_plugin::ports::PortType;

use crate::input_url::InputUrl;
use crate::name::StageName;
use crate::source::Places;

/// Index of a cell in [`Workflow::cells`](crate::Workflow::cells) and of its node in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(pub usize);

impl CellId {
    pub fn index(self) -> usize {
        self.0
    }
}

/// A stage at one point of its matrix, with every expression that is known before the run resolved.
#[derive(Debug, Clone)]
pub struct Cell {
    pub id: CellId,
    pub stage: StageName,
    /// Axis values by axis; empty for a stage without a matrix.
    pub matrix: IndexMap<String, Value>,
    /// `finetune[model=ple,seed=1]`, `prepare`: what [`fmt::Display`] prints.
    pub label: Arc<str>,
    /// The plugin that runs it, after variants are chosen.
    pub plugin: Arc<PluginEntry>,
    /// What `uses` says.
    pub base_plugin: Arc<str>,
    /// The variant, where the plugin has variants.
    pub variant: Option<VariantChoice>,
    /// `with` after expressions and the schema's defaults; of the variants' sections only the
    /// chosen one. Values of `run.*` still stand as text: see [`Cell::params_for`].
    pub params: Map<String, Value>,
    /// What differs from the schema's defaults: this is what a stage key holds.
    pub explicit_params: Map<String, Value>,
    /// Params that hold `run.*`, filled in by [`Cell::params_for`].
    pub run_fields: Vec<RunField>,
    /// Where each field stands in the workflow file.
    pub places: Places,
    /// Shell commands: values by the environment variable that the command's text refers to.
    pub command_values: IndexMap<String, CommandValue>,
    /// Output ports: the manifest's and those of its `outputs_param`.
    pub outputs: IndexMap<String, OutputPort>,
    /// Inputs by port in the order of the file; an absent optional input has no entry.
    pub inputs: IndexMap<String, Vec<CellInput>>,
    /// Cells that `needs` names: they end before this one starts.
    pub needs: Vec<CellId>,
    /// Why it never runs.
    pub skip: Option<SkipReason>,
    pub retry: Retry,
    pub timeout: Option<Duration>,
    pub resources: Resources,
    /// Declared environment variables; part of the stage key.
    pub env: BTreeMap<String, String>,
    /// Names of secrets that the worker gets as environment variables.
    pub secrets: Vec<String>,
    /// Whether its result may be taken from the store.
    pub cache: bool,
    /// Output port -> folder or file in the project, relative to the project's root.
    pub publish: BTreeMap<String, PathBuf>,
    /// The most cells of this stage that run at the same time.
    pub max_parallel: Option<u32>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Cell {
    /// `params` with the run's facts filled in.
    pub fn params_for(&self, run: &RunFacts) -> Map<String, Value> {
        let mut params = self.params.clone();
        for field in &self.run_fields {
            let mut target: Option<&mut Value> = None;
            for step in &field.path {
                target = match target {
                    None => params.get_mut(step),
                    Some(Value::Array(items)) => {
                        step.parse::<usize>().ok().and_then(|at| items.get_mut(at))
                    }
                    Some(Value::Object(map)) => map.get_mut(step),
                    Some(_) => None,
                };
                if target.is_none() {
                    break;
                }
            }
            if let Some(target) = target {
                *target = Value::String(field.text(run));
            }
        }
        params
    }
}

/// Which of a plugin's variants a cell uses.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantChoice {
    /// The param whose value chooses: `model`.
    pub param: String,
    /// Its value: `supermoe`.
    pub value: String,
    /// The variant's own revision, where the plugin lists the variant itself.
    pub revision: Option<String>,
    /// The param that holds the variants' sections: `models`.
    pub section: Option<String>,
}

/// What is known of a run only when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// The run's ULID.
    pub id: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// The workflow's name.
    pub workflow: String,
}

impl RunFacts {
    pub fn get(&self, name: RunName) -> &str {
        match name {
            RunName::Id => &self.id,
            RunName::Started => &self.started,
            RunName::Workflow => &self.workflow,
        }
    }
}

/// The names under `run.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunName {
    Id,
    Started,
    Workflow,
}

impl RunName {
    pub const ALL: [RunName; 3] = [RunName::Id, RunName::Started, RunName::Workflow];

    pub fn name(self) -> &'static str {
        match self {
            RunName::Id => "id",
            RunName::Started => "started",
            RunName::Workflow => "workflow",
        }
    }
}

/// A param whose text holds `run.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct RunField {
    /// Keys and indices that lead to it from the top of `params`.
    pub path: Vec<String>,
    pub parts: Vec<RunPart>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RunPart {
    Text(String),
    Run(RunName),
}

impl RunField {
    fn text(&self, run: &RunFacts) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                RunPart::Text(text) => text.as_str(),
                RunPart::Run(name) => run.get(*name),
            })
            .collect()
    }
}

/// What an environment variable of a shell command stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandValue {
    /// A value that is known before the run; nothing is the empty text.
    Value { expression: String, value: Value },
    /// The paths of an input port, joined by newlines; empty where the input is absent.
    Input { port: String },
    /// Where to write an output port.
    Output { port: String },
    /// A fact of the run.
    Run(RunName),
}

impl CommandValue {
    /// The variable's text where it is known before the run: texts as they are, nothing as the
    /// empty text, all else as JSON.
    pub fn text(&self) -> Option<String> {
        match self {
            CommandValue::Value { value, .. } => Some(match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            CommandValue::Input { .. } | CommandValue::Output { .. } | CommandValue::Run(_) => None,
        }
    }
}

/// One artifact that an input port gets.
#[derive(Debug, Clone, PartialEq)]
pub struct CellInput {
    pub source: InputSource,
    /// The upstream cell's axis values, where the port gathers all cells (`x.*.port`).
    pub matrix: IndexMap<String, Value>,
    pub port_type: PortType,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    Output {
        cell: CellId,
        port: String,
    },
    /// An absolute path that existed when the workflow was checked.
    Path(PathBuf),
    /// What lies there was not looked at when the workflow was checked.
    Url(InputUrl),
    /// A name in the store that moves.
    Ref(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// `when` is false.
    When,
}

/// How often a cell is tried, and how long to wait between attempts: the delay doubles from
/// `first_delay` up to `max_delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// All attempts, the first one too; at least 1.
    pub attempts: u32,
    pub first_delay: Duration,
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 1,
            first_delay: Duration::from_secs(5),
            max_delay: Duration::from_secs(60),
        }
    }
}

/// What a cell takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    pub cpus: u32,
    /// Bytes; 0: not stated.
    pub memory: u64,
    pub gpus: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Resources {
            cpus: 1,
            memory: 0,
            gpus: 0,
        }
    }
}
