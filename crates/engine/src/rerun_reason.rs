//! Why a stage runs: one variant for every cause, with what was and what is.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// In JSON: `{"kind", "field", "old", "new", "file", "line"}`, each where it applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RerunReason {
    /// No earlier result of this stage is known.
    FirstRun,
    /// The result that this key once had is no longer in the store.
    ResultGone,
    /// Part of the result is missing or not what it was.
    ResultDamaged { what: String },
    ParamChanged {
        /// `with.lr`
        field: String,
        old: Value,
        new: Value,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    ParamAdded {
        field: String,
        new: Value,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    ParamRemoved {
        field: String,
        old: Value,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    /// The value of an expression in a shell command.
    CommandValueChanged {
        /// The expression, `params.seed`.
        field: String,
        old: Value,
        new: Value,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    EnvChanged {
        /// `env.LANG`
        field: String,
        old: Option<String>,
        new: Option<String>,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    InputChanged {
        /// `inputs.dataset`
        field: String,
        /// The cell that made it, or the file: `prepare`, `./data/2010.parquet`.
        from: String,
        /// Digests; none where the input was not there.
        old: Option<String>,
        new: Option<String>,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    PluginChanged {
        what: PluginChange,
        /// `uses`
        field: String,
        old: String,
        new: String,
        #[serde(flatten)]
        place: ReasonPlace,
    },
    DeviceChanged {
        field: String,
        old: Value,
        new: Value,
    },
    /// This version of supermoe makes keys in another way.
    KeyVersionChanged { old: Value, new: Value },
    /// Its inputs are not known before this stage has run; it may still be cached then.
    UpstreamRuns { stage: String },
    /// `--force`
    Forced,
    /// `cache: false`
    Uncacheable {
        #[serde(flatten)]
        place: ReasonPlace,
    },
}

/// Where in the user's file the cause stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReasonPlace {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginChange {
    Name,
    Revision,
    /// The chosen variant's own code, such as a model's.
    VariantRevision,
}

impl fmt::Display for ReasonPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})"),
            (Some(file), None) => write!(f, " ({file})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for RerunReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RerunReason::FirstRun => f.write_str("first run"),
            RerunReason::ResultGone => f.write_str("its result is no longer in the store"),
            RerunReason::ResultDamaged { what } => write!(f, "result damaged: {what}"),
            RerunReason::ParamChanged {
                field,
                old,
                new,
                place,
            } => {
                write!(f, "{field}: {} -> {}{place}", Short(old), Short(new))
            }
            RerunReason::ParamAdded { field, new, place } => {
                write!(f, "{field}: added, {}{place}", Short(new))
            }
            RerunReason::ParamRemoved { field, old, place } => {
                write!(f, "{field}: removed, was {}{place}", Short(old))
            }
            RerunReason::CommandValueChanged {
                field,
                old,
                new,
                place,
            } => {
                write!(
                    f,
                    "${{{{ {field} }}}}: {} -> {}{place}",
                    Short(old),
                    Short(new)
                )
            }
            RerunReason::EnvChanged {
                field,
                old,
                new,
                place,
            } => {
                write!(f, "{field}: {} -> {}{place}", OrUnset(old), OrUnset(new))
            }
            RerunReason::InputChanged {
                field,
                from,
                old,
                new,
                place,
            } => match (old, new) {
                (None, _) => write!(f, "{field}: added, from {from}{place}"),
                (_, None) => write!(f, "{field}: removed, was from {from}{place}"),
                (Some(old), Some(new)) => {
                    write!(
                        f,
                        "{field}: {from} changed, {} -> {}{place}",
                        head(old),
                        head(new)
                    )
                }
            },
            RerunReason::PluginChanged {
                what,
                old,
                new,
                place,
                ..
            } => match what {
                PluginChange::Name => write!(f, "uses: {old} -> {new}{place}"),
                PluginChange::Revision => {
                    write!(
                        f,
                        "the plugin's code changed, {} -> {}{place}",
                        head(old),
                        head(new)
                    )
                }
                PluginChange::VariantRevision => {
                    write!(
                        f,
                        "the variant's code changed, {} -> {}{place}",
                        head(old),
                        head(new)
                    )
                }
            },
            RerunReason::DeviceChanged { field, old, new } => {
                write!(f, "{field}: {} -> {}", Short(old), Short(new))
            }
            RerunReason::KeyVersionChanged { old, new } => {
                write!(
                    f,
                    "stage keys are made in another way (version {old} -> {new})"
                )
            }
            RerunReason::UpstreamRuns { stage } => write!(f, "{stage} runs before it"),
            RerunReason::Forced => f.write_str("forced"),
            RerunReason::Uncacheable { place } => write!(f, "cache: false{place}"),
        }
    }
}

/// A digest's first characters; other revisions whole.
fn head(digest: &str) -> &str {
    if digest.len() == 64 {
        digest.get(..8).unwrap_or(digest)
    } else {
        digest
    }
}

struct OrUnset<'a>(&'a Option<String>);

impl fmt::Display for OrUnset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, "{text:?}"),
            None => f.write_str("not set"),
        }
    }
}

/// A value on one line, long ones cut.
struct Short<'a>(&'a Value);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let text = match self.0 {
            Value::String(text) if text.contains('\n') || text.is_empty() => format!("{text:?}"),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.chars().count() <= LONGEST {
            return f.write_str(&text);
        }
        let cut: String = text.chars().take(LONGEST - 1).collect();
        write!(f, "{cut}…")
    }
}
