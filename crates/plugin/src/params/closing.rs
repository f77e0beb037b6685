//! Closes a schema to unknown properties: a misspelt param is an error, not a silent default.

use serde_json::{Map, Value, json};

/// `schema` in which every object with `properties` that does not say otherwise refuses others.
pub fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    close(&mut schema, Surroundings::Alone);
    schema
}

/// The schema at `pointer` of `schema` as a document of its own, with the definitions it needs.
pub fn rooted(schema: &Value, pointer: &str) -> Value {
    let mut root = schema
        .pointer(pointer)
        .cloned()
        .unwrap_or(Value::Bool(true));
    if let (Some(root), Some(whole)) = (root.as_object_mut(), schema.as_object()) {
        for definitions in ["$defs", "definitions"] {
            if let Some(found) = whole.get(definitions) {
                root.entry(definitions).or_insert_with(|| found.clone());
            }
        }
    }
    root
}

/// Whether other parts of the schema describe properties of the same object.
#[derive(Clone, Copy, PartialEq)]
enum Surroundings {
    Alone,
    PartOfObject,
}

fn close(schema: &mut Value, surroundings: Surroundings) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let has_properties = object.contains_key("properties");
    let composed = ["allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas"]
        .iter()
        .any(|keyword| object.contains_key(*keyword));
    let open = [
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
    ]
    .iter()
    .any(|keyword| object.contains_key(*keyword));
    let parts = if has_properties || object.contains_key("allOf") {
        Surroundings::PartOfObject
    } else {
        surroundings
    };
    close_parts(object, parts);
    if surroundings == Surroundings::PartOfObject || open {
        return;
    }
    if has_properties && !composed {
        object.insert("additionalProperties".to_owned(), json!(false));
    } else if (has_properties || object.contains_key("allOf")) && describes_object(object) {
        object.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

/// An object schema spread over several parts, at least one of which lists properties in place.
fn describes_object(object: &Map<String, Value>) -> bool {
    object.contains_key("properties")
        || object
            .get("allOf")
            .and_then(Value::as_array)
            .is_some_and(|parts| parts.iter().any(|part| part.get("properties").is_some()))
}

fn close_parts(object: &mut Map<String, Value>, same_object: Surroundings) {
    for (keyword, value) in object.iter_mut() {
        match keyword.as_str() {
            "properties" | "patternProperties" | "$defs" | "definitions" => {
                for (_, inner) in value.as_object_mut().into_iter().flatten() {
                    close(inner, Surroundings::Alone);
                }
            }
            "items" | "additionalProperties" | "contains" | "unevaluatedItems" => {
                close(value, Surroundings::Alone);
            }
            "prefixItems" => {
                for inner in value.as_array_mut().into_iter().flatten() {
                    close(inner, Surroundings::Alone);
                }
            }
            "allOf" | "anyOf" | "oneOf" => {
                for inner in value.as_array_mut().into_iter().flatten() {
                    close(inner, same_object);
                }
            }
            // Conditions say when, not what: closing them would change what they match.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_closed_unless_they_open_themselves() {
        let schema = closed(&json!({
            "properties": {
                "a": { "type": "object", "properties": { "x": {} } },
                "b": { "type": "object", "properties": {}, "additionalProperties": true },
                "c": { "type": "object", "additionalProperties": { "properties": {} } },
                "properties": { "type": "integer" }
            }
        }));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(
            schema["properties"]["a"]["additionalProperties"],
            json!(false)
        );
        assert_eq!(
            schema["properties"]["b"]["additionalProperties"],
            json!(true)
        );
        assert_eq!(
            schema["properties"]["c"]["additionalProperties"]["additionalProperties"],
            json!(false)
        );
        assert_eq!(
            schema["properties"]["properties"],
            json!({ "type": "integer" })
        );
    }

    #[test]
    fn a_flattened_enum_is_closed_as_a_whole() {
        let schema = closed(&json!({
            "properties": { "a": {} },
            "oneOf": [{ "properties": { "b": {} } }, { "properties": { "c": {} } }]
        }));
        assert_eq!(schema["unevaluatedProperties"], json!(false));
        assert!(schema["oneOf"][0].get("additionalProperties").is_none());
    }
}
