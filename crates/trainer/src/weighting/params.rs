//! How a workflow says how the losses of tasks are weighted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::TrainError;
use crate::training_params::{at_least_one, in_range};

/// `weighting: dwa`, or `weighting: { dwa: { temperature: 1.0 } }`: a name, or a name with its params.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NameOrSection<N, S> {
    Name(N),
    Section(S),
}

/// `weighting` of `finetune`.
pub type FinetuneWeighting = NameOrSection<FinetuneMethod, FinetuneSection>;
/// `weighting` of `pretrain`.
pub type PretrainWeighting = NameOrSection<PretrainMethod, PretrainSection>;

/// A method with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinetuneMethod {
    /// Every task counts 1 / number of tasks.
    #[default]
    Equal,
    /// By learned uncertainties of the tasks (Kendall, Gal and Cipolla 2018).
    Uncertainty,
    /// Gradients of like norms (Chen et al. 2018).
    Gradnorm,
    /// By how fast losses fall (Liu, Johns and Davison 2019).
    Dwa,
    /// Equal weights; what conflicts in the tasks' gradients is projected away (Yu et al. 2020).
    Pcgrad,
    /// The weights under which a step helps the ranking of validation samples (eq. 9, 10).
    BilevelAuc,
}

/// A method with params.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinetuneSection {
    /// A factor of at least 0 for each task.
    Fixed(IndexMap<String, f64>),
    Gradnorm(GradNormParams),
    Dwa(DwaParams),
    BilevelAuc(BilevelAucParams),
}

/// A method with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PretrainMethod {
    /// The plain sum over the predicted channels.
    #[default]
    Equal,
    /// By learned uncertainties of the channels (Kendall, Gal and Cipolla 2018).
    Uncertainty,
    /// Gradients of like norms (Chen et al. 2018).
    Gradnorm,
    /// By how fast losses fall (Liu, Johns and Davison 2019).
    Dwa,
    /// Equal weights; what conflicts in the channels' gradients is projected away (Yu et al. 2020).
    Pcgrad,
}

/// A method with params.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PretrainSection {
    /// A factor of at least 0 for each predicted channel.
    Fixed(IndexMap<String, f64>),
    Gradnorm(GradNormParams),
    Dwa(DwaParams),
}

/// GradNorm (Chen et al. 2018).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GradNormParams {
    /// How much a task that learns slowly is preferred; 0: norms become alike.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub alpha: f64,
    /// Of the weights, which Adam moves.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// Steps between updates of the weights; each costs a further pass for every task.
    #[schemars(range(min = 1))]
    pub interval: u64,
}

impl Default for GradNormParams {
    fn default() -> GradNormParams {
        GradNormParams {
            alpha: 1.5,
            learning_rate: 0.025,
            interval: 10,
        }
    }
}

/// Dynamic weight average (Liu, Johns and Davison 2019).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DwaParams {
    /// Divides the ratios of losses: the larger, the nearer to equal weights.
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub temperature: f64,
    /// Steps whose losses are averaged; null: those of an epoch, as in the paper.
    #[schemars(range(min = 1))]
    pub window: Option<u64>,
}

impl Default for DwaParams {
    fn default() -> DwaParams {
        DwaParams {
            temperature: 2.0,
            window: None,
        }
    }
}

/// Bi-level optimisation of a surrogate of AUC (eq. 9, 10).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BilevelAucParams {
    /// Steps between updates of the weights; each costs a pass for every task and one for validation.
    #[schemars(range(min = 1))]
    pub interval: u64,
    /// Of the logits a of the weights, lambda = K softmax(a), which Adam moves.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Validation samples that are ranked in an update.
    #[schemars(range(min = 2))]
    pub batch_size: usize,
}

impl Default for BilevelAucParams {
    fn default() -> BilevelAucParams {
        BilevelAucParams {
            interval: 20,
            learning_rate: 0.02,
            batch_size: 256,
        }
    }
}

/// The branches of both in one list, so that a mistake is told of the branch that was meant.
impl<N: JsonSchema, S: JsonSchema> JsonSchema for NameOrSection<N, S> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", N::schema_name(), S::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = N::json_schema(generator);
        let mut schema = S::json_schema(generator);
        if let (Some(Value::Array(names)), Some(Value::Array(branches))) =
            (names.get("oneOf"), schema.get_mut("oneOf"))
        {
            branches.splice(0..0, names.iter().cloned());
        }
        schema
    }
}

impl<N: Default, S> Default for NameOrSection<N, S> {
    fn default() -> Self {
        NameOrSection::Name(N::default())
    }
}

impl<'de, N: DeserializeOwned, S: DeserializeOwned> Deserialize<'de> for NameOrSection<N, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms<N, S>(PhantomData<(N, S)>);

        impl<'de, N: DeserializeOwned, S: DeserializeOwned> Visitor<'de> for Forms<N, S> {
            type Value = NameOrSection<N, S>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a weighting, or a map from it to its params")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                N::deserialize(name.into_deserializer()).map(NameOrSection::Name)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                S::deserialize(MapAccessDeserializer::new(map)).map(NameOrSection::Section)
            }
        }
        deserializer.deserialize_any(Forms(PhantomData))
    }
}

/// A method with all its params, whichever stage it is of.
#[derive(Debug, Clone, PartialEq)]
pub enum MethodParams {
    Equal,
    Fixed(IndexMap<String, f64>),
    Uncertainty,
    GradNorm(GradNormParams),
    Dwa(DwaParams),
    PcGrad,
    BilevelAuc(BilevelAucParams),
}

impl FinetuneWeighting {
    pub fn method(&self) -> MethodParams {
        match self {
            NameOrSection::Name(FinetuneMethod::Equal) => MethodParams::Equal,
            NameOrSection::Name(FinetuneMethod::Uncertainty) => MethodParams::Uncertainty,
            NameOrSection::Name(FinetuneMethod::Gradnorm) => {
                MethodParams::GradNorm(GradNormParams::default())
            }
            NameOrSection::Name(FinetuneMethod::Dwa) => MethodParams::Dwa(DwaParams::default()),
            NameOrSection::Name(FinetuneMethod::Pcgrad) => MethodParams::PcGrad,
            NameOrSection::Name(FinetuneMethod::BilevelAuc) => {
                MethodParams::BilevelAuc(BilevelAucParams::default())
            }
            NameOrSection::Section(FinetuneSection::Fixed(weights)) => {
                MethodParams::Fixed(weights.clone())
            }
            NameOrSection::Section(FinetuneSection::Gradnorm(params)) => {
                MethodParams::GradNorm(*params)
            }
            NameOrSection::Section(FinetuneSection::Dwa(params)) => MethodParams::Dwa(*params),
            NameOrSection::Section(FinetuneSection::BilevelAuc(params)) => {
                MethodParams::BilevelAuc(*params)
            }
        }
    }
}

impl PretrainWeighting {
    pub fn method(&self) -> MethodParams {
        match self {
            NameOrSection::Name(PretrainMethod::Equal) => MethodParams::Equal,
            NameOrSection::Name(PretrainMethod::Uncertainty) => MethodParams::Uncertainty,
            NameOrSection::Name(PretrainMethod::Gradnorm) => {
                MethodParams::GradNorm(GradNormParams::default())
            }
            NameOrSection::Name(PretrainMethod::Dwa) => MethodParams::Dwa(DwaParams::default()),
            NameOrSection::Name(PretrainMethod::Pcgrad) => MethodParams::PcGrad,
            NameOrSection::Section(PretrainSection::Fixed(weights)) => {
                MethodParams::Fixed(weights.clone())
            }
            NameOrSection::Section(PretrainSection::Gradnorm(params)) => {
                MethodParams::GradNorm(*params)
            }
            NameOrSection::Section(PretrainSection::Dwa(params)) => MethodParams::Dwa(*params),
        }
    }
}

impl MethodParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        match self {
            MethodParams::GradNorm(params) => {
                in_range("weighting.gradnorm.alpha", params.alpha, 0.0, 10.0)?;
                let rate = params.learning_rate;
                in_range("weighting.gradnorm.learning_rate", rate, 0.0, 1.0)?;
                at_least_one("weighting.gradnorm.interval", params.interval)
            }
            MethodParams::Dwa(params) => {
                let temperature = params.temperature;
                in_range("weighting.dwa.temperature", temperature, 0.01, 1000.0)?;
                at_least_one("weighting.dwa.window", params.window.unwrap_or(1))
            }
            MethodParams::BilevelAuc(params) => {
                let rate = params.learning_rate;
                in_range("weighting.bilevel_auc.learning_rate", rate, 0.0, 10.0)?;
                at_least_one("weighting.bilevel_auc.interval", params.interval)?;
                if params.batch_size < 2 {
                    let found = params.batch_size;
                    let reason = format!("expected at least 2, a pair to rank, found {found}");
                    return Err(TrainError::param(
                        "weighting.bilevel_auc.batch_size",
                        reason,
                    ));
                }
                Ok(())
            }
            MethodParams::Equal
            | MethodParams::Fixed(_)
            | MethodParams::Uncertainty
            | MethodParams::PcGrad => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finetune(value: serde_json::Value) -> Result<FinetuneWeighting, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_name_and_an_empty_section_are_the_same() {
        for name in ["gradnorm", "dwa", "bilevel_auc"] {
            let by_name = finetune(json!(name)).unwrap();
            let by_section = finetune(json!({ name: {} })).unwrap();
            assert_eq!(by_name.method(), by_section.method(), "{name}");
            assert_eq!(serde_json::to_value(&by_name).unwrap(), json!(name));
        }
        let given = json!({ "bilevel_auc": { "interval": 5 } });
        let MethodParams::BilevelAuc(params) = finetune(given).unwrap().method() else {
            panic!("another method");
        };
        assert_eq!((params.interval, params.batch_size), (5, 256));
    }

    /// What `check` says of a workflow, before anything runs.
    #[test]
    fn the_schema_tells_the_branch_that_was_meant() {
        let schema = supermoe_plugin::sdk::schema_of::<crate::FinetuneParams>();
        let schema = supermoe_plugin::params::ParamsSchema::new(&schema).unwrap();
        let told = |weighting: Value| {
            let params = json!({ "model": "m", "weighting": weighting });
            let errors = schema.validate(params.as_object().unwrap());
            errors
                .into_iter()
                .map(|error| (error.field(), error.nearest))
                .collect::<Vec<_>>()
        };
        for right in [
            json!("dwa"),
            json!({ "dwa": {} }),
            json!({ "bilevel_auc": { "interval": 5 } }),
            json!({ "fixed": { "buy": 1 } }),
        ] {
            assert_eq!(told(right), []);
        }
        let one =
            |field: &str, near: Option<&str>| vec![(field.to_owned(), near.map(str::to_owned))];
        assert_eq!(told(json!("gradnrom")), one("weighting", Some("gradnorm")));
        assert_eq!(
            told(json!({ "bilevel_auc": { "intervall": 3 } })),
            one("weighting.bilevel_auc.intervall", Some("interval"))
        );
        assert_eq!(
            told(json!({ "bilevel_auc": { "interval": 0 } })),
            one("weighting.bilevel_auc.interval", None)
        );
    }

    #[test]
    fn what_is_no_weighting_is_told() {
        let told = |value| finetune(value).unwrap_err().to_string();
        assert!(
            told(json!("gradnrom")).contains("unknown variant `gradnrom`, expected one of `equal`")
        );
        assert!(told(json!({ "dwa": { "windows": 3 } })).contains("unknown field `windows`"));
        assert!(told(json!(3)).contains("expected the name of a weighting, or a map"));
        let pretrain = serde_json::from_value::<PretrainWeighting>(json!("bilevel_auc"));
        assert!(
            pretrain
                .unwrap_err()
                .to_string()
                .contains("unknown variant")
        );
    }

    #[test]
    fn what_is_out_of_range_is_told() {
        let told = |value| {
            let weighting = finetune(value).unwrap();
            weighting.method().check().unwrap_err().to_string()
        };
        for method in ["gradnorm", "bilevel_auc"] {
            assert_eq!(
                told(json!({ method: { "interval": 0 } })),
                format!("`weighting.{method}.interval`: expected at least 1, found 0")
            );
        }
        assert!(told(json!({ "dwa": { "window": 0 } })).contains("`weighting.dwa.window`"));
        assert!(told(json!({ "dwa": { "temperature": 0.0 } })).contains("0.01 to 1000"));
        assert!(
            told(json!({ "gradnorm": { "alpha": -1.0 } })).contains("`weighting.gradnorm.alpha`")
        );
        assert_eq!(
            told(json!({ "bilevel_auc": { "batch_size": 1 } })),
            "`weighting.bilevel_auc.batch_size`: expected at least 2, a pair to rank, found 1"
        );
    }
}
