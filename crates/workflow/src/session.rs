//! What all steps of a compilation share: the sources, the reports, and how leaves are read.

use std::ops::RangeInclusive;

use serde_json::Value;
use supermoe_plugin::catalog::Catalog;

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::expression::{Expression, Mistake, Part, Resolved, Template, evaluate};
use crate::node::{Kind, Node, describe_value, has_expression};
use crate::scope::Scope;
use crate::source::{Source, Span};

/// Past that many mistakes of one file, and repetitions of mistakes by the cells of one stage,
/// no more are looked for.
const MAX_MISTAKES: usize = 200;
const MAX_REPETITIONS: usize = 100;
/// The most mistakes that are reported within one text.
pub(crate) const MAX_IN_ONE_TEXT: usize = 20;

pub(crate) struct Session<'a> {
    pub source: &'a Source,
    pub catalog: &'a Catalog,
    pub environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub errors: Diagnostics,
    pub warnings: Diagnostics,
}

/// A mistake that is reported already: what depends on the value says nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reported;

/// A value of a leaf; none where an expression gives nothing.
pub(crate) type Leaf<T> = Result<Option<T>, Reported>;

impl Session<'_> {
    /// Whether there is nothing to gain from looking for more mistakes.
    pub fn has_enough(&self) -> bool {
        self.errors.len() >= MAX_MISTAKES
    }

    /// The same for the cells of one stage, of which the first began when `before` mistakes had
    /// been pushed.
    pub fn has_enough_of_stage(&self, before: usize) -> bool {
        self.errors.pushed() >= before + MAX_REPETITIONS
    }

    pub fn report(&mut self, diagnostic: Diagnostic) -> Reported {
        self.errors.push(diagnostic);
        Reported
    }

    /// Reports a mistake at a place of the workflow file.
    pub fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        let diagnostic = Diagnostic::new(code, self.source, span, message, label).help(help);
        self.report(diagnostic)
    }

    pub fn wrong_kind(&mut self, node: &Node<'_>, what: &str, expected: &str) -> Reported {
        let found = node.describe();
        self.error(
            Code::WrongKind,
            node.span,
            format!("{what} has to be {expected}, found {found}"),
            format!("expected {expected}"),
            format!("Write {expected} here."),
        )
    }

    /// The value of a scalar, with its expressions resolved.
    pub fn leaf(
        &mut self,
        node: &Node<'_>,
        what: &str,
        expected: &str,
        scope: &Scope<'_>,
    ) -> Result<Resolved, Reported> {
        match &node.kind {
            Kind::Text(text) if has_expression(text) => self.resolve(node.span, text, scope),
            Kind::Text(text) => Ok(Resolved::new(Value::String(text.clone().into_owned()))),
            Kind::Bool(value) => Ok(Resolved::new(Value::Bool(*value))),
            Kind::Number(number) => {
                let digits = number.text.clone().into_owned();
                // What JSON has no number for still has its text.
                let value = match &number.value {
                    Some(value) => Value::Number(value.clone()),
                    None => Value::String(digits.clone()),
                };
                Ok(Resolved {
                    value,
                    digits: Some(digits),
                })
            }
            Kind::Null | Kind::List(_) | Kind::Map(_) => Err(self.wrong_kind(node, what, expected)),
        }
    }

    /// A text: scalars of all kinds as they are written.
    pub fn text(
        &mut self,
        node: &Node<'_>,
        what: &str,
        expected: &str,
        scope: &Scope<'_>,
    ) -> Leaf<String> {
        let resolved = self.leaf(node, what, expected, scope)?;
        match resolved.value {
            Value::Null => Ok(None),
            _ => match resolved.text() {
                Some(text) => Ok(Some(text)),
                None => Err(self.wrong_value(node, what, expected, &resolved.value)),
            },
        }
    }

    pub fn boolean(&mut self, node: &Node<'_>, what: &str, scope: &Scope<'_>) -> Leaf<bool> {
        let resolved = self.leaf(node, what, "true or false", scope)?;
        match resolved.value {
            Value::Null => Ok(None),
            Value::Bool(value) => Ok(Some(value)),
            other => Err(self.wrong_value(node, what, "true or false", &other)),
        }
    }

    pub fn integer(
        &mut self,
        node: &Node<'_>,
        what: &str,
        range: RangeInclusive<u32>,
        scope: &Scope<'_>,
    ) -> Leaf<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let resolved = self.leaf(node, what, &expected, scope)?;
        let number = match &resolved.value {
            Value::Null => return Ok(None),
            Value::Number(number) => number,
            other => return Err(self.wrong_value(node, what, &expected, other)),
        };
        match number
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number))
        {
            Some(number) => Ok(Some(number)),
            None => {
                let found = resolved.text().unwrap_or_default();
                Err(self.error(
                    Code::OutOfRange,
                    node.span,
                    format!("{what} has to be {expected}, found {found}"),
                    "out of range",
                    format!("Write {expected}."),
                ))
            }
        }
    }

    /// A text that `parse` turns into a value with a unit.
    pub fn measured<T, E: std::fmt::Display>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        form: &Form,
        scope: &Scope<'_>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Leaf<T> {
        let Some(text) = self.text(node, what, form.expected, scope)? else {
            return Ok(None);
        };
        parse(&text).map(Some).map_err(|error| {
            let message = format!("{what} has to be {}: `{text}` {error}", form.expected);
            self.error(
                form.code,
                node.span,
                message,
                format!("not {}", form.short),
                format!("Write for example {}.", form.example),
            )
        })
    }

    pub fn wrong_value(
        &mut self,
        node: &Node<'_>,
        what: &str,
        expected: &str,
        found: &Value,
    ) -> Reported {
        let found = describe_value(found);
        let origin = if node.has_expression() {
            "the expression gives"
        } else {
            "found"
        };
        self.error(
            Code::WrongKind,
            node.span,
            format!("{what} has to be {expected}, {origin} {found}"),
            format!("expected {expected}"),
            format!("Write {expected} here."),
        )
    }

    /// The value of a text with expressions. One whole expression keeps its type, several or
    /// mixed ones give a text.
    pub fn resolve(
        &mut self,
        span: Span,
        text: &str,
        scope: &Scope<'_>,
    ) -> Result<Resolved, Reported> {
        let template = self.template(span, text)?;
        if let Some((_, _, expression)) = template.whole() {
            return self.evaluate(span, text, expression, scope);
        }
        let mut joined = String::with_capacity(text.len());
        let before = self.errors.pushed();
        let mut failed = None;
        for part in &template.parts {
            if self.errors.pushed() >= before + MAX_IN_ONE_TEXT {
                break;
            }
            match part {
                Part::Text(text) => joined.push_str(text),
                Part::Expression {
                    start,
                    end,
                    expression,
                } => match self.evaluate(span, text, expression, scope) {
                    Err(Reported) => failed = Some(Reported),
                    Ok(resolved) => match resolved.text() {
                        Some(text) => joined.push_str(&text),
                        None => {
                            let found = describe_value(&resolved.value);
                            failed = Some(self.mistake(span, text, &Mistake {
                                start: *start,
                                end: *end,
                                code: Code::ExpressionType,
                                message: format!("`{}` gives {found}, which cannot stand within a text", text[*start + 3..*end - 2].trim()),
                                help: "A list or map needs a value of its own: nothing else may stand beside the expression.".to_owned(),
                            }));
                        }
                    },
                },
            }
        }
        match failed {
            None => Ok(Resolved::new(Value::String(joined))),
            Some(reported) => Err(reported),
        }
    }

    /// A text cut into its expressions; all mistakes in it are reported.
    pub fn template<'t>(&mut self, span: Span, text: &'t str) -> Result<Template<'t>, Reported> {
        Template::read(text).map_err(|mistakes| {
            for mistake in mistakes.iter().take(MAX_IN_ONE_TEXT) {
                self.mistake(span, text, mistake);
            }
            Reported
        })
    }

    /// The value of one expression in `text`. All its names are checked, also those that its
    /// value does not hang on.
    pub fn evaluate(
        &mut self,
        span: Span,
        text: &str,
        expression: &Expression<'_>,
        scope: &Scope<'_>,
    ) -> Result<Resolved, Reported> {
        if let Some(path) = expression.as_path() {
            return scope
                .look_up(path, self.environment)
                .map_err(|mistake| self.mistake(span, text, &mistake));
        }
        let mut wrong = false;
        for path in expression.paths() {
            if let Err(mistake) = scope.look_up(&path, self.environment) {
                self.mistake(span, text, &mistake);
                wrong = true;
            }
        }
        if wrong {
            return Err(Reported);
        }
        let environment = self.environment;
        evaluate(expression, &mut |path| scope.look_up(path, environment))
            .map_err(|mistake| self.mistake(span, text, &mistake))
    }

    /// Reports a mistake at its place within the text of a scalar.
    pub fn mistake(&mut self, span: Span, text: &str, mistake: &Mistake) -> Reported {
        let place = locate(self.source, span, text, mistake.start, mistake.end);
        self.error(
            mistake.code,
            place,
            mistake.message.clone(),
            "here",
            mistake.help.clone(),
        )
    }
}

/// What a value with a unit looks like, for messages.
pub(crate) struct Form {
    pub code: Code,
    /// `a duration with a unit (30s, 5m, 2h, 1d)`
    pub expected: &'static str,
    /// `a duration`
    pub short: &'static str,
    pub example: &'static str,
}

/// The place in the file of `start..end` of a scalar's text. The text in the file may have quotes,
/// escapes and indentation, so that expressions are found by counting their beginnings.
pub(crate) fn locate(source: &Source, span: Span, text: &str, start: usize, end: usize) -> Span {
    const OPENING: &str = "${{";
    let written = source.slice(span);
    let mut openings = text.match_indices(OPENING);
    let total = openings.clone().count();
    let Some((before, (opening, _))) = openings
        .by_ref()
        .enumerate()
        .take_while(|(_, (at, _))| *at <= start)
        .last()
    else {
        return span;
    };
    if total != written.matches(OPENING).count() {
        return span;
    }
    let Some((found, _)) = written.match_indices(OPENING).nth(before) else {
        return span;
    };
    let wanted = text.get(opening..end.max(opening));
    let same = wanted.is_some_and(|wanted| written[found..].starts_with(wanted));
    if same {
        Span::new(
            span.start + found + (start - opening),
            span.start + found + (end - opening),
        )
    } else {
        Span::new(span.start + found, span.start + found + OPENING.len())
    }
}
