//! The `pretrain` and `finetune` plugins over a list of models.

use std::path::Path;

use supermoe_channels::Dataset;
use supermoe_nn::{Cpu, profile};
use supermoe_plugin::event::{LogLevel, Progress};
use supermoe_plugin::manifest::{Manifest, Variants};
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};

use crate::error::TrainError;
use crate::export::{self, ExportJob};
use crate::export_params::{ExportParams, PredictParams};
use crate::finetune::{self, FinetuneOutputs};
use crate::finetune_params::FinetuneParams;
use crate::job::Job;
use crate::model_factory::{ModelFactory, variant_values};
use crate::monitor::Monitor;
use crate::predict::{self, PredictJob};
use crate::pretrain::{self, PretrainOutputs};
use crate::pretrain_params::PretrainParams;
use crate::trained::Artifact;

/// Raised when the outputs of `pretrain` change for the same params and inputs.
pub const PRETRAIN_REVISION: &str = "3";
/// Raised when the outputs of `finetune` change for the same params and inputs.
pub const FINETUNE_REVISION: &str = "3";
/// Raised when the outputs of `export` change for the same params and inputs.
pub const EXPORT_REVISION: &str = "2";
/// Raised when the outputs of `predict` change for the same params and inputs.
pub const PREDICT_REVISION: &str = "2";

/// Masked channel prediction, or what a model brings: `dataset` -> `encoder`, `history`.
pub fn pretrain(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("pretrain")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Pre-trains an encoder of behaviour sequences by masked channel prediction, or as its model does.")
        .revision(PRETRAIN_REVISION)
        .input("dataset", PortType::Dataset)
        .describe("dataset", "What `prepare` made; the training split is learned from, the validation split measured.")
        .output("encoder", PortType::Encoder)
        .describe("encoder", "The model's configuration and weights, for `finetune`.")
        .output("history", PortType::File)
        .describe("history", "NDJSON, one value of one metric a line.")
        .params::<PretrainParams>()
        .variants(variants(&factories, ModelFactory::without_pretraining))
        .checkpoints()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: PretrainParams = context.params()?;
        params.check()?;
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = Job::new(&factories, params, context.seed(), &dataset)?;
        let outputs = PretrainOutputs {
            encoder: context.output("encoder")?,
            history: context.output("history")?,
        };
        on_threads(context, |monitor| {
            pretrain::run(&job, &outputs, Cpu::default(), monitor)
        })
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
        .describe("predictions", "Scores of the validation and test samples.")
        .params::<FinetuneParams>()
        .variants(variants(&factories, |_| None))
        .checkpoints()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: FinetuneParams = context.params()?;
        params.check()?;
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = Job::new(&factories, params, context.seed(), &dataset)?;
        let encoder = context.optional_input("encoder");
        let outputs = FinetuneOutputs {
            model: context.output("model")?,
            history: context.output("history")?,
            predictions: context.output("predictions")?,
        };
        on_threads(context, |monitor| {
            finetune::run(&job, encoder, &outputs, Cpu::default(), monitor)
        })
    })
}

/// Embeddings of samples: `dataset`, `encoder` or `model` -> `embeddings`, `encoder`.
pub fn export(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("export")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Writes the embeddings of a dataset's samples, and the encoder that makes them.")
        .revision(&with_models(EXPORT_REVISION, &factories))
        .input("dataset", PortType::Dataset)
        .describe("dataset", "Whose samples are embedded.")
        .optional_input("encoder", PortType::Encoder)
        .describe("encoder", "What embeds them: of `pretrain`. Either this or `model`.")
        .optional_input("model", PortType::Model)
        .describe("model", "What embeds them: of `finetune`. Either this or `encoder`.")
        .output("embeddings", PortType::Embeddings)
        .describe(
            "embeddings",
            "embeddings.parquet (entity, snapshot, split, embedding), embeddings.npy with the same rows, config.json.",
        )
        .output("encoder", PortType::Encoder)
        .describe("encoder", "The encoder alone: weights.safetensors and its config.json.")
        .params::<ExportParams>()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: ExportParams = context.params()?;
        params.check()?;
        let given = ["encoder", "model"].map(|port| {
            let folder = context.optional_input(port);
            folder.map(|folder| Artifact { port, folder })
        });
        let artifact = match given {
            [Some(one), None] | [None, Some(one)] => one,
            [None, None] => {
                return Err(PluginError::new(
                    "give the stage an input `encoder` (of `pretrain`) or `model` (of `finetune`)",
                ));
            }
            [Some(_), Some(_)] => {
                return Err(PluginError::new(
                    "both `encoder` and `model` were given: give the stage the one whose embeddings are wanted",
                ));
            }
        };
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = ExportJob {
            factories: &factories,
            artifact,
            params,
            dataset: &dataset,
            embeddings: context.output("embeddings")?,
            encoder: context.output("encoder")?,
        };
        on_threads(context, |monitor| {
            export::run(&job, Cpu::default(), monitor)
        })
    })
}

/// Scores without labels: `dataset`, `model` -> `predictions`.
pub fn predict(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("predict")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Scores samples whose future is not known, by a fine-tuned model.")
        .revision(&with_models(PREDICT_REVISION, &factories))
        .input("dataset", PortType::Dataset)
        .describe(
            "dataset",
            "Whose samples are scored; prepared with the vocabularies and scales of the model's training.",
        )
        .input("model", PortType::Model)
        .describe("model", "Of `finetune`.")
        .output("predictions", PortType::Predictions)
        .describe(
            "predictions",
            "Probabilities, or numbers of regression tasks; labels are NULL.",
        )
        .params::<PredictParams>()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: PredictParams = context.params()?;
        params.check()?;
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = PredictJob {
            factories: &factories,
            model: Artifact {
                port: "model",
                folder: context.input("model")?,
            },
            params,
            dataset: &dataset,
            predictions: context.output("predictions")?,
        };
        on_threads(context, |monitor| {
            predict::run(&job, Cpu::default(), monitor)
        })
    })
}

/// A revision that changes with that of any model: which one is used stands in the artifact, not in a
/// param.
fn with_models(revision: &str, factories: &[ModelFactory]) -> String {
    let models = factories
        .iter()
        .map(|factory| format!(", {} {}", factory.name, factory.revision));
    format!("{revision}{}", models.collect::<String>())
}

fn variants(
    factories: &[ModelFactory],
    unavailable: impl Fn(&ModelFactory) -> Option<String>,
) -> Variants {
    Variants {
        param: "model".to_owned(),
        section: "models".to_owned(),
        values: variant_values(factories, unavailable),
    }
}

/// Runs a job on as many threads as the context grants, and tells where its time went if that was asked
/// for. Only the CPU is built in.
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
    let result = threads.install(|| {
        let measuring = context.request().profile.then(profile::enable);
        let result = job(&mut ContextMonitor(context));
        if let Some(measuring) = measuring {
            for line in measuring.finish().to_string().lines() {
                context.log(LogLevel::Info, line);
            }
        }
        result
    });
    match result {
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
