//! The result of a stage, as it stands in `results/<stage key>`.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::artifact::Artifact;
use crate::digest::{Digest, RunId, StageKey};

/// The version of the result document that this build writes.
pub const RESULT_VERSION: u32 = 1;

/// What a stage gave, and what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// [`RESULT_VERSION`].
    pub version: u32,
    pub key: StageKey,
    /// What the key is the digest of: it can be compared field by field with another.
    pub manifest: KeyManifest,
    /// By port. An output that was left unwritten has no entry.
    pub outputs: IndexMap<String, Artifact>,
    /// The last value of each metric; not every one is finite.
    #[serde(with = "numbers")]
    pub metrics: IndexMap<String, f64>,
    /// Wall time of the attempt that succeeded.
    pub seconds: f64,
    pub peak_memory_bytes: Option<u64>,
    /// The run that made it.
    pub run: RunId,
    /// The instruction set class within which the numbers hold to the bit.
    pub instruction_set: String,
}

/// A key manifest: JSON text, parsed only where somebody looks into it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyManifest(Arc<str>);

impl KeyManifest {
    /// The compact JSON text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The manifest as a value.
    pub fn value(&self) -> Value {
        // It was made from a value or read as one.
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// Takes text that is known to be JSON.
    pub(crate) fn from_text(text: &str) -> KeyManifest {
        KeyManifest(text.into())
    }
}

impl From<Value> for KeyManifest {
    fn from(value: Value) -> KeyManifest {
        KeyManifest(value.to_string().into())
    }
}

impl fmt::Debug for KeyManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyManifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeyManifest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyManifest, D::Error> {
        Value::deserialize(deserializer).map(KeyManifest::from)
    }
}

/// The document begins with the digest of all that follows it, so that a flipped bit is seen.
const HEAD: &str = "{\"checksum\":\"";
const MIDDLE: &str = "\",\"result\":";
const TAIL: &str = "}\n";
const CHECKSUM_DIGITS: usize = 64;

impl StageResult {
    /// The document.
    pub(crate) fn to_document(&self) -> Result<Vec<u8>, serde_json::Error> {
        let body = serde_json::to_string(self)?;
        let checksum = Digest::of(body.as_bytes());
        Ok(format!("{HEAD}{checksum}{MIDDLE}{body}{TAIL}").into_bytes())
    }

    /// Reads a document that is to stand under `key`; says what is wrong with it.
    pub(crate) fn from_document(document: &[u8], key: &StageKey) -> Result<StageResult, String> {
        let broken = "it does not have the form of a result";
        let rest = document.strip_prefix(HEAD.as_bytes()).ok_or(broken)?;
        let (checksum, rest) = rest.split_at_checked(CHECKSUM_DIGITS).ok_or(broken)?;
        let rest = rest.strip_prefix(MIDDLE.as_bytes()).ok_or(broken)?;
        let body = rest.strip_suffix(TAIL.as_bytes()).ok_or(broken)?;
        if Digest::of(body).to_string().as_bytes() != checksum {
            return Err("its content does not have its checksum".to_owned());
        }
        let result: StageResult = serde_json::from_slice(body)
            .map_err(|error| format!("it cannot be read as a result: {error}"))?;
        if result.version > RESULT_VERSION {
            return Err(format!(
                "it has version {}, this program knows {RESULT_VERSION}",
                result.version
            ));
        }
        if result.key != *key {
            return Err(format!("it is the result of {}", result.key.short()));
        }
        Ok(result)
    }
}

/// JSON has no word for numbers that are not finite.
mod numbers {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Other(String),
    }

    pub(super) fn serialize<S: Serializer>(
        numbers: &IndexMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            numbers
                .iter()
                .map(|(name, number)| match number.is_finite() {
                    true => (name, Number::Finite(*number)),
                    false => (name, Number::Other(number.to_string())),
                }),
        )
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IndexMap<String, f64>, D::Error> {
        let numbers = IndexMap::<String, Number>::deserialize(deserializer)?;
        let number = |number| match number {
            Number::Finite(number) => Ok(number),
            Number::Other(text) => text
                .parse()
                .map_err(|_| serde::de::Error::custom(format!("`{text}` is no number"))),
        };
        numbers
            .into_iter()
            .map(|(name, value)| Ok((name, number(value)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::ArtifactKind;

    fn result() -> StageResult {
        let artifact = Artifact {
            digest: Digest::of(b"a"),
            kind: ArtifactKind::File,
            size_bytes: 7,
            files: 1,
        };
        StageResult {
            version: RESULT_VERSION,
            key: StageKey::of(b"{}"),
            manifest: serde_json::json!({"plugin": "shell", "params": {"b": 1, "a": "ü"}}).into(),
            outputs: [("out".to_owned(), artifact)].into_iter().collect(),
            metrics: [
                ("nan", f64::NAN),
                ("down", f64::NEG_INFINITY),
                ("pi", 0.1 + 0.2),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
            seconds: 0.25,
            peak_memory_bytes: None,
            run: RunId::generate(),
            instruction_set: "avx2".to_owned(),
        }
    }

    #[test]
    fn a_document_comes_back() {
        let result = result();
        let document = result.to_document().expect("a document");
        serde_json::from_slice::<Value>(&document).expect("it is JSON");
        let back = StageResult::from_document(&document, &result.key).expect("is whole");
        assert!(back.metrics["nan"].is_nan());
        assert_eq!(back.metrics["down"], f64::NEG_INFINITY);
        assert_eq!(back.metrics["pi"].to_bits(), (0.1_f64 + 0.2).to_bits());
        assert_eq!(
            (&back.manifest, &back.outputs),
            (&result.manifest, &result.outputs)
        );
        assert!(StageResult::from_document(&document, &StageKey::of(b"other")).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let result = result();
        let document = result.to_document().expect("a document");
        for at in 0..document.len() {
            assert!(
                StageResult::from_document(&document[..at], &result.key).is_err(),
                "cut at {at}"
            );
            for bit in 0..8 {
                let mut damaged = document.clone();
                damaged[at] ^= 1 << bit;
                assert!(
                    StageResult::from_document(&damaged, &result.key).is_err(),
                    "bit {bit} of byte {at}"
                );
            }
        }
    }
}
