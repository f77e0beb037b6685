//! Tokens to a tree. `||` binds least, then `&&`, then `==` and `!=`, then `!`.

use std::borrow::Cow;
use std::fmt;

use serde_json::Number;

use crate::codes::Code;
use crate::expression::Mistake;
use crate::expression::lexer::{self, Token, TokenKind};

/// The most `(` and `!` inside each other.
const MAX_DEPTH: usize = 32;
/// The most names, values and operators of one expression: what reads it goes into the depth.
const MAX_TOKENS: usize = 1000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression<'t> {
    Null,
    Bool(bool),
    Number(&'t str, Number),
    Text(Cow<'t, str>),
    Path(Path<'t>),
    Not(Box<Expression<'t>>),
    Or(Box<[Expression<'t>; 2]>),
    And(Box<[Expression<'t>; 2]>),
    Equal(Box<Comparison<'t>>),
    NotEqual(Box<Comparison<'t>>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison<'t> {
    pub left: Expression<'t>,
    pub right: Expression<'t>,
    pub start: usize,
    pub end: usize,
}

/// A dotted name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path<'t> {
    pub text: &'t str,
    pub start: usize,
}

impl<'t> Path<'t> {
    /// `params` of `params.a.b`.
    pub fn root(&self) -> &'t str {
        self.text.split('.').next().unwrap_or(self.text)
    }

    /// `a.b` of `params.a.b`; empty where there is only a root.
    pub fn rest(&self) -> &'t str {
        self.text.split_once('.').map_or("", |(_, rest)| rest)
    }

    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

impl<'t> Expression<'t> {
    /// The name, where it is nothing else.
    pub fn as_path(&self) -> Option<&Path<'t>> {
        match self {
            Expression::Path(path) => Some(path),
            _ => None,
        }
    }

    /// All names in it, from left to right.
    pub fn paths(&self) -> Vec<Path<'t>> {
        let mut paths = Vec::new();
        self.collect(&mut paths);
        paths
    }

    fn collect(&self, paths: &mut Vec<Path<'t>>) {
        match self {
            Expression::Path(path) => paths.push(*path),
            Expression::Not(inner) => inner.collect(paths),
            Expression::Or(pair) | Expression::And(pair) => {
                pair.iter().for_each(|side| side.collect(paths))
            }
            Expression::Equal(comparison) | Expression::NotEqual(comparison) => {
                comparison.left.collect(paths);
                comparison.right.collect(paths);
            }
            Expression::Null
            | Expression::Bool(_)
            | Expression::Number(..)
            | Expression::Text(_) => {}
        }
    }
}

/// As it is written, with brackets around every operation.
impl fmt::Display for Expression<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Null => f.write_str("null"),
            Expression::Bool(value) => write!(f, "{value}"),
            Expression::Number(text, _) => f.write_str(text),
            Expression::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Expression::Path(path) => f.write_str(path.text),
            Expression::Not(inner) => write!(f, "!{inner}"),
            Expression::Or(pair) => write!(f, "({} || {})", pair[0], pair[1]),
            Expression::And(pair) => write!(f, "({} && {})", pair[0], pair[1]),
            Expression::Equal(both) => write!(f, "({} == {})", both.left, both.right),
            Expression::NotEqual(both) => write!(f, "({} != {})", both.left, both.right),
        }
    }
}

/// Reads one whole expression; `base` is the place of `text` in the text around it.
pub(crate) fn read(text: &str, base: usize) -> Result<Expression<'_>, Mistake> {
    // Most expressions are one name.
    let name = text.trim();
    if is_plain_name(name) {
        let start = base + (text.len() - text.trim_start().len());
        return Ok(Expression::Path(Path { text: name, start }));
    }
    let tokens = lexer::tokens(text, base)?;
    if tokens.len() > MAX_TOKENS {
        return Err(Mistake {
            start: base,
            end: base + text.len(),
            code: Code::ExpressionSyntax,
            message: format!(
                "an expression of {} names, values and operators; at most {MAX_TOKENS} are read",
                tokens.len()
            ),
            help: "Give parts of it a name under `params`.".to_owned(),
        });
    }
    let mut reader = Reader {
        tokens,
        at: 0,
        depth: 0,
        end: base + text.len(),
    };
    if reader.tokens.is_empty() {
        return Err(Mistake {
            start: base,
            end: base + text.len(),
            code: Code::ExpressionSyntax,
            message: "`${{ }}` holds no expression".to_owned(),
            help: "Name a value, for example params.seed.".to_owned(),
        });
    }
    let expression = reader.or()?;
    match reader.next() {
        None => Ok(expression),
        Some(token) => {
            let message = format!("{} cannot follow here", token.kind.describe());
            Err(syntax(
                token.start,
                token.end,
                message,
                "Join values with ||, &&, == or !=; texts stand in single quotes.",
            ))
        }
    }
}

/// `root.name` with nothing that needs a closer look.
fn is_plain_name(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.contains('.')
        && !text.ends_with('.')
        && !text.contains("..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

struct Reader<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
    depth: usize,
    end: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, kind: &TokenKind<'_>) -> bool {
        let found = self
            .tokens
            .get(self.at)
            .is_some_and(|token| token.kind == *kind);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Expression<'t>, Mistake> {
        let mut left = self.and()?;
        while self.take(&TokenKind::Or) {
            left = Expression::Or(Box::new([left, self.and()?]));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression<'t>, Mistake> {
        let mut left = self.comparison()?;
        while self.take(&TokenKind::And) {
            left = Expression::And(Box::new([left, self.comparison()?]));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expression<'t>, Mistake> {
        let start = self
            .tokens
            .get(self.at)
            .map_or(self.end, |token| token.start);
        let left = self.not()?;
        let equal = self.take(&TokenKind::Equal);
        if !equal && !self.take(&TokenKind::NotEqual) {
            return Ok(left);
        }
        let right = self.not()?;
        let end = self
            .tokens
            .get(self.at - 1)
            .map_or(self.end, |token| token.end);
        let both = Box::new(Comparison {
            left,
            right,
            start,
            end,
        });
        Ok(if equal {
            Expression::Equal(both)
        } else {
            Expression::NotEqual(both)
        })
    }

    fn not(&mut self) -> Result<Expression<'t>, Mistake> {
        if !self.take(&TokenKind::Not) {
            return self.value();
        }
        self.deeper(|reader| Ok(Expression::Not(Box::new(reader.not()?))))
    }

    fn value(&mut self) -> Result<Expression<'t>, Mistake> {
        let Some(token) = self.next() else {
            return Err(syntax(
                self.end,
                self.end,
                "the expression breaks off: a value is missing".to_owned(),
                "Name a value, for example params.seed.",
            ));
        };
        match token.kind {
            TokenKind::Path(text) => path(text, &token),
            TokenKind::Number(text, number) => Ok(Expression::Number(text, number)),
            TokenKind::Text(text) => Ok(Expression::Text(text)),
            TokenKind::Open => {
                let inner = self.deeper(Reader::or)?;
                if !self.take(&TokenKind::Close) {
                    return Err(syntax(
                        token.start,
                        token.end,
                        "`(` has no `)`".to_owned(),
                        "Write `)` where the group ends.",
                    ));
                }
                Ok(inner)
            }
            other => Err(syntax(
                token.start,
                token.end,
                format!("a value is missing before {}", other.describe()),
                "Operators stand between two values.",
            )),
        }
    }

    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Expression<'t>, Mistake>,
    ) -> Result<Expression<'t>, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax(
                self.end,
                self.end,
                format!("`(` and `!` stand more than {MAX_DEPTH} deep"),
                "Nest less.",
            ));
        }
        let inner = read(self);
        self.depth -= 1;
        inner
    }
}

fn path<'t>(text: &'t str, token: &Token<'t>) -> Result<Expression<'t>, Mistake> {
    match text {
        "true" => return Ok(Expression::Bool(true)),
        "false" => return Ok(Expression::Bool(false)),
        "null" => return Ok(Expression::Null),
        _ => {}
    }
    if text.split('.').any(str::is_empty) {
        return Err(syntax(
            token.start,
            token.end,
            format!("`{text}` has a dot without a name"),
            "Write one dot between two names: params.seed.",
        ));
    }
    Ok(Expression::Path(Path {
        text,
        start: token.start,
    }))
}

fn syntax(start: usize, end: usize, message: String, help: &str) -> Mistake {
    Mistake {
        start,
        end,
        code: Code::ExpressionSyntax,
        message,
        help: help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn operators_bind_as_in_shells_and_workflows() {
        let read = |text| {
            read(text, 0)
                .map(|expression| expression.to_string())
                .map_err(|mistake| mistake.message)
        };
        assert_eq!(
            read("params.a || b.c && !d.e == 'x''y'").as_deref(),
            Ok("(params.a || (b.c && (!d.e == 'x''y')))")
        );
        assert_eq!(
            read("(1 || 2) && -1.50").as_deref(),
            Ok("((1 || 2) && -1.50)")
        );
        for wrong in [
            "",
            "a b",
            "a ||",
            "|| a",
            "(a",
            "a)",
            "a..b",
            "a.",
            "'x",
            "a = b",
            "\"x\"",
            "1x",
            "a == b == c",
            "a[0]",
            "a + b",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "(".repeat(500);
        assert!(
            read(&deep, 0)
                .expect_err("too deep")
                .message
                .contains("deep")
        );
        assert!(read(&"!".repeat(500), 0).is_err());
    }

    #[test]
    fn length_is_bounded() {
        let long = format!("{}true", "1 || ".repeat(100_000));
        let mistake = read(&long, 0).expect_err("too long");
        assert!(
            mistake.message.contains("at most 1000"),
            "{}",
            mistake.message
        );
    }

    fn tree() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z]{1,5}(\\.[a-z0-9_-]{1,4}){0,2}".prop_map(|text| text),
            "'([a-z }{$.]|''){0,6}'".prop_map(|text| text),
            any::<i32>().prop_map(|number| number.to_string()),
            Just("true".to_owned()),
            Just("null".to_owned()),
        ];
        leaf.prop_recursive(5, 24, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| format!("!{inner}")),
                (
                    inner.clone(),
                    prop_oneof![Just("||"), Just("&&"), Just("=="), Just("!=")],
                    inner
                )
                    .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(text in tree()) {
            let first = read(&text, 0).map_err(|mistake| TestCaseError::fail(mistake.message))?;
            prop_assert_eq!(first.to_string(), text);
        }
    }
}
