//! A long file is cut before its stages, and the pieces are read on two threads.
//!
//! A piece counts only where the parser, reading on beyond its end, comes to the next cut as to a
//! key of the very map that was cut: in a block map a parser remembers nothing of the entries
//! before a key but the indentation, which the text of the next piece begins with, and anchors and
//! tags, which no piece may have. So the tree is the one that the whole text gives, to the byte.
//! Pieces of the plainest lines alone are read without the parser, to the same tree.
//! Whatever else is found, a mistake too, ends this, and the text is read as a whole.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_saphyr::granit_parser::{Event, StructureStyle};

use crate::diagnostics::Diagnostics;
use crate::node::{Entry, Kind, Node};
use crate::parse::Events;
use crate::plain_entries;
use crate::source::{Source, Span};
use crate::tree_builder::TreeBuilder;

/// Shorter texts are read sooner than a thread has begun.
const LONG_BYTES: usize = 64 << 10;
/// About how long a piece is.
const PIECE_BYTES: usize = 8 << 10;

/// The tree of a long text; none where it cannot be read in pieces.
pub(crate) fn parse(source: &Source) -> Option<Node<'_>> {
    if source.text().len() < LONG_BYTES {
        return None;
    }
    Cuts::find(source.text(), PIECE_BYTES)?.read(source)
}

/// Lines that probably begin with the key of a stage, all indented alike.
struct Cuts {
    indent: usize,
    /// Where these lines begin, in order.
    starts: Vec<usize>,
}

/// A piece that was read, the first excepted.
struct Piece<'s> {
    index: usize,
    entries: Vec<Entry<'s>>,
    /// Where the document ends, of the last piece.
    end: Option<Span>,
}

/// Pieces that nobody reads yet: one thread takes from the front, the other from the back.
struct Unread(Mutex<Range<usize>>);

impl Unread {
    fn take(&self, next: impl FnOnce(&mut Range<usize>) -> Option<usize>) -> Option<usize> {
        next(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_up(&self) {
        self.take(|unread| {
            *unread = 0..0;
            None
        });
    }
}

impl Cuts {
    /// About every `piece` bytes; none where there is no place to cut.
    fn find(text: &str, piece: usize) -> Option<Cuts> {
        const STAGES: &str = "\nstages:";
        let stages = text.find(STAGES)? + STAGES.len();
        let indent = text[stages..]
            .lines()
            .skip(1)
            .find_map(|line| key_line_indent(line).filter(|indent| *indent > 0))?;
        let mut starts = Vec::with_capacity((text.len() - stages) / piece + 1);
        let mut at = stages + piece;
        while let Some(start) = next_line(text, at) {
            let line = text[start..].lines().next().unwrap_or("");
            if key_line_indent(line) == Some(indent) {
                starts.push(start);
                at = start + piece;
            } else {
                at = start;
            }
        }
        (!starts.is_empty()).then_some(Cuts { indent, starts })
    }

    fn read<'s>(&self, source: &'s Source) -> Option<Node<'s>> {
        let unread = Unread(Mutex::new(1..self.starts.len() + 1));
        thread::scope(|scope| {
            let beside =
                scope.spawn(|| self.read_pieces(source, &unread, Range::<usize>::next_back));
            let tree = self.read_from_first(source, &unread, || {
                beside
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            if tree.is_none() {
                unread.give_up();
            }
            tree
        })
    }

    /// The whole tree: the first piece and others are read here, and some `elsewhere`.
    fn read_from_first<'s>(
        &self,
        source: &'s Source,
        unread: &Unread,
        elsewhere: impl FnOnce() -> Option<Vec<Piece<'s>>>,
    ) -> Option<Node<'s>> {
        let mut errors = Diagnostics::errors();
        let mut builder = TreeBuilder::new(source, 0, &mut errors);
        if let Read::Ended(..) = self.read_piece(source, 0, &mut builder)? {
            return None;
        }
        let mut pieces = self.read_pieces(source, unread, Range::<usize>::next)?;
        pieces.extend(elsewhere()?);
        pieces.sort_unstable_by_key(|piece| piece.index);
        let mut end = None;
        for piece in pieces {
            let map = builder.map_before_key()?;
            map.extend(piece.entries).ok()?;
            end = piece.end;
        }
        // Both maps end where the last piece does.
        let end = end?;
        builder.take(Event::MappingEnd, end).ok()?;
        let root = builder.take(Event::MappingEnd, end).ok()?;
        root.filter(|_| errors.is_empty())
    }

    /// Reads pieces until none is left; none if one of them is not right.
    fn read_pieces<'s>(
        &self,
        source: &'s Source,
        unread: &Unread,
        next: impl Fn(&mut Range<usize>) -> Option<usize>,
    ) -> Option<Vec<Piece<'s>>> {
        let mut pieces = Vec::with_capacity(self.starts.len());
        while let Some(index) = unread.take(&next) {
            let Some(piece) = self.read_later_piece(source, index) else {
                unread.give_up();
                return None;
            };
            pieces.push(piece);
        }
        Some(pieces)
    }

    fn read_later_piece<'s>(&self, source: &'s Source, index: usize) -> Option<Piece<'s>> {
        if let Some(&[from, until]) = self.starts.get(index - 1..=index)
            && let Some(entries) = plain_entries::read(source, from..until, self.indent)
        {
            return Some(Piece {
                index,
                entries,
                end: None,
            });
        }
        let mut errors = Diagnostics::errors();
        let mut builder = TreeBuilder::new(source, 1, &mut errors);
        let (entries, end) = match self.read_piece(source, index, &mut builder)? {
            Read::ToNextCut => {
                let map = builder.map_before_key()?;
                (std::mem::take(&mut map.entries), None)
            }
            Read::Ended(root, end) => match root.kind {
                Kind::Map(entries) => (entries.into_vec(), Some(end)),
                _ => return None,
            },
        };
        errors.is_empty().then_some(Piece {
            index,
            entries,
            end,
        })
    }

    /// Reads from one cut to the next, or the last piece to the end of the text.
    fn read_piece<'s>(
        &self,
        source: &'s Source,
        index: usize,
        builder: &mut TreeBuilder<'s, '_>,
    ) -> Option<Read<'s>> {
        let from = index.checked_sub(1).map_or(0, |before| self.starts[before]);
        let until = self.starts.get(index).map(|start| start + self.indent);
        let mut events = Events::from(source, from);
        let mut ended = None;
        let mut documents = 0;
        // Of the first piece, the map that is cut stands in another.
        let depth = if index == 0 { 2 } else { 1 };
        let mut is_block = false;
        while let Some(event) = events.next() {
            let (event, span) = event.ok()?;
            if until.is_some_and(|until| span.start >= until) && begins_node(&event) {
                // What is left out is a scalar too, of no length.
                let at_key = matches!(event, Event::Scalar(..))
                    && !span.is_empty()
                    && until == Some(span.start)
                    && builder.map_before_key().is_some()
                    && builder.depth() == depth;
                return (at_key && is_block).then_some(Read::ToNextCut);
            }
            documents += usize::from(matches!(event, Event::DocumentStart(..)));
            if documents > 1 || remembers_more(&event) {
                return None;
            }
            if builder.depth() + 1 == depth {
                is_block = matches!(event, Event::MappingStart(StructureStyle::Block, ..));
            }
            let is_end = matches!(event, Event::MappingEnd);
            if let Some(root) = builder.take(event, span).ok()? {
                ended = is_end.then_some((root, span));
            }
        }
        let (root, end) = ended.filter(|_| until.is_none())?;
        Some(Read::Ended(root, end))
    }
}

/// How the reading of a piece came to its end.
enum Read<'s> {
    ToNextCut,
    Ended(Node<'s>, Span),
}

fn begins_node(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..)
            | Event::Alias(..)
            | Event::UnresolvedAlias(..)
    )
}

/// Whether a later piece could depend on it.
fn remembers_more(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(_, anchor, tag)
        | Event::MappingStart(_, anchor, tag) => *anchor != 0 || tag.is_some(),
        Event::Alias(..) | Event::UnresolvedAlias(..) => true,
        _ => false,
    }
}

fn next_line(text: &str, from: usize) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    let newline = rest.iter().position(|byte| *byte == b'\n')?;
    Some(from + newline + 1)
}

/// How far a line is indented that seems to begin with a plain key.
fn key_line_indent(line: &str) -> Option<usize> {
    let key = line.trim_start_matches(' ');
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let length = key.bytes().take_while(|byte| usual(*byte)).count();
    let after = key[length..].strip_prefix(':')?;
    let is_key =
        !key.starts_with('-') && length > 0 && (after.is_empty() || after.starts_with(' '));
    is_key.then_some(line.len() - key.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::parse_whole;

    /// The tree in pieces of about `piece` bytes, after a look that it is the one of the whole text.
    fn in_pieces(text: &str, piece: usize) -> bool {
        let source = Source::new("w.yaml", text);
        let Some(tree) = Cuts::find(text, piece).and_then(|cuts| cuts.read(&source)) else {
            return false;
        };
        let mut errors = Diagnostics::errors();
        let whole = parse_whole(&source, &mut errors);
        assert!(errors.is_empty(), "{text}");
        assert_eq!(whole, Some(tree), "{text}");
        true
    }

    fn head_and(stages: &[&str]) -> String {
        format!(
            "name: w # é\nparams: {{ a: 1 }}\nstages:\n{}",
            stages.concat()
        )
    }

    const PLAIN: [&str; 6] = [
        "  a:\n    uses: shell\n    with: { command: \"x\", n: 1.10 }\n",
        "  b: # of é\n    with:\n      command: |\n        if x; then\n\n          y\n        fi\n",
        "  c: { uses: shell, list: [1, two, 'it''s'] }\n\n# between\n",
        "  d:\n    list:\n      - one\n      - two: 2\n        three: 3\n    list_at_its_key:\n    - x\n",
        "  e:\n    text: \"over\n      lines \\u00e9\"\n    plain: over\n      lines: no\n",
        "  f:\n",
    ];

    #[test]
    fn every_cut_of_a_plain_file_gives_the_tree_of_the_whole() {
        let text = head_and(&[
            PLAIN[0],
            PLAIN[1],
            PLAIN[2],
            PLAIN[3],
            PLAIN[5],
            PLAIN[0].replace("a:", "g:").as_str(),
        ]);
        for piece in 1..text.len() {
            let cut = Cuts::find(&text, piece).is_some();
            assert_eq!(in_pieces(&text, piece), cut, "{piece}");
        }
        assert!(in_pieces(&text, 1));
        in_pieces(&text.replace('\n', "\r\n"), 1);
        assert!(in_pieces(text.trim_end(), 1));
        assert!(in_pieces(&format!("{text}...\n"), 1));
    }

    #[test]
    fn a_long_file_is_read_in_pieces_and_a_short_one_is_not() {
        let stages: Vec<String> = (0..2000)
            .map(|at| PLAIN[0].replace("a:", &format!("a{at}:")))
            .collect();
        let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
        let source = Source::new("w.yaml", head_and(&stages));
        let tree = parse(&source);
        assert!(tree.is_some());
        assert_eq!(tree, parse_whole(&source, &mut Diagnostics::errors()));
        assert_eq!(parse(&Source::new("w.yaml", head_and(&stages[..2]))), None);
    }

    #[test]
    fn what_reaches_over_a_cut_is_read_as_a_whole() {
        for (why, stages) in [
            ("a key stands twice", "  a: 1\n  b: 2\n  a: 3\n"),
            ("an anchor", "  a: &x 1\n  b: 2\n  c: *x\n"),
            ("a tag", "  a: !!str 1\n  b: 2\n"),
            (
                "a block scalar",
                "  a: 1\n  text: |\n    x\n  b: 2\nmore: |\n  c: 3\n  d: 4\n",
            ),
            ("quotes", "  a: \"\n  b: 2\n  c: \"\n"),
            ("another map", "  a: 1\n  b: 2\nother:\n  c: 3\n  d: 4\n"),
            ("a key after it", "  a: 1\n  b: 2\nother: 3\n"),
            ("a second document", "  a: 1\n  b: 2\n---\n  c: 3\n"),
            ("an explicit key", "  a: 1\n  ? \n  b: 2\n  c: 3\n"),
            ("deeper keys", "  a:\n    x: 1\n   y: 2\n  b: 3\n"),
            ("no YAML", "  a: 1\n  b: [\n  c: 3\n"),
            ("a missing key", "  a: 1\n  : 2\n  c: 3\n"),
        ] {
            assert!(Cuts::find(&head_and(&[stages]), 1).is_some(), "{why}");
            assert!(!in_pieces(&head_and(&[stages]), 1), "{why}");
        }
        assert!(!in_pieces(
            "name: w\nstages: {\n  a: {},\n  b: 1,\n  c: 2\n}\n",
            1
        ));
        assert!(!in_pieces("name: w\nstages:\n- x:\n  b: 1\n  c: 2\n", 1));
    }

    #[test]
    fn the_depth_is_bounded_in_every_piece() {
        let nested = |name: &str, depth: usize| {
            format!("  {name}: {}{}\n", "[".repeat(depth), "]".repeat(depth))
        };
        let text = |depth| head_and(&["  a: 1\n", &nested("b", depth), "  c: 1\n"]);
        assert!(in_pieces(&text(62), 1));
        assert!(!in_pieces(&text(63), 1));
    }

    fn line() -> impl Strategy<Value = String> {
        let indent = prop::sample::select(vec!["", " ", "  ", "  ", "  ", "    ", "      ", "- "]);
        let rest = prop::sample::select(vec![
            "a:",
            "b: 1",
            "c: |",
            "d: >-",
            "e: \"",
            "f\"",
            "'",
            "g: '",
            "h: {",
            "}",
            "i: [",
            "]",
            "j: {k: 1}",
            "? l",
            ": m",
            "# n",
            "",
            "- o",
            "- p: q",
            "---",
            "...",
            "r: &s",
            "t: *s",
            "u: !!str v",
            "w",
            "\tx",
            "stages:",
        ]);
        (indent, rest, 0..20u8).prop_map(|(indent, rest, number)| {
            format!("{indent}{}\n", rest.replacen(':', &format!("{number}:"), 1))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn pieces_never_give_another_tree(lines in prop::collection::vec(line(), 1..14), piece in 1..40usize) {
            in_pieces(&head_and(&["  first: 1\n", &lines.concat()]), piece);
        }
    }
}
