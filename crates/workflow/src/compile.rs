//! The way from text to workflow, step by step.

use supermoe_plugin::catalog::Catalog;

use crate::assemble::assemble;
use crate::cell::CellId;
use crate::codes::Code;
use crate::dag;
use crate::diagnostics::Diagnostics;
use crate::document::{self, Document};
use crate::draft::StageDraft;
use crate::draft_stage::{Gathered, Shared};
use crate::drafting::draft_all;
use crate::environment;
use crate::external::Files;
use crate::nearest;
use crate::node::{Node, quoted};
use crate::overrides::Overrides;
use crate::parse;
use crate::resolve::{self, Params};
use crate::schedule;
use crate::scope::{EnvNames, MatrixNames, ScheduleFacts, Scope};
use crate::session::{Reported, Session};
use crate::source::Source;
use crate::wiring::{Stages, Wires, Wiring};
use crate::workflow::{Compiled, Workflow};

/// Checks a workflow and resolves all that can be known before it runs.
///
/// Reads the files that its inputs name only as far as to see that they exist. `environment` reads
/// the process's environment variables. The error holds every mistake that was found.
pub fn compile(
    source: Source,
    overrides: &Overrides,
    catalog: &Catalog,
    environment: &(dyn Fn(&str) -> Option<String> + Sync),
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

fn run(session: &mut Session<'_>, overrides: &Overrides) -> Result<Workflow, Reported> {
    let source = session.source;
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
    let mut gathered = Gathered::default();
    let drafts = draft_all(session, &shared, stages, &mut gathered)?;
    let published = gathered.published.check(session);
    let wires = wire(session, &shared, &drafts, &unreadable, source)?;
    let labels = |cell: CellId| cell_stage(&drafts, cell);
    let graph = dag::build(session, &wires, &labels)?;
    if published.is_err() || !session.errors.is_empty() {
        return Err(Reported);
    }
    tracing::debug!(
        cells = graph.node_count(),
        wires = graph.edge_count(),
        "compiled {}",
        source.path().display()
    );
    Ok(assemble(
        source, name?, params, store?, schedule?, secrets?, drafts, wires, graph,
    ))
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
            Err(Reported) if wiring.is_full() || session.has_enough() => return Err(Reported),
            Err(Reported) => all.extend(draft.cells.iter().map(|_| Wires::default())),
        }
    }
    Ok(all)
}

fn cell_stage(drafts: &[StageDraft<'_, '_>], cell: CellId) -> String {
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
