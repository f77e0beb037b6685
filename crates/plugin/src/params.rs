//! Params against their JSON Schema: what is wrong with them in plain words, what they are after
//! defaults, and which of them differ from the defaults.

mod closing;
mod defaults;
mod example;
mod explain;
mod parts;
mod quick;
mod reading;
mod wording;

pub(crate) use closing::closed;

use std::sync::OnceLock;

use serde_json::{Map, Value};
use thiserror::Error;

/// A JSON Schema for params, compiled once and used often.
#[derive(Debug)]
pub struct ParamsSchema {
    /// As declared, with every object closed to unknown properties that does not open itself.
    schema: Value,
    /// Compiled when a value is not valid beyond doubt.
    validator: OnceLock<Result<jsonschema::Validator, SchemaError>>,
}

/// The schema itself is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SchemaError {
    /// JSON pointer into the schema.
    pub pointer: String,
    pub message: String,
}

/// One thing that is wrong with params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamError {
    /// JSON pointer to the value, for an unknown property to that property, for a missing one
    /// to the object that lacks it.
    pub pointer: String,
    pub kind: ParamErrorKind,
    /// A sentence with what was expected and what was found.
    pub message: String,
    /// The right name or value that is nearest to a wrong one.
    pub nearest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamErrorKind {
    /// The name of a property that the schema does not have; point at the name.
    Unknown { name: String },
    /// A property that has to be there.
    Missing { name: String },
    /// A value that is not as expected; point at the value.
    Wrong,
}

impl ParamError {
    /// The same error in a map that stands at `pointer` of a larger one.
    pub fn under(mut self, pointer: &str) -> Self {
        self.pointer.insert_str(0, pointer);
        self
    }

    /// The dotted field, `model.layers.0`, that messages use.
    pub fn field(&self) -> String {
        self.pointer
            .split('/')
            .skip(1)
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect::<Vec<_>>()
            .join(".")
    }
}

impl ParamsSchema {
    /// Compiles a schema. It must be an object schema; references to other documents are refused.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        if !schema.is_object() {
            return Err(SchemaError {
                pointer: String::new(),
                message: format!(
                    "a schema of params has to be an object, found {}",
                    wording::found(schema)
                ),
            });
        }
        let schema = ParamsSchema::of_built_in(schema);
        match schema.validator() {
            Ok(_) => Ok(schema),
            Err(error) => Err(error.clone()),
        }
    }

    /// The schema of a built-in plugin, which its tests hold right: compiled only when needed.
    pub(crate) fn of_built_in(schema: &Value) -> Self {
        ParamsSchema {
            schema: closing::closed(schema),
            validator: OnceLock::new(),
        }
    }

    fn validator(&self) -> Result<&jsonschema::Validator, &SchemaError> {
        let build = || {
            jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .offline()
                .build(&self.schema)
                .map_err(|error| SchemaError {
                    pointer: error.instance_path().to_string(),
                    message: format!("not a JSON Schema: {error}"),
                })
        };
        self.validator.get_or_init(build).as_ref()
    }

    /// The schema in which unknown properties are refused.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Everything that is wrong with `params`, in the order of the schema; empty when all is well.
    pub fn validate(&self, params: &Map<String, Value>) -> Vec<ParamError> {
        self.validate_value(&Value::Object(params.clone()))
    }

    /// The same for any value, for example one section of params.
    pub fn validate_value(&self, value: &Value) -> Vec<ParamError> {
        if quick::surely_valid(&self.schema, value) {
            return Vec::new();
        }
        let validator = match self.validator() {
            Ok(validator) => validator,
            Err(error) => {
                return vec![ParamError {
                    pointer: String::new(),
                    kind: ParamErrorKind::Wrong,
                    message: error.message.clone(),
                    nearest: None,
                }];
            }
        };
        let mut errors: Vec<ParamError> = validator
            .iter_errors(value)
            .flat_map(|error| explain::explain(&self.schema, &error))
            .collect();
        let mut seen = std::collections::HashSet::new();
        errors.retain(|error| seen.insert((error.pointer.clone(), error.message.clone())));
        errors
    }

    /// `params` with the schema's defaults filled in, nested objects included, and numbers in
    /// the schema's own form (`1` is `1.0` where a number is asked for).
    pub fn with_defaults(&self, params: &Map<String, Value>) -> Map<String, Value> {
        match defaults::complete(&self.schema, &Value::Object(params.clone())) {
            Value::Object(complete) => complete,
            _ => params.clone(),
        }
    }

    /// The part of `params` that differs from the defaults. Filling in the defaults again gives
    /// the same params: `with_defaults(explicit(p)) == with_defaults(p)`.
    pub fn explicit(&self, params: &Map<String, Value>) -> Map<String, Value> {
        match defaults::explicit(&self.schema, &Value::Object(params.clone())) {
            Value::Object(explicit) => explicit,
            _ => params.clone(),
        }
    }

    /// The names of the properties at the top.
    pub fn names(&self) -> Vec<&str> {
        reading::property_names(&self.schema, &self.schema)
    }

    /// The schema of one property at the top, references followed.
    pub fn property(&self, name: &str) -> Option<&Value> {
        reading::property(&self.schema, &self.schema, name)
    }

    /// Params made from the schema's examples and defaults, and where there are none from its
    /// types and ranges. They need not be valid: a schema can ask for more than it shows.
    pub fn example(&self) -> Map<String, Value> {
        example::example(&self.schema)
    }
}

/// Checks that the schema's defaults satisfy the schema; the pointers lead into the schema.
pub(crate) fn wrong_defaults(schema: &ParamsSchema) -> Vec<ParamError> {
    defaults::declared(&schema.schema)
        .into_iter()
        .filter_map(|(pointer, default)| {
            // A property's own schema, so that references resolve, is reached by its pointer.
            let at = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .offline()
                .build(&closing::rooted(&schema.schema, &pointer))
                .ok()?;
            let value = defaults::complete_at(&schema.schema, &pointer, &default);
            let error = at.iter_errors(&value).next()?;
            let explained = explain::explain(&closing::rooted(&schema.schema, &pointer), &error);
            explained.into_iter().next().map(|error| ParamError {
                pointer: format!("{pointer}/default"),
                ..error
            })
        })
        .collect()
}

/// The candidate nearest to `name`, where one is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let distance =
                strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| {
            *distance <= name.chars().count().max(candidate.chars().count()) / 3
                || (name.len() >= 3 && candidate.starts_with(name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
