//! Which parts of a schema describe a value, of the several that may.

use serde_json::Value;

use super::reading::{follow, type_allows};

/// A schema that refers to itself is followed this deep.
pub const DEPTH_LIMIT: usize = 64;

/// The schemas that together describe `value`: the schema itself, what it refers to, all of its
/// `allOf`, and of `oneOf` and `anyOf` the first that fits.
pub fn parts_for<'a>(
    root: &'a Value,
    schema: &'a Value,
    value: &Value,
    depth: usize,
) -> Vec<&'a Value> {
    let mut parts = Vec::new();
    if depth > DEPTH_LIMIT {
        return parts;
    }
    // A default beside a reference goes before the one of what is referred to.
    parts.push(schema);
    let target = follow(root, schema);
    if !std::ptr::eq(target, schema) {
        parts.extend(parts_for(root, target, value, depth + 1));
    }
    for member in members(schema, "allOf") {
        parts.extend(parts_for(root, member, value, depth + 1));
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(member) =
            members(schema, keyword).find(|member| fits(root, member, value, depth + 1))
        {
            // A default of a branch is that of the branch, not of the property.
            parts.extend(parts_for(root, member, value, depth + 1));
        }
    }
    parts
}

fn members<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Whether a branch is the one that `value` is meant for: type, constants and required names.
fn fits(root: &Value, branch: &Value, value: &Value, depth: usize) -> bool {
    let parts = parts_for(root, branch, value, depth);
    parts.iter().all(|part| {
        let constant = part.get("const").is_none_or(|constant| constant == value);
        let listed = part
            .get("enum")
            .and_then(Value::as_array)
            .is_none_or(|options| options.contains(value));
        constant && listed && type_allows(part, value) && members_fit(root, part, value)
    }) && known_names(&parts, value)
}

fn members_fit(root: &Value, part: &Value, value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return true;
    };
    let required = members(part, "required")
        .filter_map(Value::as_str)
        .all(|name| object.contains_key(name));
    let constants = part
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .all(|(name, property)| {
            let property = follow(root, property);
            match (object.get(name), property.get("const")) {
                (Some(given), Some(constant)) => given == constant,
                (Some(given), None) => type_allows(property, given),
                _ => true,
            }
        });
    required && constants
}

fn known_names(parts: &[&Value], value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return true;
    };
    let closed = parts
        .iter()
        .any(|part| part.get("additionalProperties") == Some(&Value::Bool(false)));
    !closed
        || object
            .keys()
            .all(|name| properties(parts).any(|(listed, _)| listed == name))
}

pub fn properties<'a>(parts: &[&'a Value]) -> impl Iterator<Item = (&'a str, &'a Value)> {
    parts
        .iter()
        .filter_map(|part| part.get("properties")?.as_object())
        .flatten()
        .map(|(name, property)| (name.as_str(), property))
        .collect::<Vec<_>>()
        .into_iter()
}

pub fn is_required(parts: &[&Value], name: &str) -> bool {
    parts
        .iter()
        .flat_map(|part| members(part, "required"))
        .any(|required| required.as_str() == Some(name))
}

/// The schema of properties that are not listed by name.
pub fn further<'a>(parts: &[&'a Value]) -> Option<&'a Value> {
    parts
        .iter()
        .find_map(|part| part.get("additionalProperties"))
        .filter(|schema| schema.is_object())
}

pub fn item_schema<'a>(parts: &[&'a Value], index: usize) -> Option<&'a Value> {
    parts.iter().find_map(|part| {
        part.get("prefixItems")
            .and_then(|items| items.get(index))
            .or_else(|| part.get("items"))
    })
}
