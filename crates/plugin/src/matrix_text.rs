//! The values of a cell's matrix as people write them.

use indexmap::IndexMap;
use serde_json::Value;

/// `model=ple, seed=1`; empty without a matrix.
pub fn matrix_text(matrix: &IndexMap<String, Value>) -> String {
    let values = matrix.iter();
    let values = values.map(|(axis, value)| format!("{axis}={}", value_text(value)));
    values.collect::<Vec<_>>().join(", ")
}

/// Text without quotes, anything else as JSON.
pub fn value_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_stands_without_quotes() {
        let matrix = [("model", json!("ple")), ("rate", json!(0.1))];
        let matrix = matrix.map(|(axis, value)| (axis.to_owned(), value));
        assert_eq!(matrix_text(&matrix.into()), "model=ple, rate=0.1");
    }
}
