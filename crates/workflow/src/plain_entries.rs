//! Entries of a block map in the plainest YAML, read without a parser: keys as names are written,
//! values on one line, flow collections, maps inside. Most of a long file is like that.
//!
//! Whatever else is found leaves a doubt, which the parser then settles: it gives the same tree.

use std::borrow::Cow;
use std::ops::Range;

use crate::node::{Entry, Kind, Node};
use crate::scalar;
use crate::source::{Source, Span};

/// Deeper collections, longer keys and larger maps are left to the parser.
const MAX_DEPTH: usize = 16;
const MAX_KEY_BYTES: usize = 100;
const MAX_ENTRIES: usize = 256;

/// The entries in `range`, whole lines of which the first is indented by `indent` and none by less.
/// None: there may be something else.
pub(crate) fn read(source: &Source, range: Range<usize>, indent: usize) -> Option<Vec<Entry<'_>>> {
    let mut reader = Reader {
        text: source.text().get(..range.end)?,
        at: range.start,
    };
    let (entries, _) = reader.block(indent, 0)?;
    (reader.at == range.end).then_some(entries)
}

struct Reader<'s> {
    /// Ends where the lines do.
    text: &'s str,
    at: usize,
}

impl<'s> Reader<'s> {
    /// A block map, with the end of its last value. Begins and ends at the beginning of a line.
    fn block(&mut self, indent: usize, depth: usize) -> Option<(Vec<Entry<'s>>, usize)> {
        let (mut entries, mut end) = (Vec::new(), self.at);
        while self.next_indent() == Some(indent) {
            self.at += indent;
            let (key, key_span) = self.key(&entries)?;
            self.skip_spaces();
            let value = match self.byte() {
                Some(b'\n') => self.block_inside(indent, depth + 1)?,
                _ => self.one_line(depth + 1)?,
            };
            end = value.span.end;
            entries.push(Entry {
                key,
                key_span,
                value,
            });
        }
        // What is indented by more goes on with something, or is a mistake.
        let is_over = self.next_indent().is_none_or(|next| next < indent);
        (is_over && !entries.is_empty()).then_some((entries, end))
    }

    /// A map on the lines after its key, which is indented by `around`.
    fn block_inside(&mut self, around: usize, depth: usize) -> Option<Node<'s>> {
        let indent = self.next_indent().filter(|indent| *indent > around)?;
        let start = self.at + indent;
        if depth > MAX_DEPTH {
            return None;
        }
        let (entries, end) = self.block(indent, depth)?;
        Some(Node {
            span: Span::new(start, end),
            kind: Kind::Map(entries.into()),
        })
    }

    /// A value to the end of its line. What is on the next line is no part of it unless it is
    /// indented by more than the key, which [`Reader::block`] refuses.
    fn one_line(&mut self, depth: usize) -> Option<Node<'s>> {
        let node = match self.byte()? {
            b'"' | b'\'' => self.quoted()?,
            b'{' | b'[' => self.flow(depth)?,
            _ => self.plain(is_in_line)?,
        };
        self.skip_spaces();
        self.take(b'\n').then_some(node)
    }

    /// A map or list in braces or brackets, or what is in one.
    fn flow(&mut self, depth: usize) -> Option<Node<'s>> {
        let start = self.at;
        let close = match self.byte()? {
            b'{' => b'}',
            b'[' => b']',
            b'"' | b'\'' => return self.quoted(),
            _ => return self.plain(is_in_flow),
        };
        if depth > MAX_DEPTH {
            return None;
        }
        let (mut items, mut entries) = (Vec::new(), Vec::new());
        self.at += 1;
        self.skip_spaces();
        if !self.take(close) {
            loop {
                self.skip_spaces();
                if close == b']' {
                    items.push(self.flow(depth + 1)?);
                } else {
                    let (key, key_span) = self.key(&entries)?;
                    self.skip_spaces();
                    let value = self.flow(depth + 1)?;
                    entries.push(Entry {
                        key,
                        key_span,
                        value,
                    });
                }
                self.skip_spaces();
                if self.take(close) {
                    break;
                }
                if !self.take(b',') {
                    return None;
                }
            }
        }
        Some(Node {
            span: Span::new(start, self.at),
            kind: match close {
                b']' => Kind::List(items.into()),
                _ => Kind::Map(entries.into()),
            },
        })
    }

    /// A key that stands not yet among `entries`, with its colon and the space or line end after it.
    fn key(&mut self, entries: &[Entry<'s>]) -> Option<(Cow<'s, str>, Span)> {
        let start = self.at;
        self.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let (key, span) = (&self.text[start..self.at], Span::new(start, self.at));
        let is_good = !key.is_empty()
            && !key.starts_with('-')
            && key.len() <= MAX_KEY_BYTES
            && entries.len() < MAX_ENTRIES
            && entries.iter().all(|entry| entry.key != key)
            && self.take(b':')
            && matches!(self.byte(), Some(b' ' | b'\n'));
        is_good.then_some((Cow::Borrowed(key), span))
    }

    /// A text in quotes, on one line and without escapes.
    fn quoted(&mut self) -> Option<Node<'s>> {
        let (start, quote) = (self.at, self.byte()?);
        self.at += 1;
        self.skip(|byte| matches!(byte, b' '..=b'~') && byte != quote && byte != b'\\');
        let text = &self.text[start + 1..self.at];
        // A quote after it stands for a quote in it.
        (self.take(quote) && self.byte() != Some(quote)).then_some(Node {
            span: Span::new(start, self.at),
            kind: Kind::Text(Cow::Borrowed(text)),
        })
    }

    /// A scalar without quotes, of bytes that mean nothing else wherever they stand.
    fn plain(&mut self, is_inside: impl Fn(u8) -> bool) -> Option<Node<'s>> {
        let start = self.at;
        let first = self.byte()?;
        self.skip(is_inside);
        let text = self.text[start..self.at].trim_end_matches(' ');
        let begins_well = first.is_ascii_alphanumeric() || b"_./".contains(&first);
        (begins_well && !text.is_empty()).then(|| Node {
            span: Span::new(start, start + text.len()),
            kind: scalar::plain(Cow::Borrowed(text)),
        })
    }

    /// How far the next line is indented that is not blank; none at the end.
    fn next_indent(&mut self) -> Option<usize> {
        loop {
            let start = self.at;
            self.skip_spaces();
            let indent = self.at - start;
            match self.byte() {
                Some(b'\n') => self.at += 1,
                Some(_) => {
                    self.at = start;
                    return Some(indent);
                }
                None => return None,
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.byte() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn skip(&mut self, is_passed: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| is_passed(**byte)).count();
    }

    fn skip_spaces(&mut self) {
        self.skip(|byte| byte == b' ');
    }
}

fn is_in_line(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b':' && byte != b'#'
}

fn is_in_flow(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostics::Diagnostics;
    use crate::parse::parse_whole;

    const HEAD: &str = "stages:\n";

    /// Whether `stages` are read here, after a look that the parser gives the same tree.
    fn is_read(stages: &str) -> bool {
        let source = Source::new("w.yaml", format!("{HEAD}{stages}"));
        let range = HEAD.len()..source.text().len();
        let Some(entries) = read(&source, range, 2) else {
            return false;
        };
        let mut errors = Diagnostics::errors();
        let whole = parse_whole(&source, &mut errors);
        assert!(errors.is_empty(), "{stages}");
        let kind = whole
            .as_ref()
            .and_then(|root| root.get("stages"))
            .map(|node| &node.kind);
        assert_eq!(kind, Some(&Kind::Map(entries.into())), "{stages}");
        true
    }

    #[test]
    fn plain_stages_are_read() {
        for stages in [
            "  a:\n    uses: shell\n    inputs: { above: b.out }\n    with:\n      command: \"x > ${{ outputs.out }}\"\n      outputs: { out: file }\n",
            "  a: 1\n  b: 1.10 \n  c: true\n  d: null\n  e: 2024-01-31\n  true: x\n  1: y\n",
            "  a:\n      deep:\n          deeper: x\n\n  b:  \n   c: 'it is'  \n     \n",
            "  a: {}\n  b: []\n  c: [a, 1, 'b', { c: [d] }, []]\n  d: { a: { b: c }, e: \"f, g\" }\n",
            "  a: over {braces}, [brackets] and \"quotes\" - all of it ! & * | > % @ `\n",
        ] {
            assert!(is_read(stages), "{stages}");
        }
    }

    #[test]
    fn whatever_may_mean_something_else_is_left_to_the_parser() {
        for stages in [
            "",
            "\n",
            "  a:\n",
            "  a:\n  b: 1\n",
            "  a: 1",
            "  a: # of it\n    b: 1\n",
            "  a: 1 # of it\n",
            "  # of it\n  a: 1\n",
            "  a: b: c\n",
            "  a: one\n    two\n",
            "  a: \"one\n    two\"\n",
            "  a: \"\\n\"\n",
            "  a: 'it''s'\n",
            "  a: \"x\" y\n",
            "  a: |\n    x\n",
            "  a: >-\n    x\n",
            "  a:\n  - x\n",
            "  a:\n    - x\n",
            "  a: &x 1\n",
            "  a: *x\n",
            "  a: !!str 1\n",
            "  a: -1\n",
            "  a: é\n",
            "  a: 1\r\n",
            "  a:\t1\n",
            "  a: 1\t\n",
            "  a:1\n",
            "  \"a\": 1\n",
            "  ? a\n",
            "  a: 1\n  a: 2\n",
            "  a: { b: 1, b: 2 }\n",
            "  a: { b: 1, }\n",
            "  a: { b }\n",
            "  a: { b:1 }\n",
            "  a: { b: }\n",
            "  a: [ b: 1 ]\n",
            "  a: [ b c ]\n",
            "  a: [ b\n   ]\n",
            "  a: { b: 1 } c\n",
            "  a: 1\n   b: 2\n",
            "  a:\n     b: 1\n    c: 2\n",
            "  a: 1\n b: 2\n",
            "  a: 1\nb: 2\n",
            "  a: 1\n...\n",
        ] {
            assert!(!is_read(stages), "{stages}");
        }
        let nested = |depth: usize| format!("  a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
        assert!(is_read(&nested(MAX_DEPTH)));
        assert!(!is_read(&nested(MAX_DEPTH + 1)));
        assert!(!is_read(&format!(
            "  {}: 1\n",
            "a".repeat(MAX_KEY_BYTES + 1)
        )));
    }

    fn value() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "a", "b", "1", "0", ".5", "-", " ", "  ", "\"", "'", "{", "}", "[", "]", ",", ":",
            ": ", "#", " #", "\\", "$", "/", "<<", "~", "null", "true", "0x1F", "é", "\t", "|",
            "&", "*", "!", "?", "%", "@", "`",
        ]);
        prop::collection::vec(parts, 0..8).prop_map(|parts| parts.concat())
    }

    fn line() -> impl Strategy<Value = String> {
        let indent =
            prop::sample::select(vec!["  ", "  ", "   ", "    ", "    ", "      ", " ", ""]);
        let key = prop::sample::select(vec![
            "a", "b", "c-d", "e_1", "1", "true", "null", "-f", "g ",
        ]);
        let colon = prop::sample::select(vec![":", ": ", ": ", ":  ", " : ", ""]);
        let end = prop::sample::select(vec!["\n", "\n", "\n", " \n", "\n\n", "\n  \n", "\r\n", ""]);
        (indent, key, colon, value(), end).prop_map(|(indent, key, colon, value, end)| {
            format!("{indent}{key}{colon}{value}{end}")
        })
    }

    fn flow() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            prop::sample::select(vec!["a", "1", "\"b, c\"", "'d'", "./e", "-1", "f g", ""])
                .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            let items = prop::collection::vec(inner, 0..4);
            (items, any::<bool>(), any::<bool>()).prop_map(|(items, map, spaces)| {
                let items: Vec<String> = items
                    .into_iter()
                    .enumerate()
                    .map(|(at, item)| if map { format!("k{at}: {item}") } else { item })
                    .collect();
                let space = if spaces { " " } else { "" };
                let (open, close) = if map { ("{", "}") } else { ("[", "]") };
                format!("{open}{space}{}{space}{close}", items.join(", "))
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn lines_never_give_another_tree(lines in prop::collection::vec(line(), 1..6)) {
            is_read(&lines.concat());
        }

        #[test]
        fn flow_collections_never_give_another_tree(flows in prop::collection::vec(flow(), 1..3)) {
            let lines = flows.iter().enumerate().map(|(at, flow)| format!("  a{at}: {flow}\n"));
            is_read(&lines.collect::<String>());
        }
    }
}
