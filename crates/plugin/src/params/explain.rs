//! A validator's errors in plain words: what was expected, what was found, the nearest right name.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::reading::{follow, property, property_names, type_allows};
use super::wording::{EXPECTED, expected, found, list, plain, tag_of, text_choices};
use super::{ParamError, ParamErrorKind, nearest};

/// One validator error as one or more of ours: a list of unknown names becomes one for each.
pub fn explain(root: &Value, error: &ValidationError<'_>) -> Vec<ParamError> {
    let pointer = error.instance_path().to_string();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let schema = parent_schema(root, error);
            let known = property_names(root, schema);
            unexpected
                .iter()
                .map(|name| unknown(&pointer, name, &known))
                .collect()
        }
        Kind::Required { property: name } => {
            let name = name.as_str().unwrap_or_default().to_owned();
            let schema = parent_schema(root, error);
            let expected = property(root, schema, &name)
                .map_or_else(|| "a value".to_owned(), |schema| expected(root, schema));
            vec![ParamError {
                pointer,
                message: format!("`{name}` is missing: expected {expected}"),
                nearest: None,
                kind: ParamErrorKind::Missing { name },
            }]
        }
        Kind::AnyOf { context }
        | Kind::OneOfNotValid { context }
        | Kind::OneOfMultipleValid { context } => branches(root, error, context),
        Kind::PropertyNames { error: of_name } => vec![wrong_name(root, error, of_name)],
        _ => vec![wrong(root, error)],
    }
}

fn unknown(pointer: &str, name: &str, known: &[&str]) -> ParamError {
    let near = nearest(name, known.iter().copied()).map(str::to_owned);
    let advice = match (&near, known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "expected none here".to_owned(),
        (None, known) => format!("expected one of {}", list(known)),
    };
    let escaped = name.replace('~', "~0").replace('/', "~1");
    ParamError {
        pointer: format!("{pointer}/{escaped}"),
        message: format!("unknown name `{name}`: {advice}"),
        nearest: near,
        kind: ParamErrorKind::Unknown {
            name: name.to_owned(),
        },
    }
}

/// A name of a map that may have any but some.
fn wrong_name(
    root: &Value,
    error: &ValidationError<'_>,
    of_name: &ValidationError<'_>,
) -> ParamError {
    let schema = parent_schema(root, error);
    let expected = expected(root, schema.get("propertyNames").unwrap_or(schema));
    let name: &Value = of_name.instance();
    ParamError {
        pointer: error.instance_path().to_string(),
        message: format!("expected names that are {expected}, found {}", found(name)),
        nearest: None,
        kind: ParamErrorKind::Wrong,
    }
}

/// No branch of `anyOf` or `oneOf` fits. The branch that was meant is the one that fails deepest;
/// where all fail at the value itself, it is of none of the kinds that are possible.
fn branches(
    root: &Value,
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
) -> Vec<ParamError> {
    let here = error.instance_path().to_string();
    if parent_schema(root, error).get(EXPECTED).is_some() {
        return vec![wrong(root, error)];
    }
    if let Some(error) = wrong_tag(root, error).or_else(|| not_exactly_one(root, error)) {
        return vec![error];
    }
    let meant = context
        .iter()
        .filter(|errors| {
            !errors.is_empty() && !errors.iter().any(|error| is_other_kind(error, &here))
        })
        .min_by_key(|errors| errors.len());
    match meant {
        Some(errors) => errors
            .iter()
            .flat_map(|error| explain(root, error))
            .collect(),
        None => vec![wrong(root, error)],
    }
}

/// Where the branches are maps that one constant member tells apart: that it is missing, or none
/// of theirs.
fn wrong_tag(root: &Value, error: &ValidationError<'_>) -> Option<ParamError> {
    let members = error.instance().as_object()?;
    let schema = parent_schema(root, error);
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    let tags: Vec<(&String, &Value)> = branches
        .as_array()?
        .iter()
        .map(|branch| follow(root, branch))
        .filter(|branch| type_allows(branch, error.instance()))
        .map(|branch| tag_of(branch))
        .collect::<Option<_>>()?;
    let (name, _) = *tags.first()?;
    if tags.iter().any(|(other, _)| *other != name) {
        return None;
    }
    let options: Vec<String> = tags.iter().map(|(_, option)| plain(option)).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let here = error.instance_path().to_string();
    let Some(given) = members.get(name) else {
        return Some(ParamError {
            pointer: here,
            message: format!("`{name}` is missing: expected one of {}", list(&options)),
            nearest: None,
            kind: ParamErrorKind::Missing { name: name.clone() },
        });
    };
    if tags.iter().any(|(_, option)| *option == given) {
        return None;
    }
    let near = given
        .as_str()
        .and_then(|given| nearest(given, tags.iter().filter_map(|(_, option)| option.as_str())));
    let mut message = format!("expected one of {}, found {}", list(&options), found(given));
    if let Some(near) = near {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    Some(ParamError {
        pointer: format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")),
        kind: ParamErrorKind::Wrong,
        message,
        nearest: near.map(str::to_owned),
    })
}

/// Where the branches are maps that are told apart by the one member that each has to have: that the map
/// has none of them, or several.
fn not_exactly_one(root: &Value, error: &ValidationError<'_>) -> Option<ParamError> {
    let members = error.instance().as_object()?;
    let schema = parent_schema(root, error);
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    let names: Vec<&str> = branches
        .as_array()?
        .iter()
        .map(|branch| follow(root, branch))
        .filter(|branch| type_allows(branch, error.instance()))
        .map(only_required)
        .collect::<Option<_>>()?;
    let given: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| members.contains_key(*name))
        .collect();
    if names.len() < 2 || given.len() == 1 {
        return None;
    }
    let near = members
        .keys()
        .find_map(|member| nearest(member, names.iter().copied()));
    let found = match (given.is_empty(), members.is_empty()) {
        (false, _) => quoted(&given, " and "),
        (true, true) => "none".to_owned(),
        (true, false) => found(error.instance()),
    };
    let mut message = format!(
        "expected exactly one of {}, found {found}",
        quoted(&names, ", ")
    );
    let near = near.filter(|_| given.is_empty());
    if let Some(near) = near {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    Some(ParamError {
        pointer: error.instance_path().to_string(),
        kind: ParamErrorKind::Wrong,
        message,
        nearest: near.map(str::to_owned),
    })
}

/// The one member that a branch asks for.
fn only_required(branch: &Value) -> Option<&str> {
    match branch.get("required")?.as_array()?.as_slice() {
        [one] => one.as_str(),
        _ => None,
    }
}

fn quoted(names: &[&str], between: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(between)
}

/// Whether this error says that the value is meant for another branch: a wrong type or constant
/// at the value itself, or a wrong constant (a tag) in one of its members.
fn is_other_kind(error: &ValidationError<'_>, here: &str) -> bool {
    let at = error.instance_path().to_string();
    let is_member = at
        .strip_prefix(here)
        .is_some_and(|rest| rest.matches('/').count() == 1);
    match error.kind() {
        Kind::Type { .. } | Kind::Enum { .. } => at == here,
        Kind::Constant { .. } => at == here || is_member,
        _ => false,
    }
}

/// A value that is not as its schema says.
fn wrong(root: &Value, error: &ValidationError<'_>) -> ParamError {
    let value: &Value = error.instance();
    let schema = parent_schema(root, error);
    let near = value
        .as_str()
        .and_then(|text| nearest(text, text_choices(root, schema)))
        .map(str::to_owned);
    let mut message = match error.kind() {
        Kind::FalseSchema => format!("nothing is expected here, found {}", found(value)),
        Kind::UniqueItems => format!(
            "expected a list without repetitions, found {}",
            repeated(value).map_or_else(|| found(value), |item| format!("{} twice", found(item)))
        ),
        Kind::Contains | Kind::Not { .. } | Kind::Custom { .. } => error.to_string(),
        _ => format!(
            "expected {}, found {}",
            expected(root, schema),
            found(value)
        ),
    };
    if let Some(near) = &near {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    ParamError {
        pointer: error.instance_path().to_string(),
        kind: ParamErrorKind::Wrong,
        message,
        nearest: near,
    }
}

/// The first item of a list that stands in it before.
fn repeated(list: &Value) -> Option<&Value> {
    let items = list.as_array()?;
    let again = (1..items.len()).find(|&i| items[..i].contains(&items[i]))?;
    items.get(again)
}

/// The schema object whose keyword failed.
fn parent_schema<'a>(root: &'a Value, error: &ValidationError<'_>) -> &'a Value {
    let path = error.schema_path().to_string();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    root.pointer(parent).unwrap_or(root)
}
