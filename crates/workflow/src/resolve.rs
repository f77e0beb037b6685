//! `params`: typed by their defaults, overridden by files and by `--set`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::name;
use crate::nearest;
use crate::node::{Entry, Kind, Node, describe_value, quoted};
use crate::overrides::Overrides;
use crate::parse;
use crate::session::{Reported, Session};
use crate::source::Source;

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
        Kind::Number {
            text,
            value: Some(value),
        } if value.to_string() != *text => {
            digits.insert(name.to_owned(), text.clone().into_owned());
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
            session.report(diagnostic);
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

fn lay_over(params: &mut Params, file: &Source, errors: &mut Diagnostics) {
    let Some(node) = parse::parse(file, errors) else {
        return;
    };
    let report = |diagnostic: Diagnostic, errors: &mut Diagnostics| errors.push(diagnostic);
    let entries = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Null => return,
        _ => {
            let message = format!(
                "a params file has to be a map of names to values, found {}",
                node.describe()
            );
            return report(
                Diagnostic::new(Code::WrongKind, file, node.span, message, "expected a map")
                    .help("Write `name: value` lines."),
                errors,
            );
        }
    };
    for entry in entries {
        let key = entry.key.as_ref();
        match params.values.get_mut(key) {
            Some(old) => merge(key, old, &entry.value, file, &mut params.digits, errors),
            None if !params.broken => {
                let help = nearest::advice(key, "param", params.values.keys().map(String::as_str));
                let message = format!("the workflow has no param `{key}`");
                report(
                    Diagnostic::new(
                        Code::UnknownParam,
                        file,
                        entry.key_span,
                        message,
                        "unknown param",
                    )
                    .help(help),
                    errors,
                );
            }
            None => {}
        }
    }
}

fn merge(
    name: &str,
    old: &mut Value,
    new: &Node<'_>,
    file: &Source,
    digits: &mut Digits,
    errors: &mut Diagnostics,
) {
    if let (Value::Object(map), Kind::Map(entries)) = (&mut *old, &new.kind)
        && !map.is_empty()
    {
        for entry in entries {
            let inner = format!("{name}.{}", entry.key);
            match map.get_mut(entry.key.as_ref()) {
                Some(old) => merge(&inner, old, &entry.value, file, digits, errors),
                None => {
                    let help =
                        nearest::advice(&entry.key, "name in it", map.keys().map(String::as_str));
                    let message = format!("the param `{name}` has no `{}`", entry.key);
                    errors.push(
                        Diagnostic::new(
                            Code::UnknownParam,
                            file,
                            entry.key_span,
                            message,
                            "unknown",
                        )
                        .help(help),
                    );
                }
            }
        }
        return;
    }
    let value = match new.to_json() {
        Ok(value) => value,
        Err(number) => {
            let message = format!(
                "{} is not finite or has more than 64 bits",
                number.describe()
            );
            return errors.push(
                Diagnostic::new(
                    Code::InvalidNumber,
                    file,
                    number.span,
                    message,
                    "no number for a program",
                )
                .help("Quote it if it is meant as text."),
            );
        }
    };
    if new.has_expression() {
        let message = format!("the param `{name}` is given an expression");
        return errors.push(
            Diagnostic::new(
                Code::ExpressionNotAllowed,
                file,
                new.span,
                message,
                "not known here",
            )
            .help("Write the value itself."),
        );
    }
    if !fits(old, &value) {
        let message = format!(
            "the param `{name}` has to be {}, found {}",
            type_name(old),
            new.describe()
        );
        let help = format!(
            "Its default is {}: give a value of the same type.",
            describe_value(old)
        );
        return errors.push(
            Diagnostic::new(
                Code::ParamType,
                file,
                new.span,
                message,
                format!("expected {}", type_name(old)),
            )
            .help(help),
        );
    }
    replace(name, old, value, new, digits);
}

fn replace(name: &str, old: &mut Value, value: Value, node: &Node<'_>, digits: &mut Digits) {
    let inner = format!("{name}.");
    digits.retain(|key, _| key != name && !key.starts_with(&inner));
    keep_digits(name, node, digits);
    *old = value;
}

fn set(params: &mut Params, name: &str, text: &str) -> Result<(), Diagnostic> {
    let option = format!("--set {name}={text}");
    let Params { values, digits, .. } = params;
    let mut walked = String::new();
    let mut steps = name.split('.').peekable();
    let mut map = values;
    loop {
        let step = steps.next().unwrap_or_default();
        // A param whose default is an empty map takes any names.
        let free = map.is_empty() && !walked.is_empty();
        if !map.contains_key(step) && !free {
            let help = nearest::advice(
                step,
                if walked.is_empty() {
                    "param"
                } else {
                    "name in it"
                },
                map.keys().map(String::as_str),
            );
            let owner = if walked.is_empty() {
                "the workflow has no param".to_owned()
            } else {
                format!("the param `{walked}` has no")
            };
            return Err(Diagnostic::without_source(
                Code::UnknownParam,
                format!("{option}: {owner} `{step}`"),
            )
            .help(help));
        }
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(step);
        let old = map.entry(step).or_insert(Value::Null);
        if steps.peek().is_none() {
            return set_value(&option, name, old, text, digits);
        }
        match old {
            Value::Object(inner) => map = inner,
            other => {
                let message = format!(
                    "{option}: the param `{walked}` is {} and has no names in it",
                    describe_value(other)
                );
                return Err(Diagnostic::without_source(Code::UnknownParam, message)
                    .help(format!("Write --set {walked}=…")));
            }
        }
    }
}

fn set_value(
    option: &str,
    name: &str,
    old: &mut Value,
    text: &str,
    digits: &mut Digits,
) -> Result<(), Diagnostic> {
    if old.is_string() {
        *old = Value::String(text.to_owned());
        return Ok(());
    }
    let wrong =
        |code, message: String| Diagnostic::without_source(code, format!("{option}: {message}"));
    let source = Source::new(option, text);
    let mut errors = Diagnostics::errors();
    let node = parse::parse(&source, &mut errors);
    let node = match node {
        Some(node) if errors.is_empty() => node,
        None if errors.is_empty() => Node {
            span: Default::default(),
            kind: Kind::Null,
        },
        _ => {
            let first = errors
                .iter()
                .next()
                .map(|error| error.message.clone())
                .unwrap_or_default();
            return Err(
                wrong(Code::InvalidSet, first).help("Quote the value if it is meant as text.")
            );
        }
    };
    let value = node.to_json().map_err(|number| {
        wrong(
            Code::InvalidNumber,
            format!(
                "{} is not finite or has more than 64 bits",
                number.describe()
            ),
        )
        .help("Give a smaller number.")
    })?;
    if !fits(old, &value) {
        let help = format!(
            "Its default is {}: give a value of the same type.",
            describe_value(old)
        );
        return Err(wrong(
            Code::ParamType,
            format!(
                "the param has to be {}, found {}",
                type_name(old),
                node.describe()
            ),
        )
        .help(help));
    }
    replace(name, old, value, &node, digits);
    Ok(())
}

/// Whether a value may replace a default. Nothing as a default takes all.
fn fits(default: &Value, value: &Value) -> bool {
    match default {
        Value::Null => true,
        Value::Bool(_) => value.is_boolean(),
        Value::Number(number) if number.is_f64() => value.is_number(),
        Value::Number(_) => value.is_i64() || value.is_u64(),
        Value::String(_) => value.is_string(),
        Value::Array(_) => value.is_array(),
        Value::Object(_) => value.is_object(),
    }
}

fn type_name(default: &Value) -> &'static str {
    match default {
        Value::Null => "anything",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
