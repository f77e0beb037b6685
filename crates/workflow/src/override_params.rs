//! Values from outside laid over `params`: files and `--set`, held to the defaults' types.

use serde_json::Value;

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::nearest;
use crate::node::{Kind, Node, describe_value};
use crate::parse;
use crate::resolve::{Digits, Params, keep_digits};
use crate::source::Source;

pub(crate) fn lay_over(params: &mut Params, file: &Source, errors: &mut Diagnostics) {
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

pub(crate) fn set(params: &mut Params, name: &str, text: &str) -> Result<(), Box<Diagnostic>> {
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
            let message = format!("{option}: {owner} `{step}`");
            return Err(wrong(Code::UnknownParam, message, help));
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
                let help = format!("Write --set {walked}=…");
                return Err(wrong(Code::UnknownParam, message, help));
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
) -> Result<(), Box<Diagnostic>> {
    if old.is_string() {
        *old = Value::String(text.to_owned());
        return Ok(());
    }
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
            let help = "Quote the value if it is meant as text.";
            return Err(wrong(Code::InvalidSet, format!("{option}: {first}"), help));
        }
    };
    let value = node.to_json().map_err(|number| {
        let found = number.describe();
        let message = format!("{option}: {found} is not finite or has more than 64 bits");
        let help = "Give a finite number that fits into 64 bits.";
        wrong(Code::InvalidNumber, message, help)
    })?;
    if !fits(old, &value) {
        let (expected, found) = (type_name(old), node.describe());
        let message = format!("{option}: the param has to be {expected}, found {found}");
        return Err(wrong(Code::ParamType, message, type_advice(old)));
    }
    replace(name, old, value, &node, digits);
    Ok(())
}

/// A mistake on the command line.
fn wrong(code: Code, message: String, help: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::without_source(code, message).help(help))
}

fn type_advice(default: &Value) -> String {
    format!(
        "Its default is {}: give a value of the same type.",
        describe_value(default)
    )
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
