//! One stage, from its keys to its cells, before it is wired.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use supermoe_plugin::catalog::PluginEntry;

use crate::arguments::{self, Owner};
use crate::codes::Code;
use crate::document::{self, StageNode};
use crate::draft::{CellDraft, StageDraft};
use crate::environment::{self, Variables};
use crate::expand::{self, Matrix, MatrixCell};
use crate::nearest;
use crate::node::{Kind, Node};
use crate::publish::{self, Published};
use crate::resolve::Params;
use crate::schemas::Schemas;
use crate::scope::{EnvNames, MatrixNames, ScheduleFacts, Scope};
use crate::session::{Reported, Session};
use crate::settings;

/// What all stages see of the workflow.
pub(crate) struct Shared<'a, 'n, 's> {
    pub params: &'a Params,
    pub facts: ScheduleFacts<'a>,
    pub defaults: &'a document::Settings<'n, 's>,
    /// None: their declaration is wrong.
    pub secrets: Option<&'a [String]>,
}

/// What stages add to while they are drafted.
#[derive(Default)]
pub(crate) struct Gathered {
    pub schemas: Schemas,
    pub published: Published,
}

/// A stage whose cells are drafted.
struct Stage<'a, 'n, 's> {
    shared: &'a Shared<'a, 'n, 's>,
    node: &'a StageNode<'n, 's>,
    plugin: Option<&'a Arc<PluginEntry>>,
    matrix: &'a Matrix,
    /// Names of the inputs, as far as they can be read.
    inputs: Vec<&'a str>,
    /// What is the same for all cells: filled by the first one, where no expression stands in it.
    env: Option<Variables>,
    settings: Option<Option<settings::Resolved>>,
}

impl<'a, 'n, 's> Shared<'a, 'n, 's> {
    /// The names that the expressions of a stage know.
    pub fn scope<'b>(&self, matrix: MatrixNames<'b>, env: EnvNames<'b>) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            place: "a stage",
            params: Some(self.params),
            env,
            matrix,
            schedule: Some(self.facts),
        }
    }

    /// Drafts a stage. Without its matrix nothing more is said of it; without its plugin, nothing
    /// of what the plugin takes and gives.
    pub fn draft(
        &self,
        session: &mut Session<'_>,
        node: StageNode<'n, 's>,
        first_cell: usize,
        gathered: &mut Gathered,
    ) -> StageDraft<'n, 's> {
        let plugin = node.uses.and_then(|node| find_plugin(session, node).ok());
        let matrix = self.matrix(session, &node);
        let envs = [self.defaults.env, node.settings.env];
        let declared = environment::declared(&envs);
        let name = node.name.as_str();
        let secrets =
            environment::stage_secrets(session, name, node.secrets, self.secrets, &declared);
        let mut cells = Vec::new();
        if let Some(matrix) = &matrix {
            let mut stage = Stage {
                shared: self,
                node: &node,
                plugin: plugin.as_ref(),
                matrix,
                inputs: input_names(&node),
                env: None,
                settings: None,
            };
            cells.reserve_exact(matrix.cells.len());
            let before = session.errors.pushed();
            for cell in &matrix.cells {
                cells.push(stage.cell(session, cell, gathered));
                if session.has_enough_of_stage(before) {
                    break;
                }
            }
        }
        // With cells missing nothing can be wired to it.
        let matrix = matrix.filter(|matrix| matrix.cells.len() == cells.len());
        if matrix.is_none() {
            cells.clear();
        }
        StageDraft {
            plugin,
            matrix,
            first_cell,
            cells,
            secrets: secrets.unwrap_or_default(),
            node,
        }
    }

    fn matrix(&self, session: &mut Session<'_>, node: &StageNode<'n, 's>) -> Option<Matrix> {
        if !node.readable {
            return None;
        }
        let name = node.name.as_str();
        let scope = self.scope(MatrixNames::None, EnvNames::None).at("`matrix`");
        match node.matrix {
            None => Some(Matrix::single(name)),
            Some(matrix) => expand::expand(session, name, matrix, &scope).ok(),
        }
    }
}

impl<'a> Stage<'a, '_, '_> {
    fn cell(
        &mut self,
        session: &mut Session<'_>,
        cell: &'a MatrixCell,
        gathered: &mut Gathered,
    ) -> CellDraft {
        let names = MatrixNames::Cell {
            axes: &self.matrix.axes,
            values: &cell.values,
            digits: &cell.digits,
        };
        let env = self.env(session, names);
        let scope = self.shared.scope(names, EnvNames::Declared(&env));
        let settings = self.settings(session, &scope);
        let active = self.node.when.is_none_or(|node| {
            when(session, self.node.name.as_str(), node, &scope).unwrap_or(true)
        });
        let arguments = self.plugin.and_then(|plugin| {
            let owner = Owner {
                stage: self.node.name.as_str(),
                name_span: self.node.name_span,
                cell: &cell.label,
                with: self.node.with,
                plugin,
                inputs: &self.inputs,
                // Where `cache` is wrong nobody knows what it should have been.
                cache: settings.as_ref().is_some_and(|settings| settings.cache),
            };
            arguments::read(session, &owner, &scope, &mut gathered.schemas).ok()
        });
        let publish = match (self.node.publish, self.plugin) {
            (Some(node), Some(_)) => publish::read(
                session,
                &cell.label,
                node,
                arguments.as_ref().map(|arguments| &arguments.outputs),
                &scope,
                &mut gathered.published,
            ),
            _ => BTreeMap::new(),
        };
        CellDraft {
            arguments,
            settings,
            env,
            active,
            publish,
        }
    }

    fn env(&mut self, session: &mut Session<'_>, names: MatrixNames<'_>) -> Variables {
        if let Some(env) = &self.env {
            return env.clone();
        }
        let nodes = [self.shared.defaults.env, self.node.settings.env];
        let scope = self.shared.scope(names, EnvNames::None);
        // A variable that is wrong is there without a value.
        let (env, _) = environment::values(session, &nodes, &scope);
        if !nodes.iter().flatten().any(|node| node.has_expression()) {
            self.env = Some(env.clone());
        }
        env
    }

    fn settings(
        &mut self,
        session: &mut Session<'_>,
        scope: &Scope<'_>,
    ) -> Option<settings::Resolved> {
        if let Some(settings) = &self.settings {
            return settings.clone();
        }
        let (defaults, own) = (self.shared.defaults, &self.node.settings);
        let resources = self
            .plugin
            .and_then(|plugin| plugin.manifest.resources.as_ref());
        let settings = settings::read(session, defaults, own, resources, scope).ok();
        if !defaults
            .nodes()
            .chain(own.nodes())
            .any(Node::has_expression)
        {
            self.settings = Some(settings.clone());
        }
        settings
    }
}

fn input_names<'n>(node: &StageNode<'n, '_>) -> Vec<&'n str> {
    match node.inputs.map(|node| &node.kind) {
        Some(Kind::Map(entries)) => entries.iter().map(|entry| entry.key.as_ref()).collect(),
        _ => Vec::new(),
    }
}

fn find_plugin(session: &mut Session<'_>, node: &Node<'_>) -> Result<Arc<PluginEntry>, Reported> {
    let name = session
        .text(
            node,
            "`uses`",
            "the name of a plugin",
            &Scope::closed("`uses`"),
        )?
        .unwrap_or_default();
    if let Some(plugin) = session.catalog.get(&name) {
        return Ok(plugin.clone());
    }
    let help = match session.catalog.broken(&name) {
        Some(file) => format!(
            "`{}` is there and could not be used: the warning about it says why.",
            file.display()
        ),
        None => {
            let names: Vec<&str> = session.catalog.names().collect();
            format!(
                "{} `supermoe plugins` shows all of them.",
                nearest::advice(&name, "plugin", names.iter().copied())
            )
        }
    };
    Err(session.error(
        Code::UnknownPlugin,
        node.span,
        format!("there is no plugin `{name}`"),
        "unknown plugin",
        help,
    ))
}

fn when(
    session: &mut Session<'_>,
    stage: &str,
    node: &Node<'_>,
    scope: &Scope<'_>,
) -> Result<bool, Reported> {
    const EXPECTED: &str = "true, false or an expression in ${{ }}";
    let what = format!("`when` of `{stage}`");
    let resolved = session.leaf(node, &what, EXPECTED, &scope.at("`when`"))?;
    match resolved.value {
        Value::Bool(value) => Ok(value),
        Value::Null => Ok(false),
        other => Err(session.wrong_value(node, &what, EXPECTED, &other)),
    }
}
