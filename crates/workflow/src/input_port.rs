//! Input ports of a stage: which of them its `inputs` fill, and with what texts.

use serde_json::Value;
use supermoe_plugin::manifest::{InputPort, Manifest, WILDCARD_PORT};
use supermoe_plugin::ports::PortType;

use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::name;
use crate::nearest;
use crate::node::{Entry, Kind, Node, describe_value, has_expression, quoted};
use crate::session::{Reported, Session};
use crate::source::Span;
use crate::wiring::{Here, Place};

/// The port that an entry of `inputs` fills.
pub(crate) fn port<'m>(
    session: &mut Session<'_>,
    here: &Here<'_, '_, '_>,
    manifest: &'m Manifest,
    entry: &Entry<'_>,
) -> Result<&'m InputPort, Reported> {
    let key = entry.key.as_ref();
    if let Some(spec) = manifest.inputs.get(key).filter(|_| key != WILDCARD_PORT) {
        return Ok(spec);
    }
    if let Some(spec) = manifest.inputs.get(WILDCARD_PORT) {
        if name::is_name(key) {
            return Ok(spec);
        }
        return Err(session.error(
            Code::InvalidName,
            entry.key_span,
            format!("{} is no name of an input", quoted(key)),
            "not a name",
            name::RULES,
        ));
    }
    let message = format!(
        "`{}` has no input `{key}` (stage `{}`)",
        manifest.name, here.draft.node.name
    );
    let help = nearest::advice(key, "input", manifest.inputs.keys().map(String::as_str));
    Err(session.error(
        Code::UnknownPort,
        entry.key_span,
        message,
        "unknown input",
        help,
    ))
}

/// Reports required inputs that the stage does not name. A misspelt one is reported already.
pub(crate) fn missing(
    session: &mut Session<'_>,
    here: &Here<'_, '_, '_>,
    manifest: &Manifest,
    entries: &[Entry<'_>],
) {
    for (port, spec) in &manifest.inputs {
        if !spec.required || port == WILDCARD_PORT || entries.iter().any(|entry| entry.key == *port)
        {
            continue;
        }
        let unknown = entries
            .iter()
            .filter(|entry| !manifest.inputs.contains_key(entry.key.as_ref()));
        if unknown.into_iter().any(|entry| {
            nearest::nearest(&entry.key, manifest.inputs.keys().map(String::as_str)) == Some(port)
        }) {
            continue;
        }
        let message = format!(
            "the stage `{}` lacks the input `{port}`, {} that `{}` needs",
            here.draft.node.name,
            article(spec.port_type),
            manifest.name
        );
        let diagnostic = Diagnostic::new(
            Code::MissingInput,
            session.source,
            here.draft.node.name_span,
            message,
            format!("`{port}` is missing"),
        )
        .about(port)
        .help(format!("Add it under inputs: {{ {port}: stage.port }}."));
        session.report(diagnostic);
    }
}

/// The texts of one input, with their places; nothing for what an expression leaves out.
pub(crate) fn texts(
    session: &mut Session<'_>,
    here: &Here<'_, '_, '_>,
    place: &Place<'_>,
    entry: &Entry<'_>,
) -> Result<Vec<(String, Span)>, Reported> {
    let what = || format!("the input `{}` of `{}`", entry.key, here.draft.node.name);
    const EXPECTED: &str =
        "stage.port, a path that begins with ./, a URL, ref:name, or a list of these";
    let nodes: &[Node<'_>] = match &entry.value.kind {
        Kind::List(items) => items,
        Kind::Text(_) => std::slice::from_ref(&entry.value),
        _ => {
            let found = entry.value.describe();
            return Err(session.error(
                Code::WrongKind,
                span_of(entry),
                format!("{} has to be {EXPECTED}, found {found}", what()),
                "not an input",
                "Write for example prepare.dataset or ./data/file.csv.",
            ));
        }
    };
    let mut texts = Vec::with_capacity(nodes.len());
    let mut wrong = false;
    for node in nodes {
        let Kind::Text(text) = &node.kind else {
            session.wrong_kind(
                node,
                &format!("an item of {}", what()),
                "stage.port, a path that begins with ./, a URL or ref:name",
            );
            wrong = true;
            continue;
        };
        if !has_expression(text) {
            texts.push((text.clone().into_owned(), node.span));
            continue;
        }
        match session
            .resolve(node.span, text, &place.scope)
            .map(|resolved| resolved.value)
        {
            Ok(Value::String(text)) => texts.push((text, node.span)),
            Ok(Value::Null) => {}
            Ok(Value::Array(items)) if items.iter().all(Value::is_string) => texts.extend(
                items
                    .iter()
                    .filter_map(|item| Some((item.as_str()?.to_owned(), node.span))),
            ),
            Ok(other) => {
                session.error(
                    Code::WrongKind,
                    node.span,
                    format!(
                        "{} has to be {EXPECTED}, the expression gives {}",
                        what(),
                        describe_value(&other)
                    ),
                    "not an input",
                    "Let the expression give a text or a list of texts.",
                );
                wrong = true;
            }
            Err(Reported) => wrong = true,
        }
    }
    if wrong { Err(Reported) } else { Ok(texts) }
}

/// `a dataset`, `an encoder`.
pub(crate) fn article(port_type: PortType) -> String {
    let name = port_type.name();
    match port_type {
        PortType::Any => "anything".to_owned(),
        PortType::Embeddings | PortType::Predictions => name.to_owned(),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

pub(crate) fn span_of(entry: &Entry<'_>) -> Span {
    if entry.value.span.is_empty() {
        entry.key_span
    } else {
        entry.value.span
    }
}
