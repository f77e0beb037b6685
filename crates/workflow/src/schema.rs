//! The JSON Schema of workflow files, for editors: with the params of all plugins of a catalog.
//! Every typed leaf also accepts a text with an expression, `${{ … }}`.

use serde_json::{Map, Value, json};
use supermoe_plugin::catalog::{Catalog, PluginEntry};
use supermoe_plugin::manifest::WILDCARD_PORT;
use supermoe_plugin::size::SIZE_PATTERN;

/// What a text with an expression in it looks like.
const EXPRESSION_PATTERN: &str = "\\$\\{\\{";
const NAME_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,99}$";
const DURATION_PATTERN: &str = "^([0-9]+(ms|s|m|h|d))+$";
const BACKOFF_PATTERN: &str = "^([0-9]+(ms|s|m|h|d))+(\\s*\\.\\.\\s*([0-9]+(ms|s|m|h|d))+)?$";
const VARIABLE_PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// The schema of workflow files that use the plugins of `catalog`.
pub fn workflow_schema(catalog: &Catalog) -> Value {
    let mut definitions = Map::new();
    definitions.insert(
        "expression".to_owned(),
        json!({ "type": "string", "pattern": EXPRESSION_PATTERN }),
    );
    definitions.insert("env".to_owned(), env());
    definitions.insert("retry".to_owned(), retry());
    definitions.insert(
        "timeout".to_owned(),
        leaf(json!({ "type": "string", "pattern": DURATION_PATTERN })),
    );
    definitions.insert("resources".to_owned(), resources());
    definitions.insert("cache".to_owned(), leaf(json!({ "type": "boolean" })));
    definitions.insert("matrix".to_owned(), matrix());
    definitions.insert("stage".to_owned(), stage(catalog));
    let mut properties = Map::new();
    for entry in catalog.entries() {
        let (name, schema) = with(entry, catalog);
        definitions.insert(name, schema);
    }
    properties.insert("name".to_owned(), json!({ "type": ["string", "number"], "description": "A short name: results are remembered under it." }));
    properties.insert("params".to_owned(), json!({ "type": ["object", "null"], "propertyNames": { "pattern": NAME_PATTERN }, "description": "Values by name, typed by these defaults; --set and --params give others." }));
    properties.insert("store".to_owned(), json!({ "type": "string", "description": "Where results are kept: a folder, s3://, gs:// or az://." }));
    properties.insert("secrets".to_owned(), json!({ "type": "array", "items": { "type": "string", "pattern": VARIABLE_PATTERN }, "uniqueItems": true, "description": "Names of environment variables that stages may get and nobody is shown." }));
    properties.insert("on".to_owned(), on());
    properties.insert(
        "defaults".to_owned(),
        json!({ "type": "object", "additionalProperties": false, "properties": shared_settings(), "description": "What holds for every stage that says nothing else." }),
    );
    properties.insert(
        "stages".to_owned(),
        json!({ "type": "object", "minProperties": 1, "propertyNames": { "pattern": NAME_PATTERN }, "additionalProperties": { "$ref": "#/$defs/stage" } }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "supermoe workflow",
        "type": "object",
        "required": ["name", "stages"],
        "additionalProperties": false,
        "properties": properties,
        "$defs": definitions,
    })
}

/// A leaf that takes an expression, too.
fn leaf(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/expression" }] })
}

fn shared_settings() -> Value {
    json!({
        "retry": { "$ref": "#/$defs/retry" },
        "timeout": { "$ref": "#/$defs/timeout" },
        "resources": { "$ref": "#/$defs/resources" },
        "env": { "$ref": "#/$defs/env" },
        "cache": { "$ref": "#/$defs/cache" },
    })
}

fn env() -> Value {
    json!({
        "description": "Environment variables: part of the stage's key. One without a value is passed on.",
        "oneOf": [
            { "type": "object", "propertyNames": { "pattern": VARIABLE_PATTERN }, "additionalProperties": { "type": ["string", "number", "boolean", "null"] } },
            { "type": "array", "items": { "type": "string", "pattern": VARIABLE_PATTERN } },
            { "type": "null" },
        ],
    })
}

fn retry() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "attempts": leaf(json!({ "type": "integer", "minimum": 1, "maximum": 100 })),
            "backoff": leaf(json!({ "type": "string", "pattern": BACKOFF_PATTERN })),
        },
    })
}

fn resources() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "cpus": leaf(json!({ "type": "integer", "minimum": 1, "maximum": 4096 })),
            "memory": leaf(json!({ "type": "string", "pattern": SIZE_PATTERN })),
            "gpus": leaf(json!({ "type": "integer", "minimum": 0, "maximum": 1024 })),
        },
    })
}

fn matrix() -> Value {
    let value = json!({ "type": ["string", "number", "boolean", "object"] });
    let rows = json!({ "type": "array", "items": { "type": "object", "minProperties": 1, "additionalProperties": value } });
    json!({
        "type": "object",
        "propertyNames": { "pattern": NAME_PATTERN },
        "properties": { "include": rows, "exclude": rows, "max_parallel": leaf(json!({ "type": "integer", "minimum": 1, "maximum": 10_000 })) },
        "additionalProperties": leaf(json!({ "type": "array", "minItems": 1, "items": value })),
    })
}

fn on() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["schedule"],
        "properties": { "schedule": {
            "type": "object",
            "additionalProperties": false,
            "required": ["cron"],
            "properties": {
                "cron": { "type": "string", "description": "Minute, hour, day of month, month, day of week." },
                "timezone": { "type": "string", "default": "UTC", "description": "An IANA time zone." },
                "catch_up": { "enum": ["none", "latest", "all"], "default": "latest" },
                "overlap": { "enum": ["skip", "queue", "cancel"], "default": "skip" },
            },
        } },
    })
}

fn stage(catalog: &Catalog) -> Value {
    let mut properties = match shared_settings() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    let names: Vec<&str> = catalog.names().collect();
    let text_or_list = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    for (key, schema) in [
        (
            "uses",
            json!({ "enum": names, "description": "The plugin that runs." }),
        ),
        (
            "with",
            json!({ "type": ["object", "null"], "description": "The plugin's params." }),
        ),
        (
            "inputs",
            json!({ "type": ["object", "null"], "description": "Port: stage.port, stage.*.port, ./path, URL or ref:name.", "additionalProperties": text_or_list }),
        ),
        ("needs", text_or_list.clone()),
        ("matrix", json!({ "$ref": "#/$defs/matrix" })),
        ("when", leaf(json!({ "type": "boolean" }))),
        (
            "secrets",
            json!({ "type": ["array", "null"], "items": { "type": "string" }, "uniqueItems": true }),
        ),
        (
            "publish",
            json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" }, "description": "Output: a folder in the project where it is laid out after the run." }),
        ),
    ] {
        properties.insert(key.to_owned(), schema);
    }
    let plugins: Vec<Value> = catalog
        .entries()
        .map(|entry| {
            json!({
                "if": { "required": ["uses"], "properties": { "uses": { "const": entry.name() } } },
                "then": { "properties": { "with": { "$ref": format!("#/$defs/{}", definition_name(entry)) }, "inputs": inputs(entry) } },
            })
        })
        .collect();
    json!({ "type": "object", "required": ["uses"], "additionalProperties": false, "properties": properties, "allOf": plugins })
}

fn inputs(entry: &PluginEntry) -> Value {
    let ports = &entry.manifest.inputs;
    let names: Vec<&String> = ports.keys().filter(|name| *name != WILDCARD_PORT).collect();
    let properties: Map<String, Value> = names
        .iter()
        .map(|name| {
            let port = &ports[*name];
            let mut words = port.port_type.to_string();
            if !port.description.is_empty() {
                words = format!("{words}: {}", port.description);
            }
            ((*name).clone(), json!({ "description": words }))
        })
        .collect();
    json!({ "properties": properties, "additionalProperties": ports.contains_key(WILDCARD_PORT) })
}

fn definition_name(entry: &PluginEntry) -> String {
    format!("with.{}", entry.name())
}

/// The definition of a plugin's `with`.
fn with(entry: &PluginEntry, catalog: &Catalog) -> (String, Value) {
    let mut schema = match entry.params_schema() {
        Ok(schema) => schema.schema().clone(),
        Err(_) => json!({ "type": "object" }),
    };
    open_to_expressions(&mut schema);
    rebase(&mut schema, &format!("#/$defs/{}", definition_name(entry)));
    if let (Some(variants), Some(schema)) = (&entry.manifest.variants, schema.as_object_mut()) {
        let mut sections = Map::new();
        for (value, variant) in &variants.values {
            let mut section = variant.params.clone();
            open_to_expressions(&mut section);
            let place = format!(
                "#/$defs/{}/properties/{}/properties/{}",
                definition_name(entry),
                pointer_step(&variants.section),
                pointer_step(value)
            );
            rebase(&mut section, &place);
            sections.insert(value.clone(), section);
        }
        for other in catalog.variants_of(entry.name()) {
            if let Some(variant) = &other.manifest.variant {
                sections
                    .entry(variant.value.clone())
                    .or_insert_with(|| json!({ "type": "object" }));
            }
        }
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert(
                variants.section.clone(),
                json!({ "type": "object", "properties": sections, "additionalProperties": false }),
            );
        }
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        // `with:` may stand there without a value.
        schema.insert("type".to_owned(), json!(["object", "null"]));
    }
    (definition_name(entry), schema)
}

/// Makes references of a schema that becomes a part of a larger one lead to its new place.
fn rebase(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(inner) = reference.strip_prefix('#')
            {
                *reference = format!("{place}{inner}");
            }
            object.values_mut().for_each(|inner| rebase(inner, place));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| rebase(inner, place)),
        _ => {}
    }
}

fn pointer_step(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// Lets every value below the top be a text with an expression instead.
fn open_to_expressions(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    for (keyword, inner) in object.iter_mut() {
        match keyword.as_str() {
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                let named = matches!(keyword.as_str(), "properties" | "patternProperties");
                for schema in inner
                    .as_object_mut()
                    .into_iter()
                    .flat_map(|map| map.values_mut())
                {
                    open_to_expressions(schema);
                    if named {
                        or_expression(schema);
                    }
                }
            }
            "items" | "additionalProperties" | "unevaluatedProperties" | "contains"
                if inner.is_object() =>
            {
                open_to_expressions(inner);
                or_expression(inner);
            }
            "prefixItems" => {
                for schema in inner.as_array_mut().into_iter().flatten() {
                    open_to_expressions(schema);
                    or_expression(schema);
                }
            }
            "allOf" | "anyOf" | "oneOf" => inner
                .as_array_mut()
                .into_iter()
                .flatten()
                .for_each(open_to_expressions),
            "if" | "then" | "else" => open_to_expressions(inner),
            _ => {}
        }
    }
}

/// `schema`, or a text with an expression. Titles and descriptions stay where editors look.
fn or_expression(schema: &mut Value) {
    if schema.as_bool() == Some(true) {
        return;
    }
    let mut outer = Map::new();
    if let Some(object) = schema.as_object_mut() {
        for keyword in ["title", "description", "default", "examples", "deprecated"] {
            if let Some(value) = object.remove(keyword) {
                outer.insert(keyword.to_owned(), value);
            }
        }
    }
    outer.insert(
        "anyOf".to_owned(),
        json!([schema.take(), { "type": "string", "pattern": EXPRESSION_PATTERN }]),
    );
    *schema = Value::Object(outer);
}
