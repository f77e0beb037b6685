//! `params`: typed by their defaults, overridden by files and by `--set`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::codes::Code;
use crate::name;
use crate::node::{Entry, Kind, Node, quoted};
use crate::override_params::{lay_over, set};
use crate::overrides::Overrides;
use crate::session::{Reported, Session};

/// How numbers were written, by dotted name, where JSON would write them otherwise.
pub(crate) type Digits = HashMap<String, String>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    pub values: Map<String, Value>,
    pub digits: Digits,
    /// Whether nobody can say which params there are: unknown ones are then not blamed.
    pub broken: bool,
}

/// Remembers how the numbers in `node` are written.
pub(crate) fn keep_digits(name: &str, node: &Node<'_>, digits: &mut Digits) {
    match &node.kind {
        Kind::Number(number) => {
            if let Some(value) = &number.value
                && value.to_string() != number.text
            {
                digits.insert(name.to_owned(), number.text.clone().into_owned());
            }
        }
        Kind::List(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| keep_digits(&format!("{name}.{at}"), item, digits)),
        Kind::Map(entries) => entries
            .iter()
            .for_each(|entry| keep_digits(&format!("{name}.{}", entry.key), &entry.value, digits)),
        _ => {}
    }
}

/// The workflow's params after all overrides.
pub(crate) fn resolve(
    session: &mut Session<'_>,
    node: Option<&Node<'_>>,
    overrides: &Overrides,
) -> Params {
    let mut params = Params::default();
    if let Some(node) = node {
        match &node.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    // One that is wrong is still there: it has no value.
                    let value = declare(session, entry, &mut params.digits).unwrap_or(Value::Null);
                    params.values.insert(entry.key.clone().into_owned(), value);
                }
            }
            Kind::Null => {}
            _ => {
                session.wrong_kind(node, "`params`", "a map of names to default values");
                params.broken = true;
            }
        }
    }
    for file in &overrides.params_files {
        lay_over(&mut params, file, &mut session.errors);
    }
    for (name, text) in &overrides.sets {
        if let Err(diagnostic) = set(&mut params, name, text)
            && !(params.broken && diagnostic.code == Code::UnknownParam)
        {
            session.report(*diagnostic);
        }
    }
    params
}

fn declare(
    session: &mut Session<'_>,
    entry: &Entry<'_>,
    digits: &mut Digits,
) -> Result<Value, Reported> {
    let key = entry.key.as_ref();
    if !name::is_name(key) {
        let message = format!("{} is no name of a param", quoted(key));
        return Err(session.error(
            Code::InvalidName,
            entry.key_span,
            message,
            "not a name",
            name::RULES,
        ));
    }
    if entry.value.has_expression() {
        let message = format!("the param `{key}` has an expression as its default");
        return Err(session.error(
            Code::ExpressionNotAllowed,
            entry.value.span,
            message,
            "not known here",
            "Params are plain values: write the value, or put the expression where the param is used.",
        ));
    }
    let value = entry.value.to_json().map_err(|number| {
        not_finite(session, number);
        Reported
    })?;
    keep_digits(key, &entry.value, digits);
    Ok(value)
}

/// Reports a number that JSON does not have.
pub(crate) fn not_finite(session: &mut Session<'_>, number: &Node<'_>) {
    let message = format!(
        "{} is not finite or has more than 64 bits",
        number.describe()
    );
    session.error(
        Code::InvalidNumber,
        number.span,
        message,
        "no number for a program",
        "Quote it if it is meant as text.",
    );
}
