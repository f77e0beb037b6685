//! Params of multi-task fine-tuning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::job::Training;
use crate::pooling::Pooling;
use crate::training_params::{TrainingParams, at_least_one, in_range};
use crate::weighting::FinetuneWeighting;

/// Whether the encoder learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Freeze {
    /// Everything learns from the first step.
    #[default]
    None,
    /// Only the towers learn.
    Encoder,
    /// The towers learn alone for this many epochs, then everything.
    UntilEpoch(#[schemars(range(min = 1))] u64),
}

impl Freeze {
    /// Whether the encoder stands still in this epoch, counted from 0.
    pub fn frozen(self, epoch: u64) -> bool {
        match self {
            Freeze::None => false,
            Freeze::Encoder => true,
            Freeze::UntilEpoch(until) => epoch < until,
        }
    }
}

/// The loss of regression tasks, on labels that are standardised by the training samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegressionLoss {
    /// Squared up to one standard deviation, linear beyond: outliers weigh less.
    #[default]
    Huber,
    /// The squared error.
    Squared,
}

/// What a task's loss is the mean over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossMean {
    /// The samples of the batch that carry the task's label.
    #[default]
    Labelled,
    /// All samples of the batch.
    Batch,
}

/// `with` of `finetune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneParams {
    #[serde(flatten)]
    pub training: TrainingParams,
    /// The tasks to train; null: all of the dataset.
    #[serde(default)]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub tasks: Option<Vec<String>>,
    /// How the tasks' losses are weighted in their sum: `equal`, `uncertainty`, `gradnorm`, `dwa`,
    /// `pcgrad` or `bilevel_auc`; with params `{ fixed: { buy: 1.0, churn: 0.5 } }`,
    /// `{ gradnorm: { interval: 20 } }`, `{ dwa: { window: 100 } }`, `{ bilevel_auc: { interval: 50 } }`.
    #[serde(default)]
    pub weighting: FinetuneWeighting,
    /// The loss of regression tasks: `huber` or `squared`. Binary and multiclass tasks learn by
    /// cross-entropy.
    #[serde(default)]
    pub loss: RegressionLoss,
    /// What a task's loss is the mean over: `labelled` (the samples of the batch that carry its label, the
    /// indicator of eq. 3), or `batch` (all samples of the batch, those without a label as 0), which weighs a
    /// task with few labels less; for comparison.
    #[serde(default)]
    pub loss_mean: LossMean,
    /// Whether the encoder learns: `freeze: none` (it does), `freeze: encoder` (it does not), or
    /// `freeze: { until_epoch: 2 }` (not in the first two epochs).
    #[serde(default)]
    pub freeze: Freeze,
    /// How the steps of a sample become what towers see, of models that give steps: `max`, the largest value
    /// over the steps (eq. 8), `mean`, or `last`, the snapshot step alone.
    #[serde(default)]
    pub pooling: Pooling,
    /// The share of the training split's entities whose labels are learned from, the same entities for one
    /// seed; the samples of the others are left out. For asking what pre-training adds where labels are few.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0001, max = 1.0))]
    pub labelled: f64,
    /// A sanity check, never for real use: the labels of samples are exchanged at random within
    /// each split, in the predictions too. No label then depends on its inputs, so the test AUC
    /// must be 0.5 but for chance; if it is not, the test labels were seen in training. (Against
    /// labels that were not exchanged a model of noise is right as often as wrong, yet by any
    /// amount in a single run: AUC does not see how small a slope is.)
    #[serde(default)]
    pub shuffle_labels: bool,
}

fn all() -> f64 {
    1.0
}

impl Training for FinetuneParams {
    fn training(&self) -> &TrainingParams {
        &self.training
    }
}

impl FinetuneParams {
    /// The rules that the JSON Schema also says, for workers that are started by hand.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.tasks.as_ref().is_some_and(Vec::is_empty) {
            return Err(TrainError::param(
                "tasks",
                "expected at least one task, found none".to_owned(),
            ));
        }
        for (index, name) in self.tasks.iter().flatten().enumerate() {
            if self
                .tasks
                .iter()
                .flatten()
                .take(index)
                .any(|other| other == name)
            {
                return Err(TrainError::param(
                    "tasks",
                    format!("task `{name}` stands twice"),
                ));
            }
        }
        if let Freeze::UntilEpoch(until) = self.freeze {
            at_least_one("freeze.until_epoch", until)?;
        }
        in_range("labelled", self.labelled, 0.0001, 1.0)?;
        self.weighting.method().check()?;
        self.training.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(rest: &str) -> FinetuneParams {
        serde_json::from_str(&format!(r#"{{ "model": "m"{rest} }}"#)).unwrap()
    }

    #[test]
    fn the_encoder_is_frozen_as_long_as_asked_for() {
        assert!(!params("").freeze.frozen(0));
        let encoder = params(r#", "freeze": "encoder""#).freeze;
        assert!(encoder.frozen(0) && encoder.frozen(1000));
        let two = params(r#", "freeze": { "until_epoch": 2 }"#).freeze;
        assert_eq!(
            [0, 1, 2].map(|epoch| two.frozen(epoch)),
            [true, true, false]
        );
    }

    #[test]
    fn an_unknown_param_is_refused_and_shared_ones_stand_beside_the_others() {
        let both = params(r#", "epochs": 7, "loss": "squared""#);
        assert_eq!(both.training.epochs, 7);
        assert_eq!(both.loss, RegressionLoss::Squared);
        let unknown = serde_json::from_str::<FinetuneParams>(r#"{ "model": "m", "epoch": 7 }"#);
        let error = unknown.unwrap_err().to_string();
        assert!(error.contains("unknown field `epoch`"), "{error}");
    }
}
