//! Kinds of models behind a factory: what a model's crate exports, and a list of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use supermoe_channels::{Schema, Task};
#[cfg(feature = "cuda")]
use supermoe_nn::Cuda;
use supermoe_nn::{Cpu, Device};
use supermoe_plugin::manifest::VariantValue;
use supermoe_plugin::sdk::schema_of;

use crate::error::TrainError;
use crate::model::{Encoder, Model};
use crate::network::NetworkBuilder;

/// What pre-trains a kind of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pretraining {
    /// Masked channel prediction, on the representations of steps.
    #[default]
    MaskedChannels,
    /// A loss of the model's own: [`Encoder::augmentation`] and [`Encoder::pretraining_losses`].
    Own,
    /// Nothing: it begins at random weights, in fine-tuning.
    None,
}

/// A kind of model: what its crate exports.
pub trait ModelKind: 'static {
    /// What `model:` says in a workflow.
    const NAME: &'static str;
    /// One line for people.
    const DESCRIPTION: &'static str;
    /// Raised when outputs change for the same params and inputs.
    const REVISION: &'static str;
    /// Names of params that shape the loss or the training and not the function: those may differ
    /// between the stage that trained an encoder and the stage that goes on with it.
    const TRAINING_PARAMS: &'static [&'static str] = &[];
    /// What pre-trains it.
    const PRETRAINING: Pretraining = Pretraining::MaskedChannels;

    /// The section `models.<name>` of `with`.
    type Params: Serialize + DeserializeOwned + JsonSchema;
    type Encoder<D: Device>: Encoder<D>;

    /// What does not fit, in words: what the ranges of the params' schema cannot say. Asked before
    /// [`ModelKind::build`].
    ///
    /// # Errors
    /// Params that do not fit together, or not the width.
    fn check(_params: &Self::Params, _shape: &InputShape<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Makes the parameters and layers. What serves one task alone (its gate, its experts) is of the
    /// group of the towers, all else of the encoder and the tables: an encoder's file holds the latter,
    /// and task weightings look at what tasks share.
    ///
    /// # Errors
    /// Params that do not fit the channels.
    fn build<D: Device>(
        params: &Self::Params,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Self::Encoder<D>, TrainError>;
}

/// What a model is built for.
pub struct InputShape<'a> {
    pub schema: &'a Schema,
    /// Width of the representations.
    pub d_model: usize,
    /// Share of activations that are dropped in training.
    pub dropout: f32,
    /// Dense columns that masking may hide, in the order of the dense input.
    pub maskable: &'a [usize],
    /// The tasks that towers stand for, in their order; none in pre-training, and where an encoder
    /// alone is built.
    pub tasks: &'a [Task],
}

#[doc(hidden)]
pub type BuildFn<D> = fn(
    &Map<String, Value>,
    &InputShape<'_>,
    &mut NetworkBuilder<'_, D>,
) -> Result<Box<dyn Model<D>>, TrainError>;

type ResolveFn = fn(&Map<String, Value>) -> Result<Map<String, Value>, TrainError>;

/// A kind of model as a value, for lists.
#[derive(Clone)]
pub struct ModelFactory {
    pub name: &'static str,
    pub description: &'static str,
    pub revision: &'static str,
    pub training_params: &'static [&'static str],
    pub pretraining: Pretraining,
    schema: fn() -> Value,
    resolve: ResolveFn,
    build_cpu: BuildFn<Cpu>,
    #[cfg(feature = "cuda")]
    build_cuda: BuildFn<Cuda>,
}

/// A device that models are trained on: each factory has a builder for it.
pub trait TrainingDevice: Device {
    #[doc(hidden)]
    fn builder(factory: &ModelFactory) -> BuildFn<Self>;
}

impl TrainingDevice for Cpu {
    fn builder(factory: &ModelFactory) -> BuildFn<Cpu> {
        factory.build_cpu
    }
}

#[cfg(feature = "cuda")]
impl TrainingDevice for Cuda {
    fn builder(factory: &ModelFactory) -> BuildFn<Cuda> {
        factory.build_cuda
    }
}

impl ModelFactory {
    pub fn of<K: ModelKind>() -> ModelFactory {
        ModelFactory {
            name: K::NAME,
            description: K::DESCRIPTION,
            revision: K::REVISION,
            training_params: K::TRAINING_PARAMS,
            pretraining: K::PRETRAINING,
            schema: schema_of::<K::Params>,
            resolve: resolve::<K>,
            build_cpu: build::<K, Cpu>,
            #[cfg(feature = "cuda")]
            build_cuda: build::<K, Cuda>,
        }
    }

    /// Its entry among a plugin's variants; `unavailable` says why that plugin cannot use it.
    pub fn variant(&self, unavailable: Option<String>) -> VariantValue {
        VariantValue {
            revision: self.revision.to_owned(),
            params: self.params_schema(),
            description: self.description.to_owned(),
            unavailable,
            needs: BTreeMap::new(),
        }
    }

    /// JSON Schema of the model's params.
    pub fn params_schema(&self) -> Value {
        (self.schema)()
    }

    /// Why it cannot be pre-trained, in words; `None` where it can.
    pub fn without_pretraining(&self) -> Option<String> {
        (self.pretraining == Pretraining::None).then(|| {
            format!(
                "`{}` has no pre-training: use it in `finetune`, without an `encoder`",
                self.name
            )
        })
    }

    /// The model's params with all defaults.
    ///
    /// # Errors
    /// Unknown names and values of another type.
    pub fn params(&self, section: &Map<String, Value>) -> Result<Map<String, Value>, TrainError> {
        (self.resolve)(section)
    }

    pub fn build<D: TrainingDevice>(
        &self,
        params: &Map<String, Value>,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Box<dyn Model<D>>, TrainError> {
        D::builder(self)(params, shape, builder)
    }
}

/// The factory that `model` names, and its params from `models`.
pub fn choose<'a>(
    factories: &'a [ModelFactory],
    name: &str,
    sections: &Map<String, Value>,
) -> Result<(&'a ModelFactory, Map<String, Value>), TrainError> {
    let Some(factory) = factories.iter().find(|factory| factory.name == name) else {
        let known: Vec<&str> = factories.iter().map(|factory| factory.name).collect();
        return Err(TrainError::UnknownModel {
            name: name.to_owned(),
            known: known.join(", "),
        });
    };
    let section = match sections.get(name) {
        None => Map::new(),
        Some(Value::Object(section)) => section.clone(),
        Some(other) => {
            return Err(TrainError::ModelParams {
                model: name.to_owned(),
                reason: format!("expected a map of params, found {other}"),
            });
        }
    };
    Ok((factory, factory.params(&section)?))
}

/// The variants that a list of factories makes, by name; `unavailable` says which of them a plugin cannot
/// use, and why.
pub fn variant_values(
    factories: &[ModelFactory],
    unavailable: impl Fn(&ModelFactory) -> Option<String>,
) -> BTreeMap<String, VariantValue> {
    let variant = |factory: &ModelFactory| {
        (
            factory.name.to_owned(),
            factory.variant(unavailable(factory)),
        )
    };
    factories.iter().map(variant).collect()
}

fn typed<K: ModelKind>(section: &Map<String, Value>) -> Result<K::Params, TrainError> {
    serde_json::from_value(Value::Object(section.clone()))
        .map_err(|error| model_params::<K>(error.to_string()))
}

fn model_params<K: ModelKind>(reason: String) -> TrainError {
    TrainError::ModelParams {
        model: K::NAME.to_owned(),
        reason,
    }
}

fn resolve<K: ModelKind>(section: &Map<String, Value>) -> Result<Map<String, Value>, TrainError> {
    match serde_json::to_value(typed::<K>(section)?) {
        Ok(Value::Object(params)) => Ok(params),
        _ => Err(model_params::<K>("its params are no map".to_owned())),
    }
}

fn build<K: ModelKind, D: Device>(
    params: &Map<String, Value>,
    shape: &InputShape<'_>,
    builder: &mut NetworkBuilder<'_, D>,
) -> Result<Box<dyn Model<D>>, TrainError> {
    let params = typed::<K>(params)?;
    K::check(&params, shape).map_err(|reason| model_params::<K>(reason))?;
    Ok(Box::new(K::build::<D>(&params, shape, builder)?))
}
