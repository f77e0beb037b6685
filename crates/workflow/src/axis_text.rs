//! Values on axes as text: for the names of cells and for joining them.

use serde_json::Value;

use crate::scalar;

/// A value within a cell's name: quoted where it could be taken for something else.
pub(crate) fn label_text(value: &Value, digits: Option<&str>) -> String {
    match value {
        Value::Number(_) if digits.is_some() => digits.unwrap_or_default().to_owned(),
        Value::String(text) => {
            let plain = !text.is_empty()
                && text
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "._-/+@:".contains(letter))
                && !matches!(text.as_str(), "true" | "false" | "null")
                && scalar::number(text).is_none();
            if plain {
                text.clone()
            } else {
                Value::String(text.clone()).to_string()
            }
        }
        Value::Object(map) => {
            let inner: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", label_text(value, None)))
                .collect();
            format!("{{{}}}", inner.join(","))
        }
        other => other.to_string(),
    }
}

/// A value as a key for joining cells: equal values give equal texts.
pub(crate) fn join_text(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                format!("{}", float as i64)
            }
            _ => number.to_string(),
        },
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(join_text).collect::<Vec<_>>().join(",")
        ),
        Value::Object(map) => {
            let mut inner: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key:?}:{}", join_text(value)))
                .collect();
            inner.sort();
            format!("{{{}}}", inner.join(","))
        }
        other => other.to_string(),
    }
}
