//! Shell commands: an expression becomes a reference to an environment variable that holds its
//! value, so that nothing in a value is ever read as shell.

use indexmap::IndexMap;
use serde_json::Value;

use crate::cell::{CommandValue, RunName};
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::expression::{Expression, Mistake, Part, Path};
use crate::nearest;
use crate::scope::Scope;
use crate::session::{MAX_IN_ONE_TEXT, Reported, Session, locate};
use crate::shell_quotes::in_single_quotes;
use crate::source::Span;

/// The ports that a command may name.
pub(crate) struct Ports<'a> {
    pub inputs: &'a [&'a str],
    pub outputs: &'a [&'a str],
    /// Whether `inputs` or `outputs` hold a mistake, so that nobody knows their names.
    pub unknown: bool,
}

/// The command with `${VARIABLE}` for every expression, and what the variables hold.
pub(crate) fn rewrite(
    session: &mut Session<'_>,
    span: Span,
    text: &str,
    scope: &Scope<'_>,
    ports: &Ports<'_>,
    cache: bool,
) -> Result<(String, IndexMap<String, CommandValue>), Reported> {
    let template = session.template(span, text)?;
    let mut values = IndexMap::new();
    let mut command = String::with_capacity(text.len() + 16);
    let before = session.errors.pushed();
    let mut failed = false;
    for part in &template.parts {
        if session.errors.pushed() >= before + MAX_IN_ONE_TEXT {
            break;
        }
        match part {
            Part::Text(text) => command.push_str(text),
            Part::Expression {
                start,
                end,
                expression,
            } => {
                let written = text[start + 3..end - 2].trim();
                match value(
                    session, span, text, written, expression, scope, ports, cache,
                ) {
                    Ok(value) => {
                        command.push_str("${");
                        command.push_str(&variable(&mut values, value));
                        command.push('}');
                    }
                    Err(Reported) => failed = true,
                }
            }
        }
    }
    warn_of_single_quotes(session, span, text, &template.parts);
    if failed {
        Err(Reported)
    } else {
        Ok((command, values))
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one expression with all that it can refer to"
)]
fn value(
    session: &mut Session<'_>,
    span: Span,
    text: &str,
    written: &str,
    expression: &Expression<'_>,
    scope: &Scope<'_>,
    ports: &Ports<'_>,
    cache: bool,
) -> Result<CommandValue, Reported> {
    let named = |path: &Path<'_>| matches!(path.root(), "inputs" | "outputs" | "run");
    let path = match expression.as_path() {
        Some(path) => Some(*path).filter(named),
        None => expression.paths().into_iter().find(named),
    };
    let Some(path) = path else {
        let resolved = session.evaluate(span, text, expression, scope)?;
        // A number keeps the digits that it was written with.
        let value = match (&resolved.value, &resolved.digits) {
            (Value::Number(_), Some(digits)) => Value::String(digits.clone()),
            (Value::Null, _) => Value::String(String::new()),
            _ => resolved.value,
        };
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(session.mistake(
                span,
                text,
                &not_allowed(
                    path_of(expression),
                    "the value holds a zero byte, which no environment variable can",
                    "Take the zero byte out.",
                ),
            ));
        }
        return Ok(CommandValue::Value {
            expression: written.to_owned(),
            value,
        });
    };
    let known = match path.root() {
        "run" => run(&path, cache).map(|name| Some(CommandValue::Run(name))),
        "inputs" => port(&path, ports.inputs, ports.unknown, "input")
            .map(|port| port.map(|port| CommandValue::Input { port })),
        _ => port(&path, ports.outputs, ports.unknown, "output")
            .map(|port| port.map(|port| CommandValue::Output { port })),
    };
    let known = match known {
        Ok(Some(known)) => known,
        Ok(None) => return Err(Reported),
        Err(mistake) => return Err(session.mistake(span, text, &mistake)),
    };
    if expression.as_path().is_none() {
        let message = format!(
            "`{}` is known only when the stage runs and cannot be part of an expression",
            path.text
        );
        return Err(session.mistake(
            span,
            text,
            &not_allowed(
                Some(path),
                message,
                "Let it stand alone in ${{ }} and decide in the shell.",
            ),
        ));
    }
    Ok(known)
}

fn path_of<'t>(expression: &Expression<'t>) -> Option<Path<'t>> {
    expression.paths().first().copied()
}

fn not_allowed(path: Option<Path<'_>>, message: impl Into<String>, help: &str) -> Mistake {
    let (start, end) = path.map_or((0, 0), |path| (path.start, path.end()));
    Mistake {
        start,
        end,
        code: Code::ExpressionNotAllowed,
        message: message.into(),
        help: help.to_owned(),
    }
}

/// The fact of the run that a path names.
pub(crate) fn run(path: &Path<'_>, cache: bool) -> Result<RunName, Mistake> {
    let Some(name) = RunName::ALL
        .into_iter()
        .find(|name| name.name() == path.rest())
    else {
        let names = RunName::ALL.map(RunName::name);
        return Err(Mistake {
            code: Code::UnknownName,
            ..not_allowed(
                Some(*path),
                format!("`{}` is unknown", path.text),
                &nearest::advice(path.rest(), "name under `run`", names),
            )
        });
    };
    if cache {
        let message = format!(
            "`{}` is another one in each run, and the stage's result is kept for later runs",
            path.text
        );
        return Err(Mistake {
            code: Code::RunNeedsNoCache,
            ..not_allowed(
                Some(*path),
                message,
                "Say cache: false in this stage, or use schedule.date.",
            )
        });
    }
    Ok(name)
}

/// The port that a path names; none where nobody knows the ports.
fn port(
    path: &Path<'_>,
    names: &[&str],
    unknown: bool,
    kind: &str,
) -> Result<Option<String>, Mistake> {
    let name = path.rest();
    if names.contains(&name) {
        return Ok(Some(name.to_owned()));
    }
    if unknown {
        return Ok(None);
    }
    let declare = if kind == "input" {
        "Declare it under `inputs`."
    } else {
        "Declare it under `with.outputs`."
    };
    let help = format!(
        "{} {declare}",
        nearest::advice(name, kind, names.iter().copied())
    );
    Err(Mistake {
        code: Code::UnknownName,
        ..not_allowed(
            Some(*path),
            format!("the stage has no {kind} `{name}`"),
            &help,
        )
    })
}

/// The variable that holds a value: the same one for the same value, else a new one.
fn variable(values: &mut IndexMap<String, CommandValue>, value: CommandValue) -> String {
    let mut name = match &value {
        CommandValue::Value { .. } => {
            let mut known = 0;
            for (name, other) in values.iter() {
                if *other == value {
                    return name.clone();
                }
                known += usize::from(matches!(other, CommandValue::Value { .. }));
            }
            format!("SUPERMOE_VALUE_{}", known + 1)
        }
        CommandValue::Input { port } => with_letters("SUPERMOE_INPUT_", port),
        CommandValue::Output { port } => with_letters("SUPERMOE_OUTPUT_", port),
        // SUPERMOE_RUN itself marks the processes of a run.
        CommandValue::Run(name) => with_letters("SUPERMOE_FACT_", name.name()),
    };
    // Two ports that differ in a sign alone read alike here.
    let length = name.len();
    let mut more = 1;
    loop {
        match values.get(&name) {
            None => break,
            Some(other) if *other == value => return name,
            Some(_) => {
                more += 1;
                name.truncate(length);
                name.push_str(&format!("_{more}"));
            }
        }
    }
    values.insert(name.clone(), value);
    name
}

/// A name with `_` for every sign that a variable's name cannot have.
fn with_letters(start: &str, name: &str) -> String {
    let mut text = String::with_capacity(start.len() + name.len());
    text.push_str(start);
    text.extend(name.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    }));
    text
}

fn warn_of_single_quotes(session: &mut Session<'_>, span: Span, text: &str, parts: &[Part<'_>]) {
    if !text.contains('\'') {
        return;
    }
    let ends: Vec<(usize, usize)> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Expression { start, end, .. } => Some((*start, *end)),
            Part::Text(_) => None,
        })
        .collect();
    let starts: Vec<usize> = ends.iter().map(|(start, _)| *start).collect();
    for ((start, end), quoted) in ends.iter().zip(in_single_quotes(text, &starts)) {
        if quoted {
            let place = locate(session.source, span, text, *start, *end);
            let message = format!(
                "`{}` stands in single quotes, where the shell puts no value in",
                &text[*start..*end]
            );
            let diagnostic = Diagnostic::new(Code::ExpressionInSingleQuotes, session.source, place, message, "stays as it is")
                .help("Use double quotes: an expression becomes a variable of the shell, such as \"$NAME\".");
            session.warnings.push(diagnostic);
        }
    }
}
