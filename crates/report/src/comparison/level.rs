//! Axes of a comparison, and where a value stands on one.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Axes that every evaluation has beside those of the workflow's matrix.
pub(crate) const TASK: &str = "task";
pub(crate) const METRIC: &str = "metric";
/// Of a multiclass task, one against the rest.
pub(crate) const CLASS: &str = "class";
/// The stage whose output was evaluated.
pub(crate) const STAGE: &str = "stage";
/// `predictions`, or `embeddings` for a probe.
pub(crate) const SOURCE: &str = "source";
/// The place among inputs that nothing else tells apart.
pub(crate) const INPUT: &str = "input";
/// The cell that evaluated.
pub(crate) const EVALUATION: &str = "evaluation";
pub(crate) const RUN: &str = "run";

pub(crate) const OWN_AXES: [&str; 8] = [TASK, METRIC, CLASS, STAGE, SOURCE, INPUT, EVALUATION, RUN];

/// The value of an axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Level {
    /// The row is of a stage without this axis.
    Absent,
    Named(Arc<str>),
    /// Over all tasks.
    Mean,
}

impl Level {
    pub(crate) fn named(text: &str) -> Level {
        Level::Named(text.into())
    }

    /// Of a matrix: text without its quotes, anything else as JSON.
    pub(crate) fn of_value(value: &Value) -> Level {
        match value {
            Value::String(text) => Level::named(text),
            other => Level::named(&other.to_string()),
        }
    }

    /// Whether a user who writes `text` means this one; `1.10` means 1.1.
    pub(crate) fn is_meant_by(&self, text: &str) -> bool {
        let number = |text: &str| text.parse::<f64>().ok();
        let own = self.to_string();
        own == text || number(&own).is_some_and(|own| number(text) == Some(own))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Absent => "-",
            Level::Named(text) => text,
            Level::Mean => "mean",
        })
    }
}

/// Text, or null where there is none.
impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Level::Absent => serializer.serialize_none(),
            named => serializer.collect_str(named),
        }
    }
}

/// `model=ple, layers=2`; axes that are absent only where all are.
pub(crate) fn levels_text(axes: &[Arc<str>], levels: &[Level]) -> String {
    let all = || axes.iter().zip(levels);
    let some: Vec<String> = all()
        .filter(|(_, level)| **level != Level::Absent)
        .map(|(axis, level)| format!("{axis}={level}"))
        .collect();
    match some.is_empty() {
        true => all()
            .map(|(axis, _)| format!("{axis}=-"))
            .collect::<Vec<_>>(),
        false => some,
    }
    .join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_meant_by_their_text_and_numbers_by_their_value() {
        let level = |value: Value| Level::of_value(&value);
        assert!(level(json!("ple")).is_meant_by("ple"));
        assert!(!level(json!("ple")).is_meant_by("PLE"));
        assert!(level(json!(1.1)).is_meant_by("1.10"));
        assert!(level(json!(true)).is_meant_by("true"));
        assert!(Level::Absent.is_meant_by("-"));
        assert!(!level(json!("1")).is_meant_by("x"));
    }

    #[test]
    fn names_leave_out_what_is_absent() {
        let axes = ["model", "layers"].map(Arc::from);
        let ple = Level::named("ple");
        assert_eq!(levels_text(&axes, &[ple, Level::Absent]), "model=ple");
        assert_eq!(
            levels_text(&axes, &[Level::Absent, Level::Absent]),
            "model=-, layers=-"
        );
    }
}
