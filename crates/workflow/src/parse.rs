//! YAML text to a tree of nodes with places, from the events of serde-saphyr's parser.
//!
//! Duplicate keys, merge keys, wrong tags and unknown aliases are reported and passed over, so that
//! the rest can be checked; a syntax error ends the reading. Size, depth and aliases are bounded.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::node::{Entry, Kind, Node};
use crate::scalar;
use crate::source::{Source, Span};

/// The most bytes of a file.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// The most maps and lists inside each other.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most values that all aliases of a file unfold to.
const MAX_ALIAS_NODES: usize = 100_000;

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
    errors: &'d mut Diagnostics,
    open: Vec<Open<'s>>,
    anchors: HashMap<usize, Anchored<'s>>,
    /// Values that aliases have unfolded to.
    alias_nodes: usize,
    /// Characters and bytes are the same thing in an ASCII text.
    ascii: bool,
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
    Map {
        entries: Vec<Entry<'s>>,
        key: Option<Key<'s>>,
        places: HashMap<Cow<'s, str>, Span>,
    },
}

enum Key<'s> {
    Good(Cow<'s, str>, Span),
    /// Reported already: its value is passed over.
    Bad,
}

struct Anchored<'s> {
    node: Node<'s>,
    nodes: usize,
    height: usize,
}

/// Maps with more entries than this find duplicates by a hash map.
const FEW_ENTRIES: usize = 12;

/// The document is not read further; the reason is reported.
struct Stop;

impl<'s, 'd> Builder<'s, 'd> {
    fn new(source: &'s Source, errors: &'d mut Diagnostics) -> Self {
        let ascii = source.text().is_ascii();
        Builder {
            source,
            errors,
            open: Vec::new(),
            anchors: HashMap::new(),
            alias_nodes: 0,
            ascii,
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
                    self.syntax(&error);
                    return None;
                }
            };
            let span = Span::new(self.offset(&span.start), self.offset(&span.end));
            let done = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.error(
                            Code::SeveralDocuments,
                            span,
                            "a second document begins here; a file holds one",
                            "second document",
                            "Put each workflow into a file of its own.",
                        );
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
                Event::MappingStart(_, anchor, tag) => self.start(
                    span,
                    anchor,
                    tag.as_deref(),
                    Content::Map {
                        entries: Vec::new(),
                        key: None,
                        places: HashMap::new(),
                    },
                ),
                Event::SequenceEnd | Event::MappingEnd => self.end(span),
                Event::Alias(anchor) => self.alias(anchor, span),
                Event::UnresolvedAlias(name) => self.unknown_alias(&name, span),
                _ => Ok(None),
            };
            match done {
                Ok(Some(node)) => root = Some(node),
                Ok(None) => {}
                Err(Stop) => return None,
            }
        }
        root
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
        self.keep(anchor, &node, 1, 0);
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
                self.unsupported(tag, span);
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
            let message = format!(
                "the tag !!{name} stands before {}, which is none",
                Node {
                    span,
                    kind: Kind::Text(text.clone())
                }
                .describe()
            );
            self.error(
                Code::UnsupportedTag,
                span,
                message,
                "tagged value",
                "Leave the tag out.",
            );
            return untagged(text);
        }
        kind
    }

    fn unsupported(&mut self, tag: &Tag, span: Span) {
        let message = format!("the tag `{}` has no meaning here", tag.original());
        self.error(
            Code::UnsupportedTag,
            span,
            message,
            "tagged value",
            "Leave the tag out.",
        );
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
                self.unsupported(tag, span);
            }
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(span));
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
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        let node = Node { span, kind };
        self.keep(open.anchor, &node, open.nodes, open.height + 1);
        self.add(node, open.nodes, open.height + 1)
    }

    fn keep(&mut self, anchor: usize, node: &Node<'s>, nodes: usize, height: usize) {
        if anchor > 0 {
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    height,
                },
            );
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Option<Node<'s>>, Stop> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            let name = self.source.slice(span).trim_start_matches('*').to_owned();
            let message = format!("the alias `*{name}` stands inside of what it names");
            self.error(
                Code::UnknownAlias,
                span,
                message,
                "names itself",
                "Write the value out.",
            );
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
            let message =
                format!("the aliases of this file unfold to more than {MAX_ALIAS_NODES} values");
            self.error(
                Code::TooManyAliases,
                span,
                message,
                "one alias too many",
                "Use fewer aliases, or a matrix.",
            );
            return Err(Stop);
        }
        if self.open.len() + anchored.height > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let (node, nodes, height) = (anchored.node.clone(), anchored.nodes, anchored.height);
        self.add(node, nodes, height)
    }

    fn unknown_alias(&mut self, name: &str, span: Span) -> Result<Option<Node<'s>>, Stop> {
        let message = format!("the alias `*{name}` names an anchor that does not stand before it");
        self.error(
            Code::UnknownAlias,
            span,
            message,
            "no such anchor",
            format!(
                "Put `&{name}` before the value that is meant, or quote the text if it is no alias."
            ),
        );
        self.add(
            Node {
                span,
                kind: Kind::Null,
            },
            1,
            0,
        )
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
            Content::Map {
                entries,
                key,
                places,
            } => match key.take() {
                None => {
                    let read = self.key(node);
                    if let Some(Open {
                        content: Content::Map { key, .. },
                        ..
                    }) = self.open.last_mut()
                    {
                        *key = Some(read);
                    }
                }
                Some(Key::Bad) => {}
                Some(Key::Good(name, span)) => {
                    let first = if entries.len() < FEW_ENTRIES {
                        entries
                            .iter()
                            .find(|entry| entry.key == name)
                            .map(|entry| entry.key_span)
                    } else {
                        if places.is_empty() {
                            places.extend(
                                entries
                                    .iter()
                                    .map(|entry| (entry.key.clone(), entry.key_span)),
                            );
                        }
                        let first = places.get(&name).copied();
                        if first.is_none() {
                            places.insert(name.clone(), span);
                        }
                        first
                    };
                    match first {
                        None => entries.push(Entry {
                            key: name,
                            key_span: span,
                            value: node,
                        }),
                        Some(first) => {
                            let message = format!("the key `{name}` stands twice in one map");
                            let diagnostic = Diagnostic::new(
                                Code::DuplicateKey,
                                self.source,
                                span,
                                message,
                                "second",
                            )
                            .label(first, "first")
                            .help("Remove one of the two, or rename it.");
                            self.errors.push(diagnostic);
                        }
                    }
                }
            },
        }
        Ok(None)
    }

    fn key(&mut self, node: Node<'s>) -> Key<'s> {
        let plain = self.source.slice(node.span) == "<<";
        match node.kind {
            Kind::Text(text) if plain && text == "<<" => {
                self.error(
                    Code::MergeKey,
                    node.span,
                    "`<<` is no key: YAML 1.2 has no merge keys",
                    "merge key",
                    "Write the keys out, or put what stages share under `defaults`.",
                );
                Key::Bad
            }
            Kind::Text(text) | Kind::Number { text, .. } => Key::Good(text, node.span),
            Kind::Bool(value) => Key::Good(
                Cow::Borrowed(if value { "true" } else { "false" }),
                node.span,
            ),
            Kind::Null => {
                let written = self.source.slice(node.span);
                if written.is_empty() {
                    self.error(
                        Code::InvalidKey,
                        node.span,
                        "a key is missing before `:`",
                        "no key",
                        "Write a name before the colon.",
                    );
                    Key::Bad
                } else {
                    Key::Good(Cow::Borrowed(written), node.span)
                }
            }
            Kind::List(_) | Kind::Map(_) => {
                let found = Node {
                    span: node.span,
                    kind: node.kind,
                }
                .describe();
                let help = "A key is a plain name. Inside { } and [ ] an expression stands in quotes: \"${{ … }}\".";
                self.error(
                    Code::InvalidKey,
                    node.span,
                    format!("a key has to be a text, found {found}"),
                    "no key",
                    help,
                );
                Key::Bad
            }
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let at = self.offset(error.marker());
        let text = self.source.text();
        let end = text[at..]
            .chars()
            .next()
            .map_or(at, |next| at + next.len_utf8());
        let what = error.info();
        let what = if what.is_empty() {
            "the text breaks off here or does not fit".to_owned()
        } else {
            what
        };
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        let help = if line.contains("${{") {
            "Inside { } and [ ], and before `: `, an expression stands in quotes: \"${{ … }}\"."
        } else if line.trim_start_matches(' ').starts_with('\t') {
            "Indent with spaces: YAML takes no tabs."
        } else {
            "Check indentation, quotes and brackets on this line and the one before."
        };
        self.error(
            Code::YamlSyntax,
            Span::new(at, end),
            format!("this is not YAML: {what}"),
            "here",
            help,
        );
    }

    fn too_deep(&mut self, span: Span) -> Stop {
        let message = format!("maps and lists are nested more than {MAX_DEPTH} deep");
        self.error(
            Code::TooDeep,
            Span::new(span.start, span.start),
            message,
            "too deep",
            "Nest less.",
        );
        Stop
    }

    fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        self.errors
            .push(Diagnostic::new(code, self.source, span, message, label).help(help));
    }

    /// The byte that a marker stands at, always on a character's border.
    fn offset(&self, marker: &Marker) -> usize {
        let text = self.source.text();
        let at = match marker.byte_offset() {
            Some(bytes) => bytes,
            None if self.ascii => marker.index(),
            None => text
                .char_indices()
                .nth(marker.index())
                .map_or(text.len(), |(at, _)| at),
        };
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// Without the white space at its end.
    fn trimmed(&self, span: Span) -> Span {
        Span::new(
            span.start,
            span.start + self.source.slice(span).trim_end().len(),
        )
    }
}
