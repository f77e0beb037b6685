//! Params after defaults, and what in them differs from the defaults: the plugin crate's answers,
//! remembered where a schema treats each property for itself, so that a thousand stages of one
//! plugin do not ask the same thing a thousand times.

use std::collections::HashMap;

use serde_json::{Map, Value};
use supermoe_plugin::params::ParamsSchema;

/// Values that are longer as JSON are not remembered.
const MAX_REMEMBERED_BYTES: usize = 256;
/// The most values that are remembered for one schema.
const MAX_REMEMBERED: usize = 4096;

/// Completes params by one schema.
#[derive(Debug)]
pub(crate) struct Completion {
    /// Properties in the schema's order; none where the schema looks at several at once.
    properties: Option<Vec<Property>>,
    remembered: HashMap<(usize, String), Completed>,
}

#[derive(Debug)]
struct Property {
    name: String,
    /// What it is where it is not given.
    absent: Option<Value>,
    /// A text is what it is: there is nothing in it to fill in.
    is_text: bool,
}

/// What a given value comes to.
#[derive(Debug, Clone)]
struct Completed {
    /// With defaults. None: it is complete as it is given.
    full: Option<Value>,
    explicit: Explicit,
}

/// What of a given value differs from the defaults.
#[derive(Debug, Clone)]
enum Explicit {
    /// It is what it would be if it were not given.
    Nothing,
    AsGiven,
    Other(Value),
}

impl Completed {
    /// The value with defaults, and what differs from them.
    fn apply(self, given: Value) -> (Value, Option<Value>) {
        let explicit = match self.explicit {
            Explicit::Nothing => None,
            Explicit::AsGiven => Some(given.clone()),
            Explicit::Other(value) => Some(value),
        };
        (self.full.unwrap_or(given), explicit)
    }
}

impl Completion {
    pub fn new(schema: &ParamsSchema) -> Self {
        let properties = treats_properties_apart(schema.schema()).then(|| {
            let mut absent = schema.with_defaults(&Map::new());
            schema
                .names()
                .into_iter()
                .map(|name| Property {
                    name: name.to_owned(),
                    absent: absent.remove(name),
                    is_text: schema.property(name).is_some_and(is_plain_text),
                })
                .collect()
        });
        Completion {
            properties,
            remembered: HashMap::new(),
        }
    }

    /// Params with defaults, in the schema's order, and those that differ from the defaults.
    pub fn complete(
        &mut self,
        schema: &ParamsSchema,
        params: Map<String, Value>,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let Some(properties) = &self.properties else {
            return (schema.with_defaults(&params), schema.explicit(&params));
        };
        let place = |name: &String| properties.iter().position(|known| known.name == *name);
        let Some(places) = params.keys().map(place).collect::<Option<Vec<usize>>>() else {
            // An unknown name, which validation refuses.
            return (schema.with_defaults(&params), schema.explicit(&params));
        };
        let mut explicit = Map::with_capacity(params.len());
        let mut given: Vec<(usize, Value)> = Vec::with_capacity(params.len());
        for (at, (name, value)) in places.into_iter().zip(params) {
            let property = &properties[at];
            let completed = if property.is_text && value.is_string() {
                property.completed_text(&value)
            } else {
                remember(&mut self.remembered, at, &value, |text| {
                    ask(schema, &name, &value, text)
                })
            };
            let (full, different) = completed.apply(value);
            if let Some(value) = different {
                explicit.insert(name, value);
            }
            given.push((at, full));
        }
        let mut full = Map::with_capacity(properties.len());
        for (at, property) in properties.iter().enumerate() {
            let value = match given.iter_mut().find(|(given, _)| *given == at) {
                Some((_, value)) => Some(value.take()),
                None => property.absent.clone(),
            };
            if let Some(value) = value {
                full.insert(property.name.clone(), value);
            }
        }
        (full, explicit)
    }
}

impl Property {
    fn completed_text(&self, text: &Value) -> Completed {
        let is_default = self.absent.as_ref() == Some(text);
        Completed {
            full: None,
            explicit: if is_default {
                Explicit::Nothing
            } else {
                Explicit::AsGiven
            },
        }
    }
}

/// `ask` gets the value as JSON text.
fn remember(
    remembered: &mut HashMap<(usize, String), Completed>,
    property: usize,
    value: &Value,
    ask: impl FnOnce(&str) -> Completed,
) -> Completed {
    let key = (property, value.to_string());
    if let Some(known) = remembered.get(&key) {
        return known.clone();
    }
    let completed = ask(&key.1);
    if key.1.len() <= MAX_REMEMBERED_BYTES && remembered.len() < MAX_REMEMBERED {
        remembered.insert(key, completed.clone());
    }
    completed
}

/// One property by itself; `text` is its value as JSON text, which says the order of members too.
fn ask(schema: &ParamsSchema, name: &str, value: &Value, text: &str) -> Completed {
    let mut alone = Map::new();
    alone.insert(name.to_owned(), value.clone());
    let is_given = |value: &Value| {
        let written = value.to_string();
        written == text
    };
    let full = schema.with_defaults(&alone).remove(name);
    Completed {
        full: full.filter(|full| !is_given(full)),
        explicit: match schema.explicit(&alone).remove(name) {
            None => Explicit::Nothing,
            Some(value) if is_given(&value) => Explicit::AsGiven,
            Some(value) => Explicit::Other(value),
        },
    }
}

/// Whether nothing in an object's schema makes one property depend on another.
fn treats_properties_apart(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else {
        return false;
    };
    object
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "type" | "properties" | "required" | "$defs" | "definitions" | "title"
            | "description" | "$schema" | "examples" => true,
            "additionalProperties" | "unevaluatedProperties" => *value == Value::Bool(false),
            _ => false,
        })
}

fn is_plain_text(schema: &Value) -> bool {
    let Some(object) = schema.as_object() else {
        return false;
    };
    object.get("type").and_then(Value::as_str) == Some("string")
        && object.keys().all(|keyword| {
            matches!(
                keyword.as_str(),
                "type"
                    | "minLength"
                    | "maxLength"
                    | "pattern"
                    | "format"
                    | "title"
                    | "description"
                    | "default"
                    | "examples"
                    | "enum"
                    | "const"
            )
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema() -> ParamsSchema {
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string" },
                "mode": { "type": "string", "default": "fast" },
                "lr": { "type": "number", "default": 0.5 },
                "inner": { "$ref": "#/$defs/inner" },
                "list": { "type": "array", "items": { "type": "number" }, "default": [] },
            },
            "$defs": { "inner": { "type": "object", "properties": { "x": { "type": "integer", "default": 1 }, "y": { "type": "number" } } } },
        });
        ParamsSchema::new(&schema).expect("a schema")
    }

    fn params() -> impl Strategy<Value = Map<String, Value>> {
        let value = prop_oneof![
            Just(json!("fast")),
            Just(json!("a")),
            Just(json!(0.5)),
            Just(json!(1)),
            Just(json!({})),
            Just(json!({ "x": 1 })),
            Just(json!({ "x": 2, "y": 3 })),
            Just(json!([])),
            Just(json!([1, 2.5])),
            Just(json!(null)),
        ];
        let name = prop_oneof![
            Just("name"),
            Just("mode"),
            Just("lr"),
            Just("inner"),
            Just("list"),
            Just("other"),
        ];
        proptest::collection::vec((name, value), 0..6).prop_map(|entries| {
            entries
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_the_schema_says(rows in proptest::collection::vec(params(), 1..5)) {
            let schema = schema();
            let mut completion = Completion::new(&schema);
            for params in rows {
                let (full, explicit) = completion.complete(&schema, params.clone());
                prop_assert_eq!(json!(full).to_string(), json!(schema.with_defaults(&params)).to_string());
                prop_assert_eq!(json!(explicit).to_string(), json!(schema.explicit(&params)).to_string());
            }
        }
    }
}
