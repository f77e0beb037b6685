//! A dataset whose vocabularies and scales are taken over, so that new entities are seen as those
//! that a model was trained on.

use std::fmt::Debug;
use std::path::Path;

use indexmap::IndexMap;
use supermoe_channels::{FittedParts, Schema, Vocabulary};

use crate::definitions::Definitions;
use crate::error::PrepareError;

/// The input port.
pub const PORT: &str = "fitted";

/// What is taken over of a dataset.
#[derive(Debug)]
pub struct Fitted {
    pub schema: Schema,
    pub vocabularies: IndexMap<String, Vocabulary>,
    pub definitions: Definitions,
}

impl Fitted {
    /// # Errors
    /// A folder that is no dataset; definitions that are not those of the params, by name, with both.
    pub fn open(dataset: &Path, of_params: &Definitions) -> Result<Self, PrepareError> {
        let definitions = Definitions::open(dataset)?;
        let FittedParts {
            schema,
            vocabularies,
        } = FittedParts::open(dataset)?;
        agree("history", &of_params.history, &definitions.history)?;
        agree("length", &of_params.length, &definitions.length)?;
        agree_by_name("channels", &of_params.channels, &definitions.channels)?;
        agree_by_name("totals", &of_params.totals, &definitions.totals)?;
        agree_by_name("aggregates", &of_params.aggregates, &definitions.aggregates)?;
        if !of_params.tasks.is_empty() {
            agree_by_name("tasks", &of_params.tasks, &definitions.tasks)?;
        }
        Ok(Self {
            schema,
            vocabularies,
            definitions,
        })
    }
}

fn agree<T: PartialEq + Debug>(param: &str, here: &T, there: &T) -> Result<(), PrepareError> {
    if here == there {
        return Ok(());
    }
    let problem = format!(
        "it is {here:?} here and {there:?} in the fitted dataset; values mean the same only where both agree"
    );
    Err(PrepareError::param(format!("with.{param}"), problem))
}

/// The same names in the same order, with the same meaning.
fn agree_by_name<T: PartialEq + Debug + serde::Serialize>(
    section: &str,
    here: &IndexMap<String, T>,
    there: &IndexMap<String, T>,
) -> Result<(), PrepareError> {
    let section_param = format!("with.{section}");
    if let Some(name) = there.keys().find(|name| !here.contains_key(*name)) {
        let problem = format!("it lacks `{name}`, which the fitted dataset has");
        return Err(PrepareError::param(section_param, problem));
    }
    if let Some(name) = here.keys().find(|name| !there.contains_key(*name)) {
        let problem =
            format!("`{name}` is not in the fitted dataset, so there is nothing to code it by");
        return Err(PrepareError::param(section_param, problem));
    }
    if !here.keys().eq(there.keys()) {
        let names: Vec<&str> = there.keys().map(String::as_str).collect();
        let problem = format!(
            "they stand in another order than in the fitted dataset, where it is {}",
            names.join(", ")
        );
        return Err(PrepareError::param(section_param, problem));
    }
    let differs = here.iter().find(|(name, value)| there[*name] != **value);
    let Some((name, value)) = differs else {
        return Ok(());
    };
    let [here, there] = [value, &there[name]].map(|value| {
        // What is told is only a text for people; these types always have one.
        serde_json::to_string(value).unwrap_or_else(|_| format!("{value:?}"))
    });
    let problem = format!("it is {here} here and {there} in the fitted dataset");
    Err(PrepareError::param(
        format!("{section_param}.{name}"),
        problem,
    ))
}
