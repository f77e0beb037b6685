//! The way from text to workflow, step by step.

use std::collections::BTreeMap;

use serde_json::Value;
use supermoe_plugin::catalog::{Catalog, PluginEntry};

use crate::arguments::{self, Owner};
use crate::assemble::assemble;
use crate::codes::Code;
use crate::dag;
use crate::diagnostics::Diagnostics;
use crate::document::{self, Document, StageNode};
use crate::draft::{CellDraft, StageDraft};
use crate::environment::{self, Variables};
use crate::expand::{self, Matrix};
use crate::external::Files;
use crate::nearest;
use crate::node::{Kind, Node, quoted};
use crate::overrides::Overrides;
use crate::parse;
use crate::publish::{self, Published};
use crate::resolve::{self, Params};
use crate::schedule;
use crate::schemas::Schemas;
use crate::scope::{EnvNames, MatrixNames, ScheduleFacts, Scope};
use crate::session::{Reported, Session};
use crate::settings;
use crate::source::Source;
use crate::wiring::{Stages, Wires, Wiring};
use crate::workflow::Compiled;

/// The most cells of one workflow.
const MAX_CELLS: usize = 100_000;

/// Checks a workflow and resolves all that can be known before it runs.
///
/// Reads the files that its inputs name only as far as to see that they exist. `environment` reads
/// the process's environment variables. The error holds every mistake that was found.
pub fn compile(
    source: Source,
    overrides: &Overrides,
    catalog: &Catalog,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Compiled, Diagnostics> {
    let mut session = Session {
        source: &source,
        catalog,
        environment,
        errors: Diagnostics::errors(),
        warnings: Diagnostics::warnings(),
    };
    let compiled = run(&mut session, overrides);
    let Session {
        errors, warnings, ..
    } = session;
    match compiled {
        Ok(workflow) if errors.is_empty() => Ok(Compiled {
            workflow,
            warnings: warnings.sorted(),
        }),
        _ => Err(errors.sorted()),
    }
}

fn run(
    session: &mut Session<'_>,
    overrides: &Overrides,
) -> Result<crate::workflow::Workflow, Reported> {
    let source = session.source;
    let t0 = std::time::Instant::now();
    macro_rules! lap {
        ($n:expr) => {
            if std::env::var_os("LAP").is_some() {
                eprintln!("{} {:.2}", $n, t0.elapsed().as_secs_f64() * 1e3);
            }
        };
    }
    let Some(root) = parse::parse(source, &mut session.errors) else {
        if session.errors.is_empty() {
            session.error(
                Code::EmptyWorkflow,
                Default::default(),
                "the file holds no workflow",
                "nothing here",
                "Write at least name: and stages:.",
            );
        }
        return Err(Reported);
    };
    lap!("parse");
    let (document, unreadable) = document::read(session, &root)?;
    let name = document
        .name
        .map_or(Err(Reported), |node| workflow_name(session, node));
    let params = resolve::resolve(session, document.params, overrides);
    let schedule = document
        .on
        .map(|node| schedule::read(session, node))
        .transpose();
    let secrets = environment::secrets(session, document.secrets, "`secrets`")
        .map(|names| names.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    let store = store(session, document.store, &params);

    let Document {
        defaults, stages, ..
    } = document;
    let facts = ScheduleFacts {
        date: overrides.date,
        schedule: schedule.as_ref().ok().and_then(Option::as_ref),
        broken: schedule.is_err(),
    };
    let shared = Shared {
        params: &params,
        facts,
        defaults: &defaults,
        secrets: secrets.as_deref().ok(),
    };
    let mut schemas = Schemas::default();
    let mut published = Published::default();
    let mut drafts: Vec<StageDraft<'_, '_>> = Vec::with_capacity(stages.len());
    let mut first_cell = 0;
    for node in stages {
        let draft = shared.stage(session, node, first_cell, &mut schemas, &mut published);
        first_cell += draft.cells.len();
        if first_cell > MAX_CELLS {
            let message = format!("the stages of this workflow have more than {MAX_CELLS} cells");
            return Err(session.error(
                Code::TooManyCells,
                draft.node.name_span,
                message,
                "too many with this stage",
                "Take values from the matrices.",
            ));
        }
        drafts.push(draft);
    }
    lap!("drafts");
    let published = published.check(session);
    let wires = wire(session, &shared, &drafts, &unreadable, source)?;
    lap!("wire");
    let labels = |cell: crate::cell::CellId| cell_stage(&drafts, cell);
    let graph = dag::build(session, &wires, &labels)?;
    if published.is_err() || !session.errors.is_empty() {
        return Err(Reported);
    }
    lap!("dag");
    tracing::debug!(
        cells = graph.node_count(),
        wires = graph.edge_count(),
        "compiled {}",
        source.path().display()
    );
    let w = assemble(
        source, name?, params, store?, schedule?, secrets?, drafts, wires, graph,
    );
    lap!("assemble");
    drop(root);
    lap!("drop tree");
    Ok(w)
}

/// What all stages see of the workflow.
struct Shared<'a, 'n, 's> {
    params: &'a Params,
    facts: ScheduleFacts<'a>,
    defaults: &'a document::Settings<'n, 's>,
    /// None: their declaration is wrong.
    secrets: Option<&'a [String]>,
}

impl<'a, 'n, 's> Shared<'a, 'n, 's> {
    fn scope<'b>(&self, matrix: MatrixNames<'b>, env: EnvNames<'b>) -> Scope<'b>
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

    fn stage(
        &self,
        session: &mut Session<'_>,
        node: StageNode<'n, 's>,
        first_cell: usize,
        schemas: &mut Schemas,
        published: &mut Published,
    ) -> StageDraft<'n, 's> {
        let name = node.name.as_str();
        let mut draft_matrix = None;
        let mut plugin = None;
        if node.readable {
            plugin = node.uses.and_then(|node| find_plugin(session, node).ok());
            let scope = self.scope(MatrixNames::None, EnvNames::None).at("`matrix`");
            draft_matrix = match node.matrix {
                None => Some(Matrix::single(name)),
                Some(matrix) => expand::expand(session, name, matrix, &scope).ok(),
            };
        }
        let envs = [self.defaults.env, node.settings.env];
        let declared = environment::declared(&envs);
        let secrets =
            environment::stage_secrets(session, name, node.secrets, self.secrets, &declared)
                .unwrap_or_default();
        let inputs: Vec<&str> = match node.inputs.map(|node| &node.kind) {
            Some(Kind::Map(entries)) => entries.iter().map(|entry| entry.key.as_ref()).collect(),
            _ => Vec::new(),
        };
        let mut cells = Vec::new();
        let matrix = draft_matrix.as_ref();
        // Without a plugin or a matrix the rest can still be read for mistakes of its own, but
        // hardly without blaming the wrong place: nothing more is said.
        if let Some(matrix) = matrix {
            let fixed = !envs.iter().flatten().any(|node| node.has_expression());
            let mut env: Option<Variables> = None;
            let settings_fixed = !self
                .defaults
                .nodes()
                .chain(node.settings.nodes())
                .any(Node::has_expression);
            let mut fixed_settings: Option<Option<settings::Resolved>> = None;
            cells.reserve(matrix.cells.len());
            for cell in &matrix.cells {
                let names = MatrixNames::Cell {
                    axes: &matrix.axes,
                    values: &cell.values,
                    digits: &cell.digits,
                };
                let variables = match env.take().filter(|_| fixed) {
                    Some(variables) => variables,
                    None => {
                        environment::values(session, &envs, &self.scope(names, EnvNames::None)).0
                    }
                };
                if fixed {
                    env = Some(variables.clone());
                }
                let scope = self.scope(names, EnvNames::Declared(&variables));
                let settings = match (&fixed_settings, settings_fixed) {
                    (Some(settings), true) => settings.clone(),
                    _ => settings::read(
                        session,
                        self.defaults,
                        &node.settings,
                        plugin
                            .as_ref()
                            .and_then(|plugin| plugin.manifest.resources.as_ref()),
                        &scope,
                    )
                    .ok(),
                };
                if settings_fixed {
                    fixed_settings = Some(settings.clone());
                }
                let active = node
                    .when
                    .is_none_or(|node| when(session, name, node, &scope).unwrap_or(true));
                let arguments = plugin.as_ref().and_then(|plugin| {
                    let owner = Owner {
                        stage: name,
                        name_span: node.name_span,
                        cell: &cell.label,
                        with: node.with,
                        plugin,
                        inputs: &inputs,
                        // Where `cache` is wrong nobody knows what it should have been.
                        cache: settings.as_ref().is_some_and(|settings| settings.cache),
                    };
                    arguments::read(session, &owner, &scope, schemas).ok()
                });
                let publish = match (node.publish, &plugin) {
                    (Some(publish), Some(_)) => publish::read(
                        session,
                        &cell.label,
                        publish,
                        arguments.as_ref().map(|arguments| &arguments.outputs),
                        &scope,
                        published,
                    ),
                    _ => BTreeMap::new(),
                };
                cells.push(CellDraft {
                    arguments,
                    settings,
                    env: variables,
                    active,
                    publish,
                });
            }
        }
        StageDraft {
            node,
            plugin,
            matrix: draft_matrix,
            first_cell,
            cells,
            secrets,
        }
    }
}

fn wire(
    session: &mut Session<'_>,
    shared: &Shared<'_, '_, '_>,
    drafts: &[StageDraft<'_, '_>],
    unreadable: &[String],
    source: &Source,
) -> Result<Vec<Wires>, Reported> {
    let mut wiring = Wiring::new(
        Stages::new(drafts, unreadable),
        Files::beside(source.path()),
    );
    let mut all: Vec<Wires> = Vec::new();
    for draft in drafts {
        match wiring.stage(
            session,
            draft,
            shared.scope(MatrixNames::None, EnvNames::None),
        ) {
            Ok(wires) => all.extend(wires),
            Err(Reported) => all.extend(draft.cells.iter().map(|_| Wires::default())),
        }
    }
    Ok(all)
}

fn cell_stage(drafts: &[StageDraft<'_, '_>], cell: crate::cell::CellId) -> String {
    let at = drafts
        .partition_point(|draft| draft.first_cell <= cell.0)
        .saturating_sub(1);
    drafts
        .get(at)
        .map_or_else(String::new, |draft| draft.node.name.to_string())
}

fn workflow_name(session: &mut Session<'_>, node: &Node<'_>) -> Result<String, Reported> {
    let name = session
        .text(node, "`name`", "a short text", &Scope::closed("`name`"))?
        .unwrap_or_default();
    let right = name.len() <= 100
        && name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if right {
        return Ok(name);
    }
    let message = format!("{} is no name of a workflow", quoted(&name));
    Err(session.error(Code::InvalidName, node.span, message, "not a name", "A workflow's name has letters, digits, `.`, `_` and `-`, begins with a letter, a digit or `_` and has at most 100 characters."))
}

fn find_plugin(
    session: &mut Session<'_>,
    node: &Node<'_>,
) -> Result<std::sync::Arc<PluginEntry>, Reported> {
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
    let names: Vec<&str> = session.catalog.names().collect();
    let help = format!(
        "{} `supermoe plugins` shows all of them.",
        nearest::advice(&name, "plugin", names.iter().copied())
    );
    Err(session.error(
        Code::UnknownPlugin,
        node.span,
        format!("there is no plugin `{name}`"),
        "unknown plugin",
        help,
    ))
}

fn store(
    session: &mut Session<'_>,
    node: Option<&Node<'_>>,
    params: &Params,
) -> Result<Option<String>, Reported> {
    let Some(node) = node else { return Ok(None) };
    let scope = Scope {
        params: Some(params),
        env: EnvNames::Any,
        ..Scope::closed("`store`")
    };
    let text = session
        .text(node, "`store`", "a folder or a URL", &scope)?
        .filter(|text| !text.trim().is_empty());
    const SCHEMES: [&str; 3] = ["s3", "gs", "az"];
    if let Some((scheme, _)) = text.as_deref().and_then(|text| text.split_once("://"))
        && !SCHEMES.contains(&scheme)
    {
        let help = nearest::advice(scheme, "scheme", SCHEMES);
        return Err(session.error(
            Code::UnknownScheme,
            node.span,
            format!("`store` has the scheme `{scheme}`, which no store has"),
            "unknown scheme",
            format!("{help} A folder is written as it is."),
        ));
    }
    Ok(text)
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
