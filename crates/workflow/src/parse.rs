//! YAML text to a tree of nodes with places, from the events of serde-saphyr's parser.
//!
//! Duplicate keys, merge keys, wrong tags and unknown aliases are reported and passed over, so that
//! the rest can be checked; a syntax error ends the reading. Size, depth and aliases are bounded.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Tag};

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::map_builder::MapBuilder;
use crate::node::{Kind, Node};
use crate::scalar;
use crate::source::{Source, Span};
use crate::yaml_mistakes::YamlMistakes;

/// The most bytes of a file.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// The most maps and lists inside each other.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most values that all aliases of a file unfold to.
pub(crate) const MAX_ALIAS_NODES: usize = 100_000;
/// The most values under all anchors of a file.
const MAX_ANCHORED_NODES: usize = 1_000_000;

/// The tree of the file's one document, as far as it can be read; none where it cannot be.
pub(crate) fn parse<'s>(source: &'s Source, errors: &mut Diagnostics) -> Option<Node<'s>> {
    if source.text().len() > MAX_BYTES {
        errors.push(too_large(source));
        return None;
    }
    Builder::new(source, errors).build()
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

struct Builder<'s, 'd> {
    source: &'s Source,
    mistakes: YamlMistakes<'s, 'd>,
    open: Vec<Open<'s>>,
    anchors: HashMap<usize, Anchored<'s>>,
    anchored_nodes: usize,
    /// Values that aliases have unfolded to.
    alias_nodes: usize,
}

/// A collection that has not ended.
struct Open<'s> {
    start: usize,
    anchor: usize,
    /// Nodes in it and levels under it, for the bounds on aliases.
    nodes: usize,
    height: usize,
    content: Content<'s>,
}

enum Content<'s> {
    List(Vec<Node<'s>>),
    Map(MapBuilder<'s>),
}

struct Anchored<'s> {
    node: Node<'s>,
    nodes: usize,
    height: usize,
}

/// The document is not read further; the reason is reported.
struct Stop;

impl<'s, 'd> Builder<'s, 'd> {
    fn new(source: &'s Source, errors: &'d mut Diagnostics) -> Self {
        Builder {
            source,
            mistakes: YamlMistakes::new(source, errors),
            open: Vec::new(),
            anchors: HashMap::new(),
            anchored_nodes: 0,
            alias_nodes: 0,
        }
    }

    fn build(mut self) -> Option<Node<'s>> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        options.emit_unresolved_aliases = true;
        let mut parser = Parser::new_from_str_with_options(self.source.text(), options);
        let mut root = None;
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = offset(self.source, error.marker());
                    self.mistakes.syntax(&error, at);
                    return None;
                }
            };
            let at = |marker| offset(self.source, marker);
            let span = Span::new(at(&span.start), at(&span.end));
            let done = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.mistakes.second_document(span);
                        break;
                    }
                    Ok(None)
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.scalar(text, style, anchor, tag.as_deref(), span)
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.start(span, anchor, tag.as_deref(), Content::List(Vec::new()))
                }
                Event::MappingStart(_, anchor, tag) => {
                    let content = Content::Map(MapBuilder::default());
                    self.start(span, anchor, tag.as_deref(), content)
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(span),
                Event::Alias(anchor) => self.alias(anchor, span),
                Event::UnresolvedAlias(name) => {
                    self.mistakes.unknown_alias(&name, span);
                    self.add(
                        Node {
                            span,
                            kind: Kind::Null,
                        },
                        1,
                        0,
                    )
                }
                _ => Ok(None),
            };
            match done {
                Ok(Some(node)) => root = Some(node),
                Ok(None) => {}
                Err(Stop) => return None,
            }
        }
        // After that nobody can say what is missing.
        root.filter(|_| !self.mistakes.something_is_left_out)
    }

    fn scalar(
        &mut self,
        text: Cow<'s, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Option<Node<'s>>, Stop> {
        let kind = match tag {
            None if style == ScalarStyle::Plain => scalar::plain(text),
            None => Kind::Text(text),
            Some(tag) => self.tagged(text, style, tag, span),
        };
        // Block scalars end at the next token: the place is their text alone.
        let span = self.trimmed(span);
        let node = Node { span, kind };
        self.keep(anchor, &node, 1, 0)?;
        self.add(node, 1, 0)
    }

    fn tagged(
        &mut self,
        text: Cow<'s, str>,
        style: ScalarStyle,
        tag: &Tag,
        span: Span,
    ) -> Kind<'s> {
        let untagged = |text: Cow<'s, str>| {
            if style == ScalarStyle::Plain {
                scalar::plain(text)
            } else {
                Kind::Text(text)
            }
        };
        let name = match tag.core_suffix() {
            Some("str") => return Kind::Text(text),
            Some(name) => name,
            None if tag.original() == "!" => return Kind::Text(text),
            None => {
                self.mistakes.unsupported_tag(&tag.original(), span);
                return untagged(text);
            }
        };
        let kind = scalar::plain(text.clone());
        let fits = match name {
            "null" => kind == Kind::Null,
            "bool" => matches!(kind, Kind::Bool(_)),
            "int" | "float" => matches!(kind, Kind::Number { .. }),
            _ => false,
        };
        if !fits {
            self.mistakes.wrong_tag(name, &text, span);
            return untagged(text);
        }
        kind
    }

    fn start(
        &mut self,
        span: Span,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content<'s>,
    ) -> Result<Option<Node<'s>>, Stop> {
        if let Some(tag) = tag {
            let right = if matches!(content, Content::List(_)) {
                "seq"
            } else {
                "map"
            };
            if !tag.is_yaml_core_schema_tag(right) && tag.original() != "!" {
                self.mistakes.unsupported_tag(&tag.original(), span);
            }
        }
        if self.open.len() >= MAX_DEPTH {
            self.mistakes.too_deep(span);
            return Err(Stop);
        }
        self.open.push(Open {
            start: span.start,
            anchor,
            nodes: 1,
            height: 0,
            content,
        });
        Ok(None)
    }

    fn end(&mut self, span: Span) -> Result<Option<Node<'s>>, Stop> {
        // The parser sends as many ends as starts; without one there is nothing to end.
        let Some(open) = self.open.pop() else {
            return Ok(None);
        };
        let span = self.trimmed(Span::new(open.start, span.end.max(open.start)));
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map(map) => Kind::Map(map.entries),
        };
        let node = Node { span, kind };
        self.keep(open.anchor, &node, open.nodes, open.height + 1)?;
        self.add(node, open.nodes, open.height + 1)
    }

    fn keep(
        &mut self,
        anchor: usize,
        node: &Node<'s>,
        nodes: usize,
        height: usize,
    ) -> Result<(), Stop> {
        if anchor == 0 {
            return Ok(());
        }
        self.anchored_nodes += nodes;
        if self.anchored_nodes > MAX_ANCHORED_NODES {
            self.mistakes.too_many_aliases(node.span);
            return Err(Stop);
        }
        let node = node.clone();
        self.anchors.insert(
            anchor,
            Anchored {
                node,
                nodes,
                height,
            },
        );
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Option<Node<'s>>, Stop> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            self.mistakes.alias_to_itself(span);
            return self.add(
                Node {
                    span,
                    kind: Kind::Null,
                },
                1,
                0,
            );
        };
        self.alias_nodes += anchored.nodes;
        if self.alias_nodes > MAX_ALIAS_NODES {
            self.mistakes.too_many_aliases(span);
            return Err(Stop);
        }
        if self.open.len() + anchored.height > MAX_DEPTH {
            self.mistakes.too_deep(span);
            return Err(Stop);
        }
        let (node, nodes, height) = (anchored.node.clone(), anchored.nodes, anchored.height);
        self.add(node, nodes, height)
    }

    /// Puts a finished node into the collection around it; returns it where there is none.
    fn add(
        &mut self,
        node: Node<'s>,
        nodes: usize,
        height: usize,
    ) -> Result<Option<Node<'s>>, Stop> {
        let Some(open) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        open.nodes += nodes;
        open.height = open.height.max(height);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map(map) => map.add(node, &mut self.mistakes),
        }
        Ok(None)
    }

    /// Without the white space at its end.
    fn trimmed(&self, span: Span) -> Span {
        let length = self.source.slice(span).trim_end().len();
        Span::new(span.start, span.start + length)
    }
}

/// The byte that a marker stands at, always on a character's border.
fn offset(source: &Source, marker: &Marker) -> usize {
    let text = source.text();
    // Read from a string, the parser knows all bytes.
    let at = marker.byte_offset().unwrap_or_else(|| marker.index());
    text.floor_char_boundary(at)
}
