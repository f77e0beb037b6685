//! A YAML map while it is read: keys and values in turn, each key once.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::node::{Entry, Node};
use crate::source::Span;
use crate::yaml_mistakes::YamlMistakes;

/// Maps with more entries than this find duplicates by a hash map.
const FEW_ENTRIES: usize = 12;

pub(crate) struct MapBuilder<'s> {
    pub entries: Vec<Entry<'s>>,
    /// The key whose value comes next.
    key: Option<Key<'s>>,
    places: HashMap<Cow<'s, str>, Span>,
}

pub(crate) enum Key<'s> {
    Good(Cow<'s, str>, Span),
    /// Reported already: its value is passed over.
    Bad,
}

/// A key stands twice.
#[derive(Debug)]
pub(crate) struct DuplicateKey;

impl<'s> MapBuilder<'s> {
    /// Puts the entries into an empty buffer.
    pub fn new(buffer: Vec<Entry<'s>>) -> Self {
        MapBuilder {
            entries: buffer,
            key: None,
            places: HashMap::new(),
        }
    }

    /// Adds a key, or the value of the key before it.
    pub fn add(&mut self, node: Node<'s>, mistakes: &mut YamlMistakes<'s, '_>) {
        match self.key.take() {
            None => self.key = Some(mistakes.key(node)),
            Some(Key::Bad) => {}
            Some(Key::Good(key, key_span)) => match self.first(key.clone(), key_span) {
                None => self.entries.push(Entry {
                    key,
                    key_span,
                    value: node,
                }),
                Some(first) => mistakes.duplicate_key(&key, first, key_span),
            },
        }
    }

    /// Whether what is added next is a key.
    pub fn awaits_key(&self) -> bool {
        self.key.is_none()
    }

    /// Adds entries that were read elsewhere; none of those from the first on whose key stands
    /// already.
    pub fn extend(&mut self, entries: Vec<Entry<'s>>) -> Result<(), DuplicateKey> {
        self.entries.reserve(entries.len());
        for entry in entries {
            if self.first(entry.key.clone(), entry.key_span).is_some() {
                return Err(DuplicateKey);
            }
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Where the key stands already; from now on it stands at `span`.
    fn first(&mut self, key: Cow<'s, str>, span: Span) -> Option<Span> {
        if self.entries.len() < FEW_ENTRIES {
            return self
                .entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| entry.key_span);
        }
        if self.places.is_empty() {
            self.places.extend(
                self.entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.key_span)),
            );
        }
        let first = self.places.get(&key).copied();
        if first.is_none() {
            self.places.insert(key, span);
        }
        first
    }
}
