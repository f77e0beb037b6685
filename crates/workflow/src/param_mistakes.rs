//! What a plugin's schema refuses in `with`, shown at its place in the file.

use supermoe_plugin::params::{ParamError, ParamErrorKind};

use crate::arguments::{Owner, escaped};
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::node::Kind;
use crate::session::Session;
use crate::source::Span;

/// Reports what the schema refuses, except for what is reported already.
pub(crate) fn report_all(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    errors: Vec<ParamError>,
    failed: &mut Vec<String>,
) {
    let mut reported = Vec::new();
    for error in errors {
        let known = match &error.kind {
            ParamErrorKind::Missing { name } => {
                failed.contains(&format!("{}/{}", error.pointer, escaped(name)))
            }
            ParamErrorKind::Unknown { .. } => false,
            ParamErrorKind::Wrong => failed.iter().any(|failed| {
                failed == &error.pointer || failed.starts_with(&format!("{}/", error.pointer))
            }),
        };
        if !known {
            report(session, owner, &error);
            reported.push(error.pointer);
        }
    }
    failed.extend(reported);
}

pub(crate) fn report(session: &mut Session<'_>, owner: &Owner<'_, '_, '_>, error: &ParamError) {
    let (span, key_span) = place(owner, &error.pointer);
    let field = error.field();
    let with = if field.is_empty() {
        "`with`".to_owned()
    } else {
        format!("`with.{field}`")
    };
    let plugin = owner.plugin.name();
    let (code, span, message, label) = match &error.kind {
        ParamErrorKind::Unknown { name } => (
            Code::UnknownPluginParam,
            key_span,
            format!(
                "{with} of the stage `{}`: `{plugin}` has no such param",
                owner.stage
            ),
            format!("`{name}` is unknown"),
        ),
        ParamErrorKind::Missing { .. } => (
            Code::MissingPluginParam,
            key_span,
            format!("{with} of the stage `{}`: {}", owner.stage, error.message),
            "missing here".to_owned(),
        ),
        ParamErrorKind::Wrong => (
            Code::PluginParam,
            span,
            format!("{with} of the stage `{}`: {}", owner.cell, error.message),
            "not what is expected".to_owned(),
        ),
    };
    let help = match (&error.kind, &error.nearest) {
        (_, Some(near)) => format!("Did you mean `{near}`?"),
        (ParamErrorKind::Unknown { .. }, None) => {
            match error.message.split_once("expected one of ") {
                Some((_, names)) => format!("Known here: {names}."),
                None => "The plugin takes no param here.".to_owned(),
            }
        }
        (ParamErrorKind::Missing { name }, None) => {
            format!("Add `{name}:` here. `supermoe plugins {plugin}` shows all params.")
        }
        (ParamErrorKind::Wrong, None) => {
            format!("`supermoe plugins {plugin}` shows all params with their types and ranges.")
        }
    };
    let diagnostic = Diagnostic::new(code, session.source, span, message, label).help(help);
    session.report(match &error.kind {
        ParamErrorKind::Missing { name } => diagnostic.about(name),
        _ => diagnostic,
    });
}

/// The places of a value in `with`, and of its key, by JSON pointer: the nearest ones that are
/// written in the file.
pub(crate) fn place(owner: &Owner<'_, '_, '_>, pointer: &str) -> (Span, Span) {
    let Some(with) = owner.with else {
        return (owner.name_span, owner.name_span);
    };
    let mut node = with;
    let mut key_span = owner.name_span;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match &node.kind {
            Kind::Map(entries) => match entries.iter().find(|entry| entry.key == step) {
                Some(entry) => {
                    key_span = entry.key_span;
                    node = &entry.value;
                }
                None => break,
            },
            Kind::List(items) => match step.parse::<usize>().ok().and_then(|at| items.get(at)) {
                Some(item) => {
                    key_span = item.span;
                    node = item;
                }
                None => break,
            },
            _ => break,
        }
    }
    let whole = std::ptr::eq(node, with);
    let span = if whole || node.span.is_empty() {
        key_span
    } else {
        node.span
    };
    (span, key_span)
}
