//! Params made up from a schema, for the conformance kit and for documentation.

use serde_json::{Map, Value, json};

use super::reading::follow;

/// The schema's own example where it gives one, else an object with every property that is
/// required or that an example is given for. What has a default is left to it.
pub fn example(schema: &Value) -> Map<String, Value> {
    match value(schema, schema, 0) {
        Some(Value::Object(params)) => params,
        _ => Map::new(),
    }
}

fn value(root: &Value, schema: &Value, depth: usize) -> Option<Value> {
    if depth > 16 {
        return None;
    }
    if let Some(given) = given(schema) {
        return Some(given);
    }
    let schema = follow(root, schema);
    if let Some(given) = given(schema) {
        return Some(given);
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(keyword).and_then(Value::as_array)
            && schema.get("properties").is_none()
        {
            return branches
                .iter()
                .find_map(|branch| value(root, branch, depth + 1));
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(Value::String(kind)) => Some(kind.as_str()),
        _ if schema.get("properties").is_some() => Some("object"),
        _ => None,
    };
    match kind? {
        "object" => Some(Value::Object(object(root, schema, depth))),
        "array" => Some(Value::Array(array(root, schema, depth))),
        "string" => Some(json!(text(schema))),
        "integer" => Some(json!(lowest(schema).unwrap_or(1.0).ceil() as i64)),
        "number" => Some(json!(lowest(schema).unwrap_or(1.0))),
        "boolean" => Some(json!(false)),
        "null" => Some(Value::Null),
        _ => None,
    }
}

fn given(schema: &Value) -> Option<Value> {
    let example = schema.get("examples").and_then(|examples| examples.get(0));
    let option = schema.get("enum").and_then(|options| options.get(0));
    example
        .or_else(|| schema.get("default"))
        .or_else(|| schema.get("const"))
        .or(option)
        .cloned()
}

fn object(root: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, property)| {
            required.contains(&name.as_str()) || property.get("examples").is_some()
        })
        .filter_map(|(name, property)| Some((name.clone(), value(root, property, depth + 1)?)))
        .collect()
}

fn array(root: &Value, schema: &Value, depth: usize) -> Vec<Value> {
    let least = schema
        .get("minItems")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        .min(100);
    let item = schema
        .get("items")
        .and_then(|items| value(root, items, depth + 1));
    (0..least).filter_map(|_| item.clone()).collect()
}

fn text(schema: &Value) -> String {
    let least = schema
        .get("minLength")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        .min(10_000);
    let mut text = "example".to_owned();
    while (text.chars().count() as u64) < least {
        text.push('x');
    }
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
        text = text.chars().take(most.min(10_000) as usize).collect();
    }
    text
}

fn lowest(schema: &Value) -> Option<f64> {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    if let Some(low) = bound("minimum") {
        return Some(low);
    }
    if let Some(low) = bound("exclusiveMinimum") {
        return Some(
            match bound("maximum").or_else(|| bound("exclusiveMaximum")) {
                Some(high) if high - low <= 1.0 => (low + high) / 2.0,
                _ => low + 1.0,
            },
        );
    }
    bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_go_before_defaults_and_types() {
        let schema = json!({
            "required": ["a", "b", "c", "d"],
            "properties": {
                "a": { "type": "integer", "minimum": 3 },
                "b": { "type": "string", "examples": ["shown"] },
                "c": { "oneOf": [{ "const": "x" }, { "const": "y" }] },
                "d": { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                "e": { "type": "integer" }
            }
        });
        assert_eq!(
            Value::Object(example(&schema)),
            json!({ "a": 3, "b": "shown", "c": "x", "d": 0.5 })
        );
    }
}
