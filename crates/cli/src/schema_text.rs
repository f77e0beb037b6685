//! A JSON Schema of params as a person reads it: one row for each param.

use serde_json::{Map, Value};

/// One param: its dotted name, what it takes, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamRow {
    pub name: String,
    /// `integer from 1, default 4`
    pub takes: String,
    pub description: String,
}

/// Nesting beyond this is told as `map`.
const DEEPEST: usize = 6;

/// The params of an object schema, nested ones by their dotted names.
pub fn param_rows(schema: &Value) -> Vec<ParamRow> {
    let mut rows = Vec::new();
    add_properties(schema, schema, "", 0, &mut rows);
    rows
}

fn add_properties(
    root: &Value,
    schema: &Value,
    prefix: &str,
    depth: usize,
    rows: &mut Vec<ParamRow>,
) {
    let schema = resolved(root, schema);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, property) in properties {
        let full = format!("{prefix}{name}");
        let inner = without_null(root, property);
        let mut takes = type_text(root, inner, depth);
        let default = property.get("default").or_else(|| inner.get("default"));
        match default.filter(|value| !value.is_null()) {
            Some(value) => takes.push_str(&format!(", default {}", value_text(value))),
            None if required.contains(&name.as_str()) => takes.push_str(", required"),
            None => takes.push_str(", optional"),
        }
        rows.push(ParamRow {
            name: full.clone(),
            takes,
            description: description(property)
                .or_else(|| description(inner))
                .unwrap_or_default(),
        });
        if depth < DEEPEST {
            add_nested(root, inner, &full, depth, rows);
        }
    }
}

/// The params inside a map, a list's elements, a map's values.
fn add_nested(root: &Value, schema: &Value, name: &str, depth: usize, rows: &mut Vec<ParamRow>) {
    add_properties(root, schema, &format!("{name}."), depth + 1, rows);
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        add_properties(root, items, &format!("{name}[]."), depth + 1, rows);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|v| v.is_object()) {
        add_properties(root, values, &format!("{name}.NAME."), depth + 1, rows);
    }
}

/// Follows `$ref` to `#/$defs/…`; a reference that leads nowhere is taken as it is.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..16 {
        let Some(target) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| root.pointer(pointer))
        else {
            break;
        };
        schema = target;
    }
    schema
}

/// `anyOf: [X, null]` is X: that it may be absent is told otherwise.
fn without_null<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = resolved(root, schema);
    let Some(choices) = alternatives(schema) else {
        return schema;
    };
    let real: Vec<&Value> = choices
        .iter()
        .filter(|choice| choice.get("type").and_then(Value::as_str) != Some("null"))
        .collect();
    match real.as_slice() {
        [one] => resolved(root, one),
        _ => schema,
    }
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Value::as_array)
}

fn description(schema: &Value) -> Option<String> {
    schema
        .get("description")
        .and_then(Value::as_str)
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn type_text(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = without_null(root, schema);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let shown: Vec<String> = values.iter().map(value_text).collect();
        return format!("one of {}", shown.join(", "));
    }
    if let Some(value) = schema.get("const") {
        return value_text(value);
    }
    if let Some(choices) = alternatives(schema)
        && depth <= DEEPEST
    {
        let mut shown: Vec<String> = Vec::new();
        for choice in choices {
            let text = type_text(root, choice, depth + 1);
            if text != "null" && !shown.contains(&text) {
                shown.push(text);
            }
        }
        return shown.join(" or ");
    }
    let Some(object) = schema.as_object() else {
        return "anything".to_owned();
    };
    match type_names(object).as_slice() {
        [] if object.contains_key("properties") => "map".to_owned(),
        [] => "anything".to_owned(),
        [one] => one_type(root, object, one, depth),
        several => several.join(" or "),
    }
}

fn type_names(object: &Map<String, Value>) -> Vec<&str> {
    match object.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| *name != "null")
            .collect(),
        _ => Vec::new(),
    }
}

fn one_type(root: &Value, object: &Map<String, Value>, name: &str, depth: usize) -> String {
    match name {
        "integer" | "number" => format!("{name}{}", range_text(object)),
        "boolean" => "true or false".to_owned(),
        "string" => {
            let example = object.get("examples").and_then(|examples| examples.get(0));
            let pattern = object.get("pattern").and_then(Value::as_str);
            match (example.and_then(Value::as_str), pattern) {
                (Some(example), Some(_)) => format!("string such as {example}"),
                (None, Some(pattern)) => format!("string like {pattern}"),
                (_, None) => "string".to_owned(),
            }
        }
        "array" if depth < DEEPEST => match object.get("items") {
            Some(items) => format!("list of {}", type_text(root, items, depth + 1)),
            None => "list".to_owned(),
        },
        "array" => "list".to_owned(),
        "object" if depth < DEEPEST => match object.get("additionalProperties") {
            Some(values) if values.is_object() => {
                format!("map from name to {}", type_text(root, values, depth + 1))
            }
            _ => "map".to_owned(),
        },
        "object" => "map".to_owned(),
        other => other.to_owned(),
    }
}

/// ` from 1 to 10`, ` above 0`, ` below 1`.
fn range_text(object: &Map<String, Value>) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("minimum", "from"),
        ("exclusiveMinimum", "above"),
        ("maximum", "to"),
        ("exclusiveMaximum", "below"),
    ];
    WORDS
        .iter()
        .filter_map(|(key, word)| {
            let value = object.get(*key)?;
            let text = match value.as_f64() {
                Some(number) if number == number.trunc() && number.abs() < 1e15 => {
                    format!("{number:.0}")
                }
                _ => value_text(value),
            };
            Some(format!(" {word} {text}"))
        })
        .collect()
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_param_is_told() {
        let schema = json!({
            "type": "object",
            "required": ["command", "model"],
            "properties": {
                "command": { "type": "string", "description": "What sh runs\nin one go." },
                "model": { "enum": ["supermoe", "ple"] },
                "lr": { "type": "number", "exclusiveMinimum": 0.0, "maximum": 1.0, "default": 0.001 },
                "layers": { "type": "integer", "minimum": 1, "default": 4 },
                "shuffle": { "type": "boolean", "default": true },
                "limit": { "anyOf": [{ "$ref": "#/$defs/Limit" }, { "type": "null" }] },
                "size": { "type": ["integer", "null"], "minimum": 0 },
                "outputs": { "type": "object", "additionalProperties": { "enum": ["file", "folder"] } },
                "tasks": { "type": "array", "items": { "$ref": "#/$defs/Task" } },
                "either": { "anyOf": [{ "type": "string" }, { "type": "number" }] },
                "what": {}
            },
            "$defs": {
                "Limit": { "type": "object", "description": "How much.", "properties": { "rows": { "type": "integer" } } },
                "Task": { "type": "object", "required": ["name"], "properties": {
                    "name": { "type": "string", "description": "Of the task." } } }
            }
        });
        let text: Vec<String> = param_rows(&schema)
            .into_iter()
            .map(|row| format!("{} | {} | {}", row.name, row.takes, row.description))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn schemas_that_turn_in_circles_end() {
        let schema = json!({
            "properties": { "a": { "$ref": "#/$defs/A" }, "b": { "$ref": "#/$defs/B" } },
            "$defs": {
                "A": { "type": "object", "properties": { "a": { "$ref": "#/$defs/A" } } },
                "B": { "$ref": "#/$defs/B" }
            }
        });
        assert!(param_rows(&schema).len() <= DEEPEST + 3);
    }
}
