//! Maps with known keys: unknown ones are reported with the nearest right one.

use crate::codes::Code;
use crate::nearest;
use crate::node::{Entry, Kind, Node};
use crate::session::{Reported, Session};

/// The entries of a map whose keys are all known.
pub(crate) struct Fields<'n, 's> {
    entries: &'n [Entry<'s>],
    /// Right keys that wrong ones were most likely meant to be.
    meant: Vec<String>,
}

impl<'n, 's> Fields<'n, 's> {
    /// The fields of `node`; reports it if it is no map, and all its unknown keys.
    pub fn read(
        session: &mut Session<'_>,
        node: &'n Node<'s>,
        what: &str,
        known: &[&str],
    ) -> Result<Self, Reported> {
        let Kind::Map(entries) = &node.kind else {
            let expected = if known.len() <= 6 {
                format!("a map with {}", known.join(", "))
            } else {
                "a map".to_owned()
            };
            return Err(session.wrong_kind(node, what, &expected));
        };
        let mut meant = Vec::new();
        for entry in entries {
            if !known.contains(&entry.key.as_ref()) {
                meant.extend(unknown_key(session, entry, what, known));
            }
        }
        Ok(Fields { entries, meant })
    }

    pub fn get(&self, key: &str) -> Option<&'n Node<'s>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Whether the key is missing, and not just misspelt, which is reported already.
    pub fn lacks(&self, key: &str) -> bool {
        self.get(key).is_none() && !self.meant.iter().any(|meant| meant == key)
    }

    pub fn entry(&self, key: &str) -> Option<&'n Entry<'s>> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Reports an unknown key; gives the right one that is nearest to it.
pub(crate) fn unknown_key(
    session: &mut Session<'_>,
    entry: &Entry<'_>,
    what: &str,
    known: &[&str],
) -> Option<String> {
    let key = entry.key.as_ref();
    let help = nearest::advice(key, "key", known.iter().copied());
    session.error(
        Code::UnknownKey,
        entry.key_span,
        format!("`{key}` is no key of {what}"),
        "unknown key",
        help,
    );
    nearest::nearest(key, known.iter().copied()).map(str::to_owned)
}
