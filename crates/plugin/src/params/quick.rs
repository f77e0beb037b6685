//! A first look at a value: whether it is valid beyond doubt. Compiling a JSON Schema validator
//! costs more than a whole run with nothing to do, and most params are right.
//!
//! It knows the plain keywords; whatever else a schema says leaves a doubt, which the validator
//! then settles.

use serde_json::{Map, Value};

/// References may follow each other in a circle.
const MOST_REFERENCES: u8 = 32;

/// True only where a validator would find nothing wrong.
pub(super) fn surely_valid(schema: &Value, value: &Value) -> bool {
    let look = Look { root: schema };
    look.at(schema, value, MOST_REFERENCES)
}

struct Look<'s> {
    /// Where references lead from.
    root: &'s Value,
}

impl Look<'_> {
    fn at(&self, schema: &Value, value: &Value, references: u8) -> bool {
        match schema {
            Value::Bool(anything) => *anything,
            Value::Object(keywords) => keywords.iter().all(|(keyword, argument)| {
                self.holds(keywords, keyword, argument, value, references)
            }),
            _ => false,
        }
    }

    fn holds(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
        references: u8,
    ) -> bool {
        let at = |schema: &Value, value: &Value| self.at(schema, value, references);
        match keyword {
            "$schema"
            | "$defs"
            | "title"
            | "description"
            | "default"
            | "examples"
            | "format"
            | "deprecated"
            | super::wording::EXPECTED => true,
            "$ref" => self.follows(argument, value, references),
            "anyOf" => schemas(argument).iter().any(|schema| at(schema, value)),
            "allOf" => schemas(argument).iter().all(|schema| at(schema, value)),
            "type" => match argument {
                Value::Array(types) => types.iter().any(|one| is_of(one, value)),
                one => is_of(one, value),
            },
            "enum" => schemas(argument).contains(value),
            "const" => argument == value,
            "minimum" => compare(argument, value, |bound, number| number >= bound),
            "maximum" => compare(argument, value, |bound, number| number <= bound),
            "exclusiveMinimum" => compare(argument, value, |bound, number| number > bound),
            "exclusiveMaximum" => compare(argument, value, |bound, number| number < bound),
            "minLength" => match (argument.as_u64(), value) {
                (Some(least), Value::String(text)) => text.chars().count() as u64 >= least,
                _ => !value.is_string(),
            },
            "minItems" => match (argument.as_u64(), value) {
                (Some(least), Value::Array(items)) => items.len() as u64 >= least,
                _ => !value.is_array(),
            },
            "minProperties" => match (argument.as_u64(), value) {
                (Some(least), Value::Object(members)) => members.len() as u64 >= least,
                _ => !value.is_object(),
            },
            // Only of texts: equal numbers may be written in several ways.
            "uniqueItems" => match value {
                Value::Array(items) => items
                    .iter()
                    .enumerate()
                    .all(|(i, item)| item.is_string() && !items[..i].contains(item)),
                _ => true,
            },
            "items" => match value {
                Value::Array(items) => items.iter().all(|item| at(argument, item)),
                _ => true,
            },
            "required" => match (argument, value) {
                (Value::Array(names), Value::Object(members)) => names
                    .iter()
                    .all(|name| name.as_str().is_some_and(|name| members.contains_key(name))),
                _ => !value.is_object(),
            },
            "properties" => match (argument, value) {
                (Value::Object(properties), Value::Object(members)) => {
                    members.iter().all(|(name, member)| {
                        properties.get(name).is_none_or(|schema| at(schema, member))
                    })
                }
                _ => !value.is_object(),
            },
            "propertyNames" => match value {
                Value::Object(members) => members
                    .keys()
                    .all(|name| at(argument, &Value::from(name.as_str()))),
                _ => true,
            },
            // With `patternProperties` some of them may be declared after all.
            "additionalProperties" if keywords.contains_key("patternProperties") => false,
            "additionalProperties" => match value {
                Value::Object(members) => {
                    let declared = keywords.get("properties").and_then(Value::as_object);
                    members
                        .iter()
                        .filter(|(name, _)| {
                            declared.is_none_or(|declared| !declared.contains_key(*name))
                        })
                        .all(|(_, member)| at(argument, member))
                }
                _ => true,
            },
            _ => false,
        }
    }

    /// A reference within the document, by JSON pointer.
    fn follows(&self, reference: &Value, value: &Value, references: u8) -> bool {
        let target = reference
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| pointer.strip_prefix('/'))
            .filter(|pointer| !pointer.contains(['%', '~']))
            .and_then(|pointer| {
                let mut steps = pointer.split('/');
                steps.try_fold(self.root, |schema, step| schema.get(step))
            });
        match (target, references.checked_sub(1)) {
            (Some(schema), Some(left)) => self.at(schema, value, left),
            _ => false,
        }
    }
}

/// The items of a keyword that takes a list.
fn schemas(argument: &Value) -> &[Value] {
    argument.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

/// A bound says nothing of what is no number.
fn compare(bound: &Value, value: &Value, holds: impl Fn(f64, f64) -> bool) -> bool {
    /// Up to here a float tells every whole number from its neighbours.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match (bound.as_f64(), value.as_f64()) {
        (Some(bound), Some(number)) => {
            bound.abs() < EXACT && number.abs() < EXACT && holds(bound, number)
        }
        _ => !value.is_number(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schemas() -> impl Strategy<Value = Value> {
        prop::sample::select(vec![
            json!({ "type": "object", "properties": { "a": { "type": "integer", "minimum": 1 } },
                    "required": ["a"], "additionalProperties": false }),
            json!({ "type": ["string", "null"], "minLength": 1 }),
            json!({ "type": "array", "items": { "enum": ["a", 1, null] }, "minItems": 1 }),
            json!({ "properties": { "a": { "type": "string" } },
                    "additionalProperties": { "type": "number", "exclusiveMaximum": 2 } }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }),
            json!({ "patternProperties": { "^a$": { "type": "null" } }, "additionalProperties": true }),
            json!({ "const": 1 }),
            json!({ "minProperties": 2, "uniqueItems": true }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "object", "additionalProperties":
                    { "$ref": "#/$defs/b" } }, "b": { "type": "integer" } } }),
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } }),
            json!(true),
            json!(false),
        ])
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3_i64..4).prop_map(Value::from),
            prop::sample::select(vec![json!(0.5), json!(1.0), json!(2.5)]),
            prop::sample::select(vec![json!(""), json!("a"), json!("b")]),
        ];
        leaf.prop_recursive(2, 12, 3, |inner| {
            let name = prop::sample::select(vec!["a", "b"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..3).prop_map(|members| {
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect::<Map<_, _>>()
                        .into()
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn never_passes_what_a_validator_refuses(schema in schemas(), value in values()) {
            if surely_valid(&schema, &value) {
                // A schema that refers to itself alone has no answer, and none is given.
                prop_assert!(jsonschema::is_valid(&schema, &value), "{schema} {value}");
            }
        }
    }

    #[test]
    fn passes_plain_params_without_doubt() {
        let schema = json!({
            "type": "object",
            "properties": {
                "command": { "type": "string", "minLength": 1, "description": "…" },
                "outputs": { "type": "object", "additionalProperties": { "$ref": "#/$defs/kind" } }
            },
            "$defs": { "kind": { "enum": ["file", "folder"] } },
            "required": ["command"],
            "additionalProperties": false
        });
        assert!(surely_valid(
            &schema,
            &json!({ "command": "true", "outputs": { "a": "file" } })
        ));
        assert!(!surely_valid(
            &schema,
            &json!({ "command": "true", "outputs": { "a": "tree" } })
        ));
        assert!(!surely_valid(&schema, &json!({ "comand": "true" })));
    }
}
