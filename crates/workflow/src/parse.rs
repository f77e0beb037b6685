//! YAML text to a tree of nodes with places, from the events of serde-saphyr's parser.
//!
//! A syntax error ends the reading; other mistakes are reported and passed over. The size is bounded.

use serde_saphyr::granit_parser::{Event, Marker, Options, Parser, ScanError, StrInput};

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::node::Node;
use crate::pieces;
use crate::source::{Source, Span};
use crate::tree_builder::{Stop, TreeBuilder};

/// The most bytes of a file.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// The most maps and lists inside each other.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most values that all aliases of a file unfold to.
pub(crate) const MAX_ALIAS_NODES: usize = 100_000;
/// The most values under all anchors of a file.
pub(crate) const MAX_ANCHORED_NODES: usize = 1_000_000;

/// The tree of the file's one document, as far as it can be read; none where it cannot be.
pub(crate) fn parse<'s>(source: &'s Source, errors: &mut Diagnostics) -> Option<Node<'s>> {
    if source.text().len() > MAX_BYTES {
        errors.push(too_large(source));
        return None;
    }
    // What is not right there is read again as a whole, and told of.
    pieces::parse(source).or_else(|| parse_whole(source, errors))
}

fn too_large(source: &Source) -> Diagnostic {
    let message = format!(
        "{} has {} bytes; at most {MAX_BYTES} are read",
        source.path().display(),
        source.text().len()
    );
    Diagnostic::without_source(Code::FileTooLarge, message)
        .help("Data does not belong into a workflow: give it as an input.")
}

/// Reads from the first byte to the last.
pub(crate) fn parse_whole<'s>(source: &'s Source, errors: &mut Diagnostics) -> Option<Node<'s>> {
    let mut builder = TreeBuilder::new(source, 0, errors);
    let mut events = Events::from(source, 0);
    let mut root = None;
    let mut documents = 0;
    while let Some(event) = events.next() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = events.offset(error.marker());
                builder.mistakes.syntax(&error, at);
                return None;
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                builder.mistakes.second_document(span);
                break;
            }
        }
        match builder.take(event, span) {
            Ok(Some(node)) => root = Some(node),
            Ok(None) => {}
            Err(Stop) => return None,
        }
    }
    // After that nobody can say what is missing.
    root.filter(|_| !builder.mistakes.something_is_left_out)
}

/// The parser's events with their places in the file.
pub(crate) struct Events<'s> {
    parser: Parser<'s, StrInput<'s>>,
    text: &'s str,
    from: usize,
}

impl<'s> Events<'s> {
    /// Reads on from the byte `from`, which a line begins with.
    pub fn from(source: &'s Source, from: usize) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.emit_unresolved_aliases = true;
        let text = source.text();
        Events {
            parser: Parser::new_from_str_with_options(&text[from..], options),
            text,
            from,
        }
    }

    #[inline]
    pub fn next(&mut self) -> Option<Result<(Event<'s>, Span), ScanError>> {
        Some(match self.parser.next_event()? {
            Ok((event, span)) => {
                let span = Span::new(self.offset(&span.start), self.offset(&span.end));
                Ok((event, span))
            }
            Err(error) => Err(error),
        })
    }

    /// The byte of the file that a marker stands at, always on a character's border.
    pub fn offset(&self, marker: &Marker) -> usize {
        // Read from a string, the parser knows all bytes.
        let at = marker.byte_offset().unwrap_or_else(|| marker.index());
        self.text.floor_char_boundary(self.from + at)
    }
}
