//! `env` and `secrets`: which environment variables a stage's program gets.

use std::collections::BTreeMap;

use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::name;
use crate::nearest;
use crate::node::{Kind, Node, quoted};
use crate::scope::{EnvNames, Scope};
use crate::session::{Reported, Session};
use crate::source::Span;

/// Declared variables; none where the process does not have one that is passed on.
pub(crate) type Variables = BTreeMap<String, Option<String>>;

const RULES: &str = "A variable's name has letters, digits and `_`, begins with a letter or `_`, and not with SUPERMOE_, which is kept for the runner.";

fn is_free_name(text: &str) -> bool {
    name::is_variable_name(text) && !text.starts_with("SUPERMOE_")
}

/// The names that `env` of the defaults and of a stage declare.
pub(crate) fn declared(nodes: &[Option<&Node<'_>>]) -> Vec<String> {
    let mut names = Vec::new();
    for node in nodes.iter().flatten() {
        match &node.kind {
            Kind::Map(entries) => {
                names.extend(entries.iter().map(|entry| entry.key.clone().into_owned()))
            }
            Kind::List(items) => names.extend(
                items
                    .iter()
                    .filter_map(|item| item.scalar_text().map(str::to_owned)),
            ),
            _ => {}
        }
    }
    names
}

/// The values of the variables that `env` declares: those of the stage over those of the
/// defaults. A mistake in one leaves it without a value and does not hide the others.
pub(crate) fn values(
    session: &mut Session<'_>,
    nodes: &[Option<&Node<'_>>],
    scope: &Scope<'_>,
) -> (Variables, Result<(), Reported>) {
    let names = declared(nodes);
    let scope = Scope {
        env: EnvNames::Process(&names),
        ..scope.at("`env`")
    };
    let mut values = Variables::new();
    let mut result = Ok(());
    for node in nodes.iter().flatten() {
        match &node.kind {
            Kind::Map(entries) => {
                for entry in entries {
                    let key = entry.key.as_ref();
                    let value = if is_free_name(key) {
                        value(session, key, &entry.value, &scope)
                    } else {
                        Err(invalid_name(session, key, entry.key_span))
                    };
                    if value.is_err() {
                        result = Err(Reported);
                    }
                    values.insert(key.to_owned(), value.unwrap_or(None));
                }
            }
            Kind::List(items) => {
                for item in items {
                    match item.scalar_text() {
                        Some(text) if is_free_name(text) => {
                            values.insert(text.to_owned(), (session.environment)(text));
                        }
                        Some(text) => result = Err(invalid_name(session, text, item.span)),
                        None => {
                            result = Err(session.wrong_kind(
                                item,
                                "an item of `env`",
                                "a variable's name",
                            ))
                        }
                    }
                }
            }
            Kind::Null => {}
            _ => {
                result = Err(session.wrong_kind(
                    node,
                    "`env`",
                    "a map of variables to values, or a list of variables to pass on",
                ))
            }
        }
    }
    (values, result)
}

fn value(
    session: &mut Session<'_>,
    key: &str,
    node: &Node<'_>,
    scope: &Scope<'_>,
) -> Result<Option<String>, Reported> {
    if node.kind == Kind::Null {
        return Ok((session.environment)(key));
    }
    let what = format!("the variable `{key}`");
    let value = session.text(node, &what, "a text, a number, true or false", scope)?;
    if value.as_ref().is_some_and(|value| value.contains('\0')) {
        let message = format!("{what} holds a zero byte, which no environment variable can");
        return Err(session.error(
            Code::InvalidVariable,
            node.span,
            message,
            "holds \\0",
            "Take the zero byte out.",
        ));
    }
    Ok(value)
}

fn invalid_name(session: &mut Session<'_>, text: &str, span: Span) -> Reported {
    session.error(
        Code::InvalidVariable,
        span,
        format!(
            "{} is no name of an environment variable that a stage may declare",
            quoted(text)
        ),
        "not such a name",
        RULES,
    )
}

/// Reads a list of names of secrets.
pub(crate) fn secrets(
    session: &mut Session<'_>,
    node: Option<&Node<'_>>,
    what: &str,
) -> Result<Vec<(String, Span)>, Reported> {
    let Some(node) = node else {
        return Ok(Vec::new());
    };
    let items = match &node.kind {
        Kind::List(items) => items,
        Kind::Null => return Ok(Vec::new()),
        _ => return Err(session.wrong_kind(node, what, "a list of variables' names")),
    };
    let mut names: Vec<(String, Span)> = Vec::with_capacity(items.len());
    let mut wrong = false;
    for item in items {
        let Kind::Text(text) = &item.kind else {
            session.wrong_kind(item, &format!("an item of {what}"), "a variable's name");
            wrong = true;
            continue;
        };
        if !is_free_name(text) {
            invalid_name(session, text, item.span);
            wrong = true;
        } else if let Some((_, first)) = names.iter().find(|(name, _)| name == text) {
            let diagnostic = Diagnostic::new(
                Code::DuplicateItem,
                session.source,
                item.span,
                format!("`{text}` stands twice in {what}"),
                "second",
            )
            .label(*first, "first")
            .help("Remove one of the two.");
            session.report(diagnostic);
            wrong = true;
        } else {
            names.push((text.clone().into_owned(), item.span));
        }
    }
    if wrong { Err(Reported) } else { Ok(names) }
}

/// The secrets of one stage: each declared at the top, and none of them a variable of `env`.
/// `known` is none where the declarations themselves are wrong.
pub(crate) fn stage_secrets(
    session: &mut Session<'_>,
    stage: &str,
    node: Option<&Node<'_>>,
    known: Option<&[String]>,
    env: &[String],
) -> Result<Vec<String>, Reported> {
    if node.is_none() {
        return Ok(Vec::new());
    }
    let names = secrets(session, node, &format!("`secrets` of `{stage}`"))?;
    let mut wrong = false;
    for (name, span) in &names {
        if let Some(known) = known
            && !known.contains(name)
        {
            let near = nearest::nearest(name, known.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("Did you mean `{near}`? "));
            session.error(
                Code::UnknownSecret,
                *span,
                format!("the workflow does not declare the secret `{name}`"),
                "unknown secret",
                format!("{near}Declare it at the top of the file: secrets: [{name}]."),
            );
            wrong = true;
        }
        if env.contains(name) {
            session.error(
                Code::SecretIsEnv,
                *span,
                format!("`{name}` stands under both `secrets` and `env` of `{stage}`"),
                "also under `env`",
                "Take it out of `env`: variables there are part of the stage's key and are shown.",
            );
            wrong = true;
        }
    }
    if wrong {
        Err(Reported)
    } else {
        Ok(names.into_iter().map(|(name, _)| name).collect())
    }
}
