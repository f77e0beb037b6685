//! The axes of a matrix and the entries of `include` and `exclude`, read from the file.

use indexmap::IndexMap;
use serde_json::Value;

use crate::arguments;
use crate::axis_text::{join_text, label_text};
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::name;
use crate::node::{Entry, Kind, Node, describe_value, has_expression, quoted};
use crate::resolve::{Digits, keep_digits, not_finite};
use crate::scope::Scope;
use crate::session::{Reported, Session};
use crate::source::Span;

/// A value on an axis.
#[derive(Clone)]
pub(crate) struct AxisValue {
    pub value: Value,
    pub digits: Digits,
    pub span: Span,
}

pub(crate) type Combination = IndexMap<String, AxisValue>;

/// An entry of `include` or `exclude`: its values, the places of its keys, and its own.
pub(crate) type Row = (Combination, Vec<Span>, Span);

pub(crate) fn axis(
    session: &mut Session<'_>,
    entry: &Entry<'_>,
    scope: &Scope<'_>,
) -> Result<Vec<AxisValue>, Reported> {
    let key = entry.key.as_ref();
    if !name::is_name(key) {
        return Err(session.error(
            Code::InvalidName,
            entry.key_span,
            format!("{} is no name of an axis", quoted(key)),
            "not a name",
            name::RULES,
        ));
    }
    let what = format!("the axis `{key}`");
    let values: Vec<AxisValue> = match &entry.value.kind {
        Kind::List(items) => {
            let mut values = Vec::with_capacity(items.len());
            let mut wrong = false;
            for item in items {
                match axis_value(session, &what, item, scope) {
                    Ok(value) => values.push(value),
                    Err(Reported) => wrong = true,
                }
            }
            if wrong {
                return Err(Reported);
            }
            values
        }
        Kind::Text(text) if has_expression(text) => match session
            .resolve(entry.value.span, text, scope)?
            .value
        {
            Value::Array(items) => items
                .into_iter()
                .map(|value| AxisValue {
                    value,
                    digits: Digits::new(),
                    span: entry.value.span,
                })
                .collect(),
            other => {
                return Err(session.wrong_value(&entry.value, &what, "a list of values", &other));
            }
        },
        _ => return Err(session.wrong_kind(&entry.value, &what, "a list of values")),
    };
    if values.is_empty() {
        return Err(session.error(
            Code::EmptyAxis,
            entry.value.span,
            format!("{what} has no values"),
            "an empty list",
            "Give at least one value, or leave the axis out.",
        ));
    }
    let mut seen: IndexMap<String, Span> = IndexMap::with_capacity(values.len());
    for value in &values {
        if matches!(value.value, Value::Null | Value::Array(_)) {
            let found = describe_value(&value.value);
            return Err(session.error(Code::WrongKind, value.span, format!("a value of {what} has to be a text, a number, true, false or a map, found {found}"), "not an axis value", "Write a plain value or a map."));
        }
        if let Some(first) = seen.insert(join_text(&value.value), value.span) {
            let text = label_text(&value.value, None);
            let diagnostic = Diagnostic::new(Code::DuplicateAxisValue, session.source, value.span, format!("the value {text} stands twice on {what}"), "second")
                .label(first, "first")
                .help("Remove one. Numbers such as 1.10 and 1.1 are one value: quote them if they are meant as text.");
            return Err(session.report(diagnostic));
        }
    }
    Ok(values)
}

/// One value: a scalar or a map, with expressions resolved.
pub(crate) fn axis_value(
    session: &mut Session<'_>,
    what: &str,
    node: &Node<'_>,
    scope: &Scope<'_>,
) -> Result<AxisValue, Reported> {
    let mut digits = Digits::new();
    let value = match &node.kind {
        Kind::Text(text) if has_expression(text) => {
            let resolved = session.resolve(node.span, text, scope)?;
            digits.extend(resolved.digits.map(|written| (String::new(), written)));
            resolved.value
        }
        Kind::Map(_) if node.has_expression() => arguments::plain_value(session, node, scope)?,
        Kind::List(_) | Kind::Null => {
            return Err(session.wrong_kind(
                node,
                &format!("a value of {what}"),
                "a text, a number, true, false or a map",
            ));
        }
        _ => {
            keep_digits("", node, &mut digits);
            match node.to_json() {
                Ok(value) => value,
                Err(number) => {
                    not_finite(session, number);
                    return Err(Reported);
                }
            }
        }
    };
    Ok(AxisValue {
        value,
        digits,
        span: node.span,
    })
}

/// The entries of `include` or `exclude`: maps of axes to values.
pub(crate) fn rows(
    session: &mut Session<'_>,
    node: Option<&Node<'_>>,
    key: &str,
    scope: &Scope<'_>,
) -> Result<Vec<Row>, Reported> {
    let Some(node) = node else {
        return Ok(Vec::new());
    };
    let what = format!("`matrix.{key}`");
    let Kind::List(items) = &node.kind else {
        return Err(session.wrong_kind(node, &what, "a list of maps from axis to value"));
    };
    let mut rows = Vec::with_capacity(items.len());
    let mut wrong = false;
    for item in items {
        let entries = match &item.kind {
            Kind::Map(entries) if !entries.is_empty() => entries,
            _ => {
                session.wrong_kind(
                    item,
                    &format!("an entry of {what}"),
                    "a map from axis to value",
                );
                wrong = true;
                continue;
            }
        };
        let mut row = Combination::new();
        for entry in entries {
            if !name::is_name(&entry.key)
                || matches!(entry.key.as_ref(), "include" | "exclude" | "max_parallel")
            {
                session.error(
                    Code::InvalidName,
                    entry.key_span,
                    format!("{} is no name of an axis", quoted(&entry.key)),
                    "not a name",
                    name::RULES,
                );
                wrong = true;
                continue;
            }
            match axis_value(
                session,
                &format!("the axis `{}`", entry.key),
                &entry.value,
                scope,
            ) {
                Ok(value) => drop(row.insert(entry.key.clone().into_owned(), value)),
                Err(Reported) => wrong = true,
            }
        }
        rows.push((
            row,
            entries.iter().map(|entry| entry.key_span).collect(),
            item.span,
        ));
    }
    if wrong { Err(Reported) } else { Ok(rows) }
}
