//! Expressions as a row of tokens.

use std::borrow::Cow;

use serde_json::Number;

use crate::codes::Code;
use crate::expression::Mistake;
use crate::scalar;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'t> {
    pub start: usize,
    pub end: usize,
    pub kind: TokenKind<'t>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'t> {
    /// Names with dots between them: `params.a.0`, `true`.
    Path(&'t str),
    Number(&'t str, Number),
    Text(Cow<'t, str>),
    Or,
    And,
    Not,
    Equal,
    NotEqual,
    Open,
    Close,
}

impl TokenKind<'_> {
    /// As it is written, for messages.
    pub fn describe(&self) -> String {
        match self {
            TokenKind::Path(text) | TokenKind::Number(text, _) => format!("`{text}`"),
            TokenKind::Text(text) => format!("'{text}'"),
            TokenKind::Or => "`||`".to_owned(),
            TokenKind::And => "`&&`".to_owned(),
            TokenKind::Not => "`!`".to_owned(),
            TokenKind::Equal => "`==`".to_owned(),
            TokenKind::NotEqual => "`!=`".to_owned(),
            TokenKind::Open => "`(`".to_owned(),
            TokenKind::Close => "`)`".to_owned(),
        }
    }
}

/// Cuts `text` into tokens; `base` is added to all places.
pub(crate) fn tokens(text: &str, base: usize) -> Result<Vec<Token<'_>>, Mistake> {
    let mut tokens = Vec::with_capacity(4);
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let start = at;
        let pair = |next: u8| bytes.get(start + 1) == Some(&next);
        let kind = match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'(' => TokenKind::Open,
            b')' => TokenKind::Close,
            b'|' if pair(b'|') => TokenKind::Or,
            b'&' if pair(b'&') => TokenKind::And,
            b'=' if pair(b'=') => TokenKind::Equal,
            b'!' if pair(b'=') => TokenKind::NotEqual,
            b'!' => TokenKind::Not,
            b'\'' => {
                let (kind, end) = quoted_text(text, start, base)?;
                at = end;
                tokens.push(Token {
                    start: base + start,
                    end: base + at,
                    kind,
                });
                continue;
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                at = end_of(bytes, start, |byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
                });
                let kind = TokenKind::Path(&text[start..at]);
                tokens.push(Token {
                    start: base + start,
                    end: base + at,
                    kind,
                });
                continue;
            }
            byte if byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.') => {
                at = end_of(bytes, start, |byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_')
                });
                let written = &text[start..at];
                let Some(Some(number)) = scalar::number(written) else {
                    return Err(mistake(
                        base,
                        start,
                        at,
                        format!("`{written}` is no number"),
                        "Texts stand in single quotes; names begin with a letter.",
                    ));
                };
                tokens.push(Token {
                    start: base + start,
                    end: base + at,
                    kind: TokenKind::Number(written, number),
                });
                continue;
            }
            _ => return Err(unexpected(text, base, start)),
        };
        at += if matches!(kind, TokenKind::Open | TokenKind::Close | TokenKind::Not) {
            1
        } else {
            2
        };
        tokens.push(Token {
            start: base + start,
            end: base + at,
            kind,
        });
    }
    Ok(tokens)
}

fn end_of(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[start..]
        .iter()
        .position(|byte| !belongs(*byte))
        .map_or(bytes.len(), |length| start + length)
}

/// A text in single quotes, from its first quote on; `''` in it is one quote.
fn quoted_text(text: &str, start: usize, base: usize) -> Result<(TokenKind<'_>, usize), Mistake> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    let mut doubled = false;
    while at < bytes.len() {
        if bytes[at] == b'\'' {
            if bytes.get(at + 1) != Some(&b'\'') {
                let inner = &text[start + 1..at];
                let value = if doubled {
                    Cow::Owned(inner.replace("''", "'"))
                } else {
                    Cow::Borrowed(inner)
                };
                return Ok((TokenKind::Text(value), at + 1));
            }
            doubled = true;
            at += 1;
        }
        at += 1;
    }
    Err(mistake(
        base,
        start,
        text.len(),
        "a text in single quotes has no end".to_owned(),
        "Close it with `'`; a quote in a text is written `''`.",
    ))
}

fn unexpected(text: &str, base: usize, start: usize) -> Mistake {
    let found = text[start..].chars().next().unwrap_or(' ');
    let help = match found {
        '"' => "Texts stand in single quotes: 'text'.",
        '=' => "Compare with `==`.",
        '&' => "Write `&&`.",
        '|' => "Write `||`.",
        '[' | ']' => "Items of lists are named by number: params.list.0.",
        '<' | '>' | '+' | '*' | '/' | '%' => {
            "Expressions compare with `==` and `!=` and do not calculate."
        }
        '?' | ':' => "Write `condition && a || b`.",
        _ => {
            "An expression has names, 'texts', numbers, true, false, null, ( ), !, ==, !=, && and ||."
        }
    };
    mistake(
        base,
        start,
        start + found.len_utf8(),
        format!("`{found}` means nothing in an expression"),
        help,
    )
}

fn mistake(base: usize, start: usize, end: usize, message: String, help: &str) -> Mistake {
    Mistake {
        start: base + start,
        end: base + end,
        code: Code::ExpressionSyntax,
        message,
        help: help.to_owned(),
    }
}
