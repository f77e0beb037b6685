//! Fills in a schema's defaults, and takes out of params what equals them.

use serde_json::{Map, Number, Value};

use super::parts::{DEPTH_LIMIT, further, is_required, item_schema, parts_for, properties};
use super::reading::follow;

/// `value` with defaults filled in.
pub fn complete(schema: &Value, value: &Value) -> Value {
    complete_in(schema, schema, value, 0)
}

/// `value` with the defaults of the part of `schema` at `pointer` filled in.
pub fn complete_at(schema: &Value, pointer: &str, value: &Value) -> Value {
    match schema.pointer(pointer) {
        Some(part) => complete_in(schema, part, value, 0),
        None => value.clone(),
    }
}

/// `value` without what filling in defaults would bring back.
pub fn explicit(schema: &Value, value: &Value) -> Value {
    explicit_in(schema, schema, value, 0)
}

/// Every default that the schema declares, with the JSON pointer of the schema it belongs to.
pub fn declared(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect_declared(schema, &mut String::new(), &mut found);
    found
}

fn collect_declared(schema: &Value, pointer: &mut String, found: &mut Vec<(String, Value)>) {
    let Some(object) = schema.as_object() else {
        return;
    };
    if let Some(default) = object.get("default") {
        found.push((pointer.clone(), default.clone()));
    }
    for (keyword, value) in object {
        match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(members)) => {
                for (name, member) in members {
                    let length = pointer.len();
                    let name = name.replace('~', "~0").replace('/', "~1");
                    pointer.push_str(&format!("/{keyword}/{name}"));
                    collect_declared(member, pointer, found);
                    pointer.truncate(length);
                }
            }
            ("items" | "additionalProperties", Value::Object(_)) => {
                let length = pointer.len();
                pointer.push_str(&format!("/{keyword}"));
                collect_declared(value, pointer, found);
                pointer.truncate(length);
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(members)) => {
                for (index, member) in members.iter().enumerate() {
                    let length = pointer.len();
                    pointer.push_str(&format!("/{keyword}/{index}"));
                    collect_declared(member, pointer, found);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }
}

fn complete_in(root: &Value, schema: &Value, value: &Value, depth: usize) -> Value {
    if depth > DEPTH_LIMIT {
        return value.clone();
    }
    let parts = parts_for(root, schema, value, 0);
    match value {
        Value::Object(given) => {
            let mut complete = Map::new();
            // In the schema's order, so that what a plugin reads does not depend on the user's.
            for (name, property) in properties(&parts) {
                if complete.contains_key(name) {
                    continue;
                }
                let filled = match given.get(name) {
                    Some(given) => Some(complete_in(root, property, given, depth + 1)),
                    None => absent(root, property, is_required(&parts, name), depth + 1),
                };
                if let Some(filled) = filled {
                    complete.insert(name.to_owned(), filled);
                }
            }
            for (name, given) in given {
                if !complete.contains_key(name) {
                    let filled = match further(&parts) {
                        Some(schema) => complete_in(root, schema, given, depth + 1),
                        None => given.clone(),
                    };
                    complete.insert(name.clone(), filled);
                }
            }
            Value::Object(complete)
        }
        Value::Array(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| match item_schema(&parts, index) {
                    Some(schema) => complete_in(root, schema, item, depth + 1),
                    None => item.clone(),
                })
                .collect(),
        ),
        Value::Number(number) => in_form(&parts, number),
        _ => value.clone(),
    }
}

/// What an absent property stands for: its default, or for an object without one the defaults
/// of its own properties, where those are enough.
fn absent(root: &Value, property: &Value, required: bool, depth: usize) -> Option<Value> {
    if depth > DEPTH_LIMIT {
        return None;
    }
    let empty = Value::Object(Map::new());
    let parts = parts_for(root, property, &empty, 0);
    if let Some(default) = parts.iter().find_map(|part| part.get("default")) {
        return Some(complete_in(root, property, default, depth));
    }
    if required || !is_plain_object(root, property) {
        return None;
    }
    let filled = complete_in(root, property, &empty, depth);
    let members = filled.as_object()?;
    let enough = parts
        .iter()
        .filter_map(|part| part.get("required")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .all(|name| members.contains_key(name));
    (enough && !members.is_empty()).then_some(filled)
}

/// An object and nothing else: neither one of several forms nor nullable.
fn is_plain_object(root: &Value, schema: &Value) -> bool {
    let schema = follow(root, schema);
    schema.get("type").and_then(Value::as_str) == Some("object")
        && ["oneOf", "anyOf"]
            .iter()
            .all(|keyword| schema.get(*keyword).is_none())
}

fn explicit_in(root: &Value, schema: &Value, value: &Value, depth: usize) -> Value {
    if depth > DEPTH_LIMIT {
        return value.clone();
    }
    let parts = parts_for(root, schema, value, 0);
    match value {
        Value::Object(given) => {
            let mut explicit = Map::new();
            let listed: Vec<(&str, &Value)> = properties(&parts).collect();
            for (name, given) in given {
                let Some((_, property)) = listed.iter().find(|(listed, _)| listed == name) else {
                    let kept = match further(&parts) {
                        Some(schema) => explicit_in(root, schema, given, depth + 1),
                        None => given.clone(),
                    };
                    explicit.insert(name.clone(), kept);
                    continue;
                };
                let complete = complete_in(root, property, given, depth + 1);
                let unsaid = absent(root, property, is_required(&parts, name), depth + 1);
                if unsaid.as_ref() != Some(&complete) {
                    explicit.insert(name.clone(), explicit_in(root, property, given, depth + 1));
                }
            }
            Value::Object(explicit)
        }
        Value::Array(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| match item_schema(&parts, index) {
                    Some(schema) => explicit_in(root, schema, item, depth + 1),
                    None => item.clone(),
                })
                .collect(),
        ),
        Value::Number(number) => in_form(&parts, number),
        _ => value.clone(),
    }
}

/// A number as the schema writes it: `1` is `1.0` where a number is asked for, `2.0` is `2` where
/// an integer is, so that equal params are equal bytes.
fn in_form(parts: &[&Value], number: &Number) -> Value {
    let asks = |wanted: &str| {
        parts.iter().any(|part| match part.get("type") {
            Some(Value::String(name)) => name == wanted,
            Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
            _ => false,
        })
    };
    let whole = |value: f64| value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    if asks("integer") {
        match number.as_f64() {
            Some(value) if number.is_f64() && whole(value) => Value::from(value as i64),
            _ => Value::Number(number.clone()),
        }
    } else if asks("number") && !number.is_f64() {
        // Beyond 2^53 a float would be another number.
        match number
            .as_f64()
            .filter(|value| value.abs() <= 9_007_199_254_740_992.0)
        {
            Some(value) => {
                Number::from_f64(value).map_or_else(|| Value::Number(number.clone()), Value::Number)
            }
            None => Value::Number(number.clone()),
        }
    } else {
        Value::Number(number.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string" },
                "lr": { "type": "number", "default": 0.5 },
                "steps": { "type": "integer", "default": 10 },
                "note": { "type": ["string", "null"], "default": null },
                "optimizer": { "$ref": "#/$defs/Optimizer", "default": { "beta": 5.0 } },
                "nested": { "type": "object", "properties": { "x": { "type": "integer", "default": 1 } } },
                "kind": { "oneOf": [
                    { "type": "object", "required": ["type"], "properties": {
                        "type": { "const": "a" }, "rate": { "type": "number", "default": 1.0 } } },
                    { "type": "object", "required": ["type"], "properties": {
                        "type": { "const": "b" }, "depth": { "type": "integer", "default": 3 } } }
                ] },
                "layers": { "type": "array", "items": { "$ref": "#/$defs/Optimizer" } },
                "tasks": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Optimizer" } }
            },
            "$defs": { "Optimizer": { "type": "object", "properties": {
                "beta": { "type": "number", "default": 0.9 },
                "decay": { "type": "number", "default": 0.0 } } } }
        })
    }

    #[test]
    fn defaults_are_filled_in_everywhere() {
        let schema = schema();
        let given = json!({ "name": "n", "lr": 1, "steps": 2.0, "kind": { "type": "b" }, "layers": [{}], "tasks": { "t": { "decay": 1 } } });
        assert_eq!(
            complete(&schema, &given),
            json!({
                "name": "n", "lr": 1.0, "steps": 2, "note": null,
                "optimizer": { "beta": 5.0, "decay": 0.0 },
                "nested": { "x": 1 },
                "kind": { "type": "b", "depth": 3 },
                "layers": [{ "beta": 0.9, "decay": 0.0 }],
                "tasks": { "t": { "beta": 0.9, "decay": 1.0 } }
            })
        );
    }

    #[test]
    fn what_equals_the_defaults_is_left_out() {
        let schema = schema();
        let given = json!({ "name": "n", "lr": 0.5, "steps": 10.0, "note": null, "optimizer": { "beta": 5 }, "nested": { "x": 1 } });
        assert_eq!(explicit(&schema, &given), json!({ "name": "n" }));
        // Says that it is not the default of the property, though it is that of its own fields.
        let given = json!({ "optimizer": { "beta": 0.9 } });
        assert_eq!(explicit(&schema, &given), json!({ "optimizer": {} }));
    }

    fn optimizer() -> impl Strategy<Value = Value> {
        (
            prop::option::of(prop_oneof![
                Just(json!(0.9)),
                Just(json!(5)),
                Just(json!(5.0)),
                Just(json!(1))
            ]),
            prop::option::of(prop_oneof![Just(json!(0)), Just(json!(0.25))]),
        )
            .prop_map(|(beta, decay)| {
                let mut object = Map::new();
                beta.map(|beta| object.insert("beta".into(), beta));
                decay.map(|decay| object.insert("decay".into(), decay));
                Value::Object(object)
            })
    }

    fn params() -> impl Strategy<Value = Value> {
        (
            prop::option::of(prop_oneof![Just(json!(0.5)), Just(json!(1))]),
            prop::option::of(prop_oneof![
                Just(json!(10)),
                Just(json!(10.0)),
                Just(json!(7))
            ]),
            prop::option::of(prop_oneof![Just(json!(null)), Just(json!("x"))]),
            prop::option::of(optimizer()),
            prop::option::of(prop_oneof![
                Just(json!({})),
                Just(json!({"x": 1})),
                Just(json!({"x": 2}))
            ]),
            prop::option::of(prop_oneof![
                Just(json!({"type": "a"})),
                Just(json!({"type": "a", "rate": 1})),
                Just(json!({"type": "b", "depth": 3})),
                Just(json!({"type": "b", "depth": 4}))
            ]),
            prop::option::of(prop::collection::vec(optimizer(), 0..3)),
        )
            .prop_map(|(lr, steps, note, optimizer, nested, kind, layers)| {
                let mut object = Map::new();
                object.insert("name".into(), json!("n"));
                let fields = [
                    ("lr", lr),
                    ("steps", steps),
                    ("note", note),
                    ("optimizer", optimizer),
                    ("nested", nested),
                    ("kind", kind),
                    ("layers", layers.map(Value::Array)),
                ];
                for (name, value) in fields {
                    value.map(|value| object.insert(name.into(), value));
                }
                Value::Object(object)
            })
    }

    proptest! {
        #[test]
        fn explicit_and_complete_agree(given in params()) {
            let schema = schema();
            let complete = complete(&schema, &given);
            let said = explicit(&schema, &given);
            prop_assert_eq!(super::complete(&schema, &said), complete.clone());
            prop_assert_eq!(super::complete(&schema, &complete), complete.clone());
            prop_assert_eq!(explicit(&schema, &complete), said);
        }
    }
}
