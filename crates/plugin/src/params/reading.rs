//! Reads a schema: follows its references, lists its properties, asks its types.

use serde_json::Value;

/// What a schema that is only a reference refers to; itself where it is none.
pub fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..16 {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return schema;
        };
        let Some(target) = reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
        else {
            return schema;
        };
        schema = target;
    }
    schema
}

/// Whether the schema's `type`, where it has one, takes the value.
pub fn type_allows(schema: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    match schema.get("type") {
        Some(Value::String(name)) => is(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// The names of the properties that a schema lists, in all of its parts.
pub fn property_names<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let mut names = Vec::new();
    each_property(root, schema, 0, &mut |name, _| {
        if !names.contains(&name) {
            names.push(name);
        }
    });
    names
}

/// The schema of one of the properties, references followed.
pub fn property<'a>(root: &'a Value, schema: &'a Value, wanted: &str) -> Option<&'a Value> {
    let mut found = None;
    each_property(root, schema, 0, &mut |name, property| {
        if name == wanted && found.is_none() {
            found = Some(follow(root, property));
        }
    });
    found
}

fn each_property<'a>(
    root: &'a Value,
    schema: &'a Value,
    depth: usize,
    visit: &mut dyn FnMut(&'a str, &'a Value),
) {
    if depth > 16 {
        return;
    }
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        visit(name, property);
    }
    let target = follow(root, schema);
    if !std::ptr::eq(target, schema) {
        each_property(root, target, depth + 1, visit);
    }
    for keyword in ["allOf", "oneOf", "anyOf"] {
        for part in schema
            .get(keyword)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            each_property(root, part, depth + 1, visit);
        }
    }
}
