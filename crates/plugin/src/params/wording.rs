//! Schemas and values in plain words: the ends of "expected …" and "found …".

use serde_json::Value;

use super::reading::follow;
use crate::listed::first_of;

/// Longer values are cut in messages.
const SHOWN_CHARACTERS: usize = 60;

/// A keyword of ours: what the schema asks for in the author's words, as the end of "expected …".
/// For patterns and combinations that would read badly when spelt out.
pub const EXPECTED: &str = "x-expected";

/// What a schema asks for, as the end of "expected …".
pub fn expected(root: &Value, schema: &Value) -> String {
    expected_within(root, schema, 0)
}

fn expected_within(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = follow(root, schema);
    if depth > 4 {
        return "a value".to_owned();
    }
    if let Some(words) = schema.get(EXPECTED).and_then(Value::as_str) {
        return words.to_owned();
    }
    let options = choices(root, schema);
    if !options.is_empty() {
        let words: Vec<String> = options.iter().map(|option| plain(option)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        return match words.as_slice() {
            [only] => (*only).to_owned(),
            _ => format!("one of {}", list(&words)),
        };
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
            let mut words: Vec<String> = Vec::new();
            for branch in branches {
                let word = branch_words(root, branch, depth);
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            return words.join(" or ");
        }
    }
    match schema.get("type") {
        Some(Value::String(name)) => of_type(root, schema, name, depth),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(|name| of_type(root, schema, name, depth))
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "another value".to_owned(),
    }
}

/// A branch that is a map with a tag is told apart by the tag.
fn branch_words(root: &Value, branch: &Value, depth: usize) -> String {
    let target = follow(root, branch);
    if let Some((name, constant)) = tag_of(target) {
        return format!("a map with {name}: {}", plain(constant));
    }
    match target
        .get("required")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([Value::String(only)]) if target.get("properties").is_some() => {
            format!("a map with `{only}`")
        }
        _ => expected_within(root, branch, depth + 1),
    }
}

fn of_type(root: &Value, schema: &Value, name: &str, depth: usize) -> String {
    match name {
        "integer" => format!("a whole number{}", range(schema)),
        "number" => format!("a number{}", range(schema)),
        "boolean" => "true or false".to_owned(),
        "null" => "null".to_owned(),
        "string" => format!("text{}", text_rules(schema)),
        "array" => {
            let of = match schema.get("items") {
                Some(items) if items.is_object() => {
                    format!(
                        " of which each is {}",
                        expected_within(root, items, depth + 1)
                    )
                }
                _ => String::new(),
            };
            format!(
                "a list{}{of}",
                sizes(schema, "minItems", "maxItems", Unit::Entry)
            )
        }
        "object" => format!(
            "a map{}",
            sizes(schema, "minProperties", "maxProperties", Unit::Entry)
        ),
        other => other.to_owned(),
    }
}

fn range(schema: &Value) -> String {
    let bound = |keyword: &str, words: &str| {
        let bound = schema.get(keyword).filter(|bound| bound.is_number())?;
        Some(format!("{words} {}", plain(bound)))
    };
    let bounds: Vec<String> = [
        bound("minimum", "of at least"),
        bound("exclusiveMinimum", "above"),
        bound("maximum", "of at most"),
        bound("exclusiveMaximum", "below"),
        bound("multipleOf", "that is a multiple of"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match bounds.is_empty() {
        true => String::new(),
        false => format!(" {}", bounds.join(" and ").replace(" and of ", " and ")),
    }
}

fn text_rules(schema: &Value) -> String {
    let mut words = sizes(schema, "minLength", "maxLength", Unit::Character);
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        words.push_str(&format!(" that matches `{pattern}`"));
    }
    // Formats such as "uint32" belong to numbers.
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        words.push_str(&format!(" in the form `{format}`"));
    }
    words
}

fn sizes(schema: &Value, least: &str, most: &str, unit: Unit) -> String {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    match (bound(least), bound(most)) {
        (Some(least), Some(most)) if least == most => format!(" of {}", unit.count(least)),
        (Some(least), Some(most)) => format!(" of {least} to {}", unit.count(most)),
        (Some(least), None) => format!(" of at least {}", unit.count(least)),
        (None, Some(most)) => format!(" of at most {}", unit.count(most)),
        (None, None) => String::new(),
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Character,
    Entry,
}

impl Unit {
    fn count(self, count: u64) -> String {
        match (self, count) {
            (Unit::Character, 1) => "1 character".to_owned(),
            (Unit::Entry, 1) => "1 entry".to_owned(),
            (Unit::Character, _) => format!("{count} characters"),
            (Unit::Entry, _) => format!("{count} entries"),
        }
    }
}

/// The values that a schema lists: `enum`, `const`, or branches that are constants.
pub fn choices<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = follow(root, schema);
    if let Some(constant) = schema.get("const") {
        return vec![constant];
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return options.iter().collect();
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
            let mut all = Vec::new();
            for branch in branches {
                let branch = follow(root, branch);
                match (
                    branch.get("const"),
                    branch.get("enum").and_then(Value::as_array),
                ) {
                    (Some(constant), _) => all.push(constant),
                    (None, Some(options)) => all.extend(options),
                    (None, None) if branch.get("type") == Some(&Value::from("null")) => {
                        all.push(&Value::Null);
                    }
                    (None, None) => return Vec::new(),
                }
            }
            return all;
        }
    }
    Vec::new()
}

/// The texts among the values that a schema lists, also where other branches are no constants.
pub fn text_choices<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a str> {
    let branches = ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|keyword| follow(root, schema).get(keyword)?.as_array())
        .flatten();
    let of_branches = branches.flat_map(|branch| choices(root, branch));
    let all = choices(root, schema).into_iter().chain(of_branches);
    all.filter_map(Value::as_str).collect()
}

/// What was found, as the end of "found …".
pub fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => shortened(&value.to_string()),
        Value::String(text) => format!("the text {}", shortened(&format!("{text:?}"))),
        Value::Array(items) => match items.len() {
            0 => "an empty list".to_owned(),
            length => format!("a list of {length}: {}", shortened(&value.to_string())),
        },
        Value::Object(members) => match members.len() {
            0 => "an empty map".to_owned(),
            _ => format!("the map {}", shortened(&value.to_string())),
        },
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text.to_owned();
    }
    let cut: String = text.chars().take(SHOWN_CHARACTERS).collect();
    format!("{cut}…")
}

/// A value as a user writes it in YAML where it is a scalar.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < 1e15 => {
                format!("{whole}")
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

pub fn list(words: &[&str]) -> String {
    const SHOWN: usize = 12;
    first_of(words, SHOWN)
}

/// The member of a branch that has to have one value.
pub fn tag_of(branch: &Value) -> Option<(&String, &Value)> {
    branch
        .get("properties")?
        .as_object()?
        .iter()
        .find_map(|(name, property)| Some((name, property.get("const")?)))
}
