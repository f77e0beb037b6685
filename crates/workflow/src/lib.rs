//! YAML text to a checked workflow and its graph of stages.
//!
//! [`compile`] reads one workflow file with spans, resolves its params and expressions, expands
//! each stage's matrix to cells, wires typed ports and returns a [`Workflow`], or every mistake
//! at once as [`Diagnostics`]. Nothing is run and nothing but files is read.

pub mod cell;
pub mod codes;
pub mod diagnostics;
pub mod name;
pub mod overrides;
pub mod schedule;
pub mod schema;
pub mod source;
pub mod workflow;

mod arguments;
mod assemble;
mod axis;
mod axis_text;
mod command;
mod compile;
mod completion;
mod dag;
mod declared_outputs;
mod document;
mod draft;
mod draft_stage;
mod drafting;
mod duration;
mod environment;
mod excerpt;
mod expand;
mod expression;
mod external;
mod fields;
mod head;
mod input_port;
mod input_text;
mod input_url;
mod join;
mod map_builder;
mod nearest;
mod node;
mod override_params;
mod param_mistakes;
mod parse;
mod pieces;
mod plain_entries;
mod port_mistakes;
mod publish;
mod resolve;
mod scalar;
mod schemas;
mod scope;
mod session;
mod settings;
mod shell_quotes;
mod tree_builder;
mod variant;
mod wire;
mod wiring;
mod yaml_mistakes;

pub use cell::{
    Cell, CellId, CellInput, CommandValue, InputSource, Resources, Retry, RunFacts, RunField,
    RunName, RunPart, SkipReason, VariantChoice,
};
pub use codes::Code;
pub use compile::compile;
pub use diagnostics::{Diagnostic, Diagnostics};
pub use head::Head;
pub use input_url::InputUrl;
pub use name::StageName;
pub use overrides::Overrides;
pub use schedule::Schedule;
pub use schema::workflow_schema;
pub use source::{Place, Places, Source, Span};
pub use workflow::{Compiled, Edge, Workflow};
