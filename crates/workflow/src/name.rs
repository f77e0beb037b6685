//! Names of stages, ports and axes: what they may look like.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a stage: letters, digits, `_` and `-`; begins with a letter or `_`; at most 100.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StageName(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name: a name has letters, digits, `_` and `-`, begins with a letter or `_` and has at most {MAX_NAME_LENGTH} characters"
)]
pub struct InvalidName(pub String);

/// The most characters of a name.
pub const MAX_NAME_LENGTH: usize = 100;

/// What a name looks like, as advice.
pub(crate) const RULES: &str = "A name has letters, digits, `_` and `-`, begins with a letter or `_` and has at most 100 characters.";

impl StageName {
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if is_name(text) {
            Ok(StageName(Arc::from(text)))
        } else {
            Err(InvalidName(text.to_owned()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for StageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StageName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        StageName::new(&text)
    }
}

impl From<StageName> for String {
    fn from(name: StageName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl PartialEq<str> for StageName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for StageName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Whether a text may name a stage, a port or an axis.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && text.len() <= MAX_NAME_LENGTH
}

/// Whether a text may name an environment variable.
pub(crate) fn is_variable_name(text: &str) -> bool {
    is_name(text) && !text.contains('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_a_letter_and_hold_no_dots() {
        for good in ["a", "_a", "fine-tune_2", "A1"] {
            assert!(is_name(good), "{good}");
        }
        let long = "a".repeat(MAX_NAME_LENGTH + 1);
        for bad in ["", "1a", "-a", "a.b", "a b", "ä", "a/b", long.as_str()] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(!is_variable_name("A-B"));
    }
}
