//! Params of pre-training by masked channel prediction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::job::Training;
use crate::pooling::Pooling;
use crate::training_params::{TrainingParams, at_least_one, in_range};
use crate::weighting::PretrainWeighting;

/// What is masked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaskMode {
    /// Steps are picked, and all chosen channels of a picked step are masked.
    #[default]
    PerStep,
    /// Every chosen channel picks its own steps.
    PerChannel,
    /// Visits are picked (rows of one time), and all chosen channels of all their steps are
    /// masked, with every running total of those steps.
    Visit,
}

/// What is told of a masked dense channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DenseTarget {
    /// The quantile bucket that the value lies in, by cross-entropy.
    #[default]
    Buckets,
    /// The value, by squared error.
    Squared,
}

/// Which heads learn by sampled softmax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SampledSoftmax {
    /// Heads with more classes than this do; the others use the full softmax.
    pub above: usize,
    /// Classes that are drawn in each step, by a log-uniform distribution over the classes from the
    /// most to the least frequent (over hashed ones: uniform).
    #[schemars(range(min = 1))]
    pub samples: usize,
}

impl Default for SampledSoftmax {
    fn default() -> SampledSoftmax {
        SampledSoftmax {
            above: 16_384,
            samples: 1024,
        }
    }
}

/// What is told of the time after a sample's snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FutureParams {
    /// How many snapshots of the training split ahead: whether the entity comes back before that snapshot,
    /// and how often, by a head for each.
    #[schemars(length(min = 1), inner(range(min = 1)), extend("uniqueItems" = true))]
    pub snapshots: Vec<usize>,
    /// The most steps after the snapshot whose predicted channels are told.
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// What the losses of whether and how often are multiplied by: they are few, and closer to what towers ask
    /// than those of channels.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub weight: f64,
}

impl Default for FutureParams {
    fn default() -> FutureParams {
        FutureParams {
            snapshots: vec![1, 3],
            steps: 16,
            weight: 10.0,
        }
    }
}

/// Whether what comes next is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FutureChoice {
    /// With the defaults, or not at all.
    Switch(bool),
    /// As these say.
    Params(FutureParams),
}

impl Default for FutureChoice {
    fn default() -> FutureChoice {
        FutureChoice::Switch(false)
    }
}

impl FutureChoice {
    /// `None` where it is not told.
    pub fn params(&self) -> Option<FutureParams> {
        match self {
            FutureChoice::Switch(false) => None,
            FutureChoice::Switch(true) => Some(FutureParams::default()),
            FutureChoice::Params(params) => Some(params.clone()),
        }
    }
}

/// `with` of `pretrain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainParams {
    #[serde(flatten)]
    pub training: TrainingParams,
    /// Names of the channels that are masked and predicted (MCP); models with a pre-training of their own need
    /// none.
    #[serde(default)]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub predict: Option<Vec<String>>,
    /// What is masked together: `per_step`, `per_channel` or `visit`.
    #[serde(default)]
    pub mask: MaskMode,
    /// The share of steps (or visits) that are picked. Of the picked, 80 % are replaced by the mask,
    /// 10 % by a random value, 10 % left as they are.
    #[serde(default = "default_mask_rate")]
    #[schemars(range(min = 0.001, max = 0.9))]
    pub mask_rate: f64,
    /// What is told of dense channels: `buckets` (the quantile bucket) or `squared` (the value).
    #[serde(default)]
    pub dense: DenseTarget,
    /// Which heads learn by sampled softmax, and among how many classes.
    #[serde(default)]
    pub sampled_softmax: SampledSoftmax,
    /// How the losses of the predicted channels are weighted in their sum: `equal`, `uncertainty`,
    /// `gradnorm`, `dwa` or `pcgrad`; with params `{ fixed: { product: 1.0, country: 0.5 } }`,
    /// `{ gradnorm: { interval: 20 } }`, `{ dwa: { window: 100 } }`.
    #[serde(default)]
    pub weighting: PretrainWeighting,
    /// Also learn to tell what comes next, from the sequence pooled as in fine-tuning: `future: true` with the
    /// defaults, or `future: { snapshots: [1, 3], steps: 16, weight: 10 }`. Whether and how often the entity comes back,
    /// and the predicted channels of the steps that follow, as the later snapshots of the training split show
    /// them; no label is looked at.
    #[serde(default)]
    pub future: FutureChoice,
    /// How the steps of a sequence become what the heads of `future` see, of models that give steps: `max`, `mean` or
    /// `last`. The same as in fine-tuning, if that is to gain by it.
    #[serde(default)]
    pub pooling: Pooling,
    /// The most validation sequences that the heads are measured on after an epoch.
    #[serde(default = "default_valid_samples")]
    pub valid_samples: usize,
}

fn default_mask_rate() -> f64 {
    0.15
}
fn default_valid_samples() -> usize {
    2000
}

impl Training for PretrainParams {
    fn training(&self) -> &TrainingParams {
        &self.training
    }
}

impl FutureParams {
    fn check(&self) -> Result<(), TrainError> {
        if self.snapshots.is_empty() {
            return Err(TrainError::param(
                "future.snapshots",
                "expected at least one number of snapshots, found none".to_owned(),
            ));
        }
        for (index, &ahead) in self.snapshots.iter().enumerate() {
            at_least_one(&format!("future.snapshots[{index}]"), ahead as u64)?;
            if self.snapshots[..index].contains(&ahead) {
                return Err(TrainError::param(
                    "future.snapshots",
                    format!("{ahead} stands twice"),
                ));
            }
        }
        at_least_one("future.steps", self.steps as u64)?;
        in_range("future.weight", self.weight, 0.0, 1000.0)
    }
}

fn check_predict(predict: &[String]) -> Result<(), TrainError> {
    if predict.is_empty() {
        return Err(TrainError::param(
            "predict",
            "expected at least one channel, found none".to_owned(),
        ));
    }
    for (index, name) in predict.iter().enumerate() {
        if predict[..index].contains(name) {
            return Err(TrainError::param(
                "predict",
                format!("channel `{name}` stands twice"),
            ));
        }
    }
    Ok(())
}

/// Why a model that is pre-trained by masked channel prediction needs `predict`.
pub(crate) fn why_predict(model: &str) -> String {
    format!("the model `{model}` is pre-trained by telling channels that are masked: name those")
}

impl PretrainParams {
    /// The channels that this model is to predict.
    ///
    /// # Errors
    /// `predict` was left out.
    pub fn predicted(&self, model: &str) -> Result<&[String], TrainError> {
        let predict = self.predict.as_deref();
        predict.ok_or_else(|| TrainError::param("predict", why_predict(model)))
    }

    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        if let Some(predict) = &self.predict {
            check_predict(predict)?;
        }
        in_range("mask_rate", self.mask_rate, 0.001, 0.9)?;
        at_least_one(
            "sampled_softmax.samples",
            self.sampled_softmax.samples as u64,
        )?;
        if let Some(future) = self.future.params() {
            future.check()?;
        }
        self.weighting.method().check()?;
        self.training.check()
    }
}
