//! Events of the YAML parser to a tree of nodes with places.
//!
//! Duplicate keys, merge keys, wrong tags and unknown aliases are reported and passed over, so that
//! the rest can be checked. Depth and aliases are bounded.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, ScalarStyle, Tag};

use crate::diagnostics::Diagnostics;
use crate::map_builder::MapBuilder;
use crate::node::{Entry, Kind, Node};
use crate::parse::{MAX_ALIAS_NODES, MAX_ANCHORED_NODES, MAX_DEPTH};
use crate::scalar;
use crate::source::{Source, Span};
use crate::yaml_mistakes::YamlMistakes;

/// The tree of one document, as far as it has been read.
pub(crate) struct TreeBuilder<'s, 'd> {
    source: &'s Source,
    pub mistakes: YamlMistakes<'s, 'd>,
    /// Collections around what is read here: they count for the depth.
    around: usize,
    open: Vec<Open<'s>>,
    anchors: HashMap<usize, Anchored<'s>>,
    anchored_nodes: usize,
    /// Values that aliases have unfolded to.
    alias_nodes: usize,
    /// Emptied buffers of collections that have ended: what is kept of each is as long as it is.
    spare_lists: Vec<Vec<Node<'s>>>,
    spare_maps: Vec<Vec<Entry<'s>>>,
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
pub(crate) struct Stop;

impl<'s, 'd> TreeBuilder<'s, 'd> {
    /// Of what stands inside `around` collections; none for a whole document.
    pub fn new(source: &'s Source, around: usize, errors: &'d mut Diagnostics) -> Self {
        TreeBuilder {
            source,
            mistakes: YamlMistakes::new(source, errors),
            around,
            open: Vec::new(),
            anchors: HashMap::new(),
            anchored_nodes: 0,
            alias_nodes: 0,
            spare_lists: Vec::new(),
            spare_maps: Vec::new(),
        }
    }

    /// Takes the next event in; returns the tree when it is complete.
    pub fn take(&mut self, event: Event<'s>, span: Span) -> Result<Option<Node<'s>>, Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let content = Content::List(self.spare_lists.pop().unwrap_or_default());
                self.start(span, anchor, tag.as_deref(), content)
            }
            Event::MappingStart(_, anchor, tag) => {
                let buffer = self.spare_maps.pop().unwrap_or_default();
                let content = Content::Map(MapBuilder::new(buffer));
                self.start(span, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                self.mistakes.unknown_alias(&name, span);
                let kind = Kind::Null;
                self.add(Node { span, kind }, 1, 0)
            }
            _ => Ok(None),
        }
    }

    /// How many collections are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The innermost collection, if it is a map of which a key comes next.
    pub fn map_before_key(&mut self) -> Option<&mut MapBuilder<'s>> {
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Map(map)) if map.awaits_key() => Some(map),
            _ => None,
        }
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
            "int" | "float" => matches!(kind, Kind::Number(_)),
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
        if self.around + self.open.len() >= MAX_DEPTH {
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
            Content::List(mut items) => {
                let kept = items.drain(..).collect();
                self.spare_lists.push(items);
                Kind::List(kept)
            }
            Content::Map(MapBuilder { mut entries, .. }) => {
                let kept = entries.drain(..).collect();
                self.spare_maps.push(entries);
                Kind::Map(kept)
            }
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
        if self.around + self.open.len() + anchored.height > MAX_DEPTH {
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
