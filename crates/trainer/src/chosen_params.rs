//! The params of a stage, with those that its input `choice` names in place of its own.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use supermoe_plugin::event::LogLevel;
use supermoe_plugin::params::{ParamErrorKind, ParamsSchema};
use supermoe_plugin::sdk::{Context, schema_of};

use crate::choice::Choice;
use crate::error::TrainError;
use crate::model_factory::{ModelFactory, choose};

/// The input port of trainers.
pub const PORT: &str = "choice";

/// `with` of a trainer, in which the params of its input `choice` stand in place of its own. What was
/// replaced is told in the log.
///
/// # Errors
/// A choice that cannot be read, or whose params are none of this stage, or not allowed there.
pub fn params_with_choice<P: DeserializeOwned + JsonSchema>(
    context: &Context,
    factories: &[ModelFactory],
) -> Result<P, TrainError> {
    let mut params = context.request().params.clone();
    if let Some(folder) = context.optional_input(PORT) {
        let choice = Choice::read(folder)?;
        let schema = schema_of::<P>();
        for replaced in choose_params(&mut params, &choice.params, &schema, factories)? {
            context.log(LogLevel::Info, replaced);
        }
    }
    serde_json::from_value(Value::Object(params))
        .map_err(|error| TrainError::Unsupported(format!("params are not as expected: {error}")))
}

/// Puts the chosen params in place; gives back a line for each.
fn choose_params(
    params: &mut Map<String, Value>,
    chosen: &IndexMap<String, Value>,
    schema: &Value,
    factories: &[ModelFactory],
) -> Result<Vec<String>, TrainError> {
    let model = params.get("model").and_then(Value::as_str);
    let model = model.unwrap_or_default().to_owned();
    let mut told = Vec::new();
    for (name, value) in chosen {
        check_name(name, &model)?;
        let before = replace(params, name, value.clone()).map_err(|part| {
            TrainError::Choice(format!("`{name}`: `{part}` has no params of its own"))
        })?;
        let before = before.map_or("nothing".to_owned(), |before| before.to_string());
        told.push(format!("choice: {name} is {value}, in place of {before}"));
    }
    let schema =
        ParamsSchema::new(schema).map_err(|error| TrainError::Choice(error.to_string()))?;
    refuse_wrong(&schema, &Value::Object(params.clone()), "")?;
    let sections = params.get("models").and_then(Value::as_object).cloned();
    let (factory, _) = choose(factories, &model, &Map::new())?;
    if let Some(section) = sections.and_then(|mut sections| sections.remove(&model)) {
        let schema = ParamsSchema::new(&factory.params_schema())
            .map_err(|error| TrainError::Choice(error.to_string()))?;
        refuse_wrong(&schema, &section, &format!("models.{model}."))?;
    }
    Ok(told)
}

/// A choice does not swap models, and says nothing of others.
fn check_name(name: &str, model: &str) -> Result<(), TrainError> {
    let mut parts = name.split('.');
    let refuse = |words: String| Err(TrainError::Choice(words));
    match (parts.next(), parts.next(), parts.next()) {
        (Some("model"), None, None) => refuse(
            "`model` cannot be chosen: which model a stage trains stands in its own `with`, and in its key"
                .to_owned(),
        ),
        (Some("models"), other, None) => refuse(format!(
            "`{name}` is a whole section: choose single params, such as `models.{}.dropout`",
            other.unwrap_or(model)
        )),
        (Some("models"), Some(other), _) if other != model => refuse(format!(
            "`{name}` is of the model `{other}`, and this stage trains `{model}`"
        )),
        _ => Ok(()),
    }
}

/// Puts a value at a dotted name, making the maps on the way to it; gives back what stood there.
///
/// # Errors
/// The part of the name that stands for something else than a map.
fn replace(
    params: &mut Map<String, Value>,
    name: &str,
    value: Value,
) -> Result<Option<Value>, String> {
    let Some((first, rest)) = name.split_once('.') else {
        return Ok(params.insert(name.to_owned(), value));
    };
    let inner = params
        .entry(first)
        .or_insert_with(|| Value::Object(Map::new()));
    match inner {
        Value::Object(inner) => replace(inner, rest, value),
        _ => Err(first.to_owned()),
    }
}

fn refuse_wrong(schema: &ParamsSchema, value: &Value, under: &str) -> Result<(), TrainError> {
    let Some(error) = schema.validate_value(value).into_iter().next() else {
        return Ok(());
    };
    let field = format!("{under}{}", error.field());
    let advice = error
        .nearest
        .map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
    Err(TrainError::Choice(match error.kind {
        ParamErrorKind::Unknown { .. } => format!(
            "this stage has no param `{field}`{advice}; look at `with.set` of the `select` stage"
        ),
        _ => format!("`{field}`: {}{advice}", error.message),
    }))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;
    use supermoe_nn::layers::Mode;
    use supermoe_nn::{Device, Error, Tape};

    use super::*;
    use crate::finetune_params::FinetuneParams;
    use crate::model::{Encoded, Encoder};
    use crate::model_factory::{InputShape, ModelKind};
    use crate::model_input::ModelInput;
    use crate::network::{NetworkBuilder, NetworkValues};

    /// A model of which only the params matter.
    struct Toy;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct ToyParams {
        #[serde(default)]
        width: usize,
    }

    impl ModelKind for Toy {
        const NAME: &'static str = "m";
        const DESCRIPTION: &'static str = "A model of which only the params matter";
        const REVISION: &'static str = "1";
        type Params = ToyParams;
        type Encoder<D: Device> = Toy;

        fn build<D: Device>(
            _params: &ToyParams,
            _shape: &InputShape<'_>,
            _builder: &mut NetworkBuilder<'_, D>,
        ) -> Result<Toy, TrainError> {
            Ok(Toy)
        }
    }

    impl<D: Device> Encoder<D> for Toy {
        fn encode<T: Tape<f32, D>>(
            &self,
            _values: &NetworkValues<'_, D>,
            _input: &ModelInput,
            _mode: Mode,
            _tape: &mut T,
        ) -> Result<Encoded<D>, Error> {
            unreachable!("nothing is trained here")
        }
    }

    fn params() -> Map<String, Value> {
        let params = json!({ "model": "m", "epochs": 3, "optimizer": { "learning_rate": 0.001, "warmup_steps": 5 } });
        params.as_object().unwrap().clone()
    }

    fn chosen(name: &str, value: Value) -> Result<(Map<String, Value>, Vec<String>), String> {
        let mut params = params();
        let chosen = IndexMap::from([(name.to_owned(), value)]);
        let schema = schema_of::<FinetuneParams>();
        let factories = [ModelFactory::of::<Toy>()];
        choose_params(&mut params, &chosen, &schema, &factories)
            .map(|told| (params, told))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_chosen_stands_in_place_of_what_with_says_and_is_told() {
        let (params, told) = chosen("optimizer.learning_rate", json!(0.01)).unwrap();
        assert_eq!(
            params["optimizer"],
            json!({ "learning_rate": 0.01, "warmup_steps": 5 })
        );
        assert_eq!(
            told,
            ["choice: optimizer.learning_rate is 0.01, in place of 0.001"]
        );
        let (params, told) = chosen("freeze", json!({ "until_epoch": 1 })).unwrap();
        assert_eq!(params["freeze"], json!({ "until_epoch": 1 }));
        assert_eq!(
            told,
            ["choice: freeze is {\"until_epoch\":1}, in place of nothing"]
        );
        let (params, _) = chosen("models.m.width", json!(7)).unwrap();
        assert_eq!(params["models"], json!({ "m": { "width": 7 } }));
    }

    #[test]
    fn a_choice_that_does_not_fit_the_stage_is_told() {
        let told = |name: &str, value: Value| chosen(name, value).unwrap_err();
        assert_eq!(
            told("optimizer.learning_rat", json!(0.01)),
            "choice: this stage has no param `optimizer.learning_rat` (did you mean `learning_rate`?); look at `with.set` of the `select` stage"
        );
        assert_eq!(
            told("models.m.widht", json!(1)),
            "choice: this stage has no param `models.m.widht` (did you mean `width`?); look at `with.set` of the `select` stage"
        );
        assert_eq!(
            told("model", json!("other")),
            "choice: `model` cannot be chosen: which model a stage trains stands in its own `with`, and in its key"
        );
        assert_eq!(
            told("models.other.width", json!(1)),
            "choice: `models.other.width` is of the model `other`, and this stage trains `m`"
        );
        assert!(told("models.m", json!({})).contains("is a whole section"));
        assert_eq!(
            told("epochs.most", json!(1)),
            "choice: `epochs.most`: `epochs` has no params of its own"
        );
        assert!(told("epochs", json!(0)).starts_with("choice: `epochs`: "));
        assert!(told("optimizer.learning_rate", json!("fast")).contains("optimizer.learning_rate"));
    }
}
