//! The `pretrain` and `finetune` plugins over a list of models.

use std::path::Path;

use supermoe_channels::Dataset;
use supermoe_plugin::event::{LogLevel, Progress};
use supermoe_plugin::manifest::{Manifest, Variants};
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};

use crate::error::TrainError;
use crate::finetune::{self, FinetuneJob};
use crate::finetune_params::FinetuneParams;
use crate::model::{ModelFactory, choose, variant_values};
use crate::monitor::Monitor;
use crate::pretrain::{self, PretrainJob};
use crate::pretrain_params::PretrainParams;

/// Raised when the outputs of `pretrain` change for the same params and inputs.
pub const PRETRAIN_REVISION: &str = "1";
/// Raised when the outputs of `finetune` change for the same params and inputs.
pub const FINETUNE_REVISION: &str = "1";

/// Masked channel prediction: `dataset` -> `encoder`, `history`.
pub fn pretrain(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("pretrain")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Pre-trains an encoder of behaviour sequences by masked channel prediction.")
        .revision(PRETRAIN_REVISION)
        .input("dataset", PortType::Dataset)
        .describe("dataset", "What `prepare` made; the training split is learned from, the validation split measured.")
        .output("encoder", PortType::Encoder)
        .describe("encoder", "The model's configuration and weights, for `finetune`.")
        .output("history", PortType::File)
        .describe("history", "NDJSON, one value of one metric a line.")
        .params::<PretrainParams>()
        .variants(variants(&factories))
        .checkpoints()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: PretrainParams = context.params()?;
        params.check()?;
        let (factory, model_params) = choose(&factories, &params.model, &params.models)?;
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = PretrainJob {
            factory,
            model_params,
            seed: params.seed.unwrap_or(context.seed()),
            params,
            dataset: &dataset,
            encoder: context.output("encoder")?,
            history: context.output("history")?,
        };
        on_threads(context, |monitor| pretrain::run(&job, monitor))
    })
}

/// Multi-task fine-tuning: `dataset`, `encoder` (optional) -> `model`, `history`, `predictions`.
pub fn finetune(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("finetune")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Trains towers, one a task, on an encoder of behaviour sequences, and scores the test split.")
        .revision(FINETUNE_REVISION)
        .input("dataset", PortType::Dataset)
        .describe("dataset", "What `prepare` made.")
        .optional_input("encoder", PortType::Encoder)
        .describe("encoder", "Where the encoder begins; without it, at random weights.")
        .output("model", PortType::Model)
        .describe("model", "Configuration and weights of the best epoch.")
        .output("history", PortType::File)
        .describe("history", "NDJSON, one value of one metric a line.")
        .output("predictions", PortType::Predictions)
        .describe("predictions", "Probabilities of the validation and test samples.")
        .params::<FinetuneParams>()
        .variants(variants(&factories))
        .checkpoints()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: FinetuneParams = context.params()?;
        params.check()?;
        let (factory, model_params) = choose(&factories, &params.model, &params.models)?;
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = FinetuneJob {
            factory,
            model_params,
            seed: params.seed.unwrap_or(context.seed()),
            params,
            dataset: &dataset,
            encoder: context.optional_input("encoder"),
            model: context.output("model")?,
            history: context.output("history")?,
            predictions: context.output("predictions")?,
        };
        on_threads(context, |monitor| finetune::run(&job, monitor))
    })
}

fn variants(factories: &[ModelFactory]) -> Variants {
    Variants {
        param: "model".to_owned(),
        section: "models".to_owned(),
        values: variant_values(factories),
    }
}

/// Runs a job on as many threads as the context grants. Only the CPU is built in.
fn on_threads(
    context: &Context,
    job: impl FnOnce(&mut ContextMonitor) -> Result<(), TrainError> + Send,
) -> Result<(), PluginError> {
    if context.device() != "cpu" {
        let device = context.device();
        return Err(PluginError::new(format!(
            "this build trains on `cpu` alone, and the device is `{device}`"
        )));
    }
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(context.threads())
        .build()?;
    match threads.install(|| job(&mut ContextMonitor(context))) {
        Err(TrainError::Stopped { .. }) => Err(PluginError::stopped()),
        other => Ok(other?),
    }
}

struct ContextMonitor<'a>(&'a Context);

impl Monitor for ContextMonitor<'_> {
    fn progress(&mut self, done: u64, total: u64, phase: &str, loss: Option<f64>) {
        self.0.progress(Progress {
            done,
            total: Some(total),
            unit: Some("step".to_owned()),
            message: Some(phase.to_owned()),
            loss,
        });
    }

    fn metric(&mut self, name: &str, value: f64, step: Option<u64>) {
        self.0.metric(name, value, step);
    }

    fn warn(&mut self, message: &str) {
        self.0.log(LogLevel::Warn, message);
    }

    fn checkpoint_ready(&mut self, step: u64) {
        self.0.checkpoint_ready(Some(step));
    }

    fn stop_requested(&mut self) -> bool {
        self.0.stop_requested()
    }

    fn checkpoint(&self) -> Option<&Path> {
        self.0.checkpoint()
    }
}

/// The manifests of both plugins, for tests and schemas.
pub fn manifests(factories: &[ModelFactory]) -> [Manifest; 2] {
    [
        pretrain(factories.to_vec()).manifest,
        finetune(factories.to_vec()).manifest,
    ]
}
