//! The YAML tree: every value and key with its place in the text, numbers with their digits.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::source::Span;

/// A YAML value. Text is borrowed from the file wherever it stands there as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node<'s> {
    pub span: Span,
    pub kind: Kind<'s>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<'s> {
    Null,
    Bool(bool),
    Number(Box<WrittenNumber<'s>>),
    Text(Cow<'s, str>),
    List(Box<[Node<'s>]>),
    Map(Box<[Entry<'s>]>),
}

/// A number with its digits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WrittenNumber<'s> {
    pub text: Cow<'s, str>,
    /// None where JSON has no such number: infinities and integers beyond 64 bits.
    pub value: Option<Number>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry<'s> {
    pub key: Cow<'s, str>,
    pub key_span: Span,
    pub value: Node<'s>,
}

impl<'s> Node<'s> {
    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'s>> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry<'s>> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text of a scalar as it is written, digits and all; none for lists, maps and nothing.
    pub fn scalar_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Number(number) => Some(&number.text),
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Whether `${{` stands in any text of it.
    pub fn has_expression(&self) -> bool {
        match &self.kind {
            Kind::Text(text) => has_expression(text),
            Kind::List(items) => items.iter().any(Node::has_expression),
            Kind::Map(entries) => entries.iter().any(|entry| entry.value.has_expression()),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => false,
        }
    }

    /// As JSON, or the place of a number that JSON does not have.
    pub fn to_json(&self) -> Result<Value, &Node<'s>> {
        Ok(match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => match &number.value {
                Some(value) => Value::Number(value.clone()),
                None => return Err(self),
            },
            Kind::Text(text) => Value::String(text.clone().into_owned()),
            Kind::List(items) => {
                Value::Array(items.iter().map(Node::to_json).collect::<Result<_, _>>()?)
            }
            Kind::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.insert(entry.key.clone().into_owned(), entry.value.to_json()?);
                }
                Value::Object(map)
            }
        })
    }

    /// What it is, for messages: `the text "abc"`, `the number 1.10`, `a list of 3`.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Number(number) => format!("the number {}", number.text),
            Kind::Text(text) => format!("the text {}", quoted(text)),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Map(_) => "a map".to_owned(),
        }
    }
}

/// Whether `${{` stands in a text.
pub(crate) fn has_expression(text: &str) -> bool {
    expression_start(text).is_some()
}

/// Where the first `${{` of a text begins. Most texts have no `$` at all.
pub(crate) fn expression_start(text: &str) -> Option<usize> {
    const START: &str = "${{";
    let mut signs = text.match_indices('$').map(|(at, _)| at);
    signs.find(|at| text[*at..].starts_with(START))
}

/// What a JSON value is, in the words of [`Node::describe`].
pub(crate) fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// A text in quotes, its start only where it is long, on one line.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let start: String = text.chars().take(LONGEST).collect();
    if start.len() < text.len() {
        format!("{:?}…", start)
    } else {
        format!("{start:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_found_wherever_it_begins() {
        for (text, at) in [
            ("", None),
            ("$", None),
            ("$ {{", None),
            ("a ${b} $${{ c }}", Some(8)),
            ("é${{", Some(2)),
            ("${{ a }} ${{ b }}", Some(0)),
        ] {
            assert_eq!(expression_start(text), at, "{text}");
            assert_eq!(expression_start(text), text.find("${{"), "{text}");
        }
    }

    /// A workflow of ten thousand stages has a hundred thousand of them.
    #[test]
    fn a_node_is_a_text_and_a_place() {
        let (text, place) = (size_of::<Cow<'_, str>>(), size_of::<Span>());
        assert_eq!(size_of::<Node<'_>>(), text + place);
    }
}
