//! The values of an id or category channel and their codes.

use std::collections::HashMap;

use crate::schema::{FIRST_CODE, UNKNOWN_CODE};

/// Values by falling count, ties in the order of their text; the first has code 3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub value: String,
    /// How often it stands in the training period.
    pub count: u64,
}

impl Vocabulary {
    /// Keeps the values that were counted at least `min_count` times.
    pub fn from_counts(counts: impl IntoIterator<Item = (String, u64)>, min_count: u64) -> Self {
        let kept = counts.into_iter().filter(|(_, count)| *count >= min_count);
        let mut entries: Vec<Entry> = kept.map(|(value, count)| Entry { value, count }).collect();
        entries.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        Self { entries }
    }

    /// Keeps the first `max_size` values: those counted most often.
    pub fn truncate(&mut self, max_size: usize) {
        self.entries.truncate(max_size);
    }

    pub(crate) fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entry at index i has code i + 3.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of codes, reserved ones included.
    pub fn codes(&self) -> u32 {
        // A vocabulary is made from at most u32::MAX steps.
        self.entries.len() as u32 + FIRST_CODE
    }

    /// The value of a code; none for the reserved codes.
    pub fn value(&self, code: u32) -> Option<&str> {
        let index = code.checked_sub(FIRST_CODE)?;
        self.entries
            .get(index as usize)
            .map(|entry| entry.value.as_str())
    }

    pub fn encoder(&self) -> Encoder<'_> {
        let codes = self.entries.iter().zip(FIRST_CODE..);
        Encoder {
            codes: codes
                .map(|(entry, code)| (entry.value.as_str(), code))
                .collect(),
        }
    }
}

/// Looks up codes by value.
pub struct Encoder<'a> {
    codes: HashMap<&'a str, u32>,
}

impl Encoder<'_> {
    /// Whether a value has a code of its own.
    pub fn knows(&self, value: &str) -> bool {
        self.codes.contains_key(value)
    }

    pub fn code(&self, value: Option<&str>) -> u32 {
        value
            .and_then(|value| self.codes.get(value).copied())
            .unwrap_or(UNKNOWN_CODE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fall_with_the_count_and_ties_follow_the_text() {
        let counts = [("b", 2), ("a", 2), ("c", 5), ("rare", 1)];
        let counts = counts.map(|(value, count)| (value.to_owned(), count));
        let vocabulary = Vocabulary::from_counts(counts, 2);
        let encoder = vocabulary.encoder();
        assert_eq!(
            ["c", "a", "b", "rare"].map(|value| encoder.code(Some(value))),
            [3, 4, 5, 1]
        );
        assert_eq!(encoder.code(None), UNKNOWN_CODE);
        assert_eq!(vocabulary.codes(), 6);
        assert_eq!(vocabulary.value(4), Some("a"));
        assert_eq!(vocabulary.value(MASK), None);
    }

    const MASK: u32 = crate::schema::MASK_CODE;
}
