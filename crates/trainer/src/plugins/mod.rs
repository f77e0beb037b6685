//! The plugins `pretrain`, `finetune`, `export` and `predict` over a list of models.

mod export;
mod finetune;
mod own_program;
mod predict;
mod pretrain;

use std::path::Path;

use supermoe_channels::Dataset;
use supermoe_nn::{profile, threads};
use supermoe_plugin::event::{LogLevel, Progress};
use supermoe_plugin::manifest::{Manifest, Variants};
use supermoe_plugin::sdk::{Context, PluginError};

pub use self::export::{EXPORT_REVISION, export};
pub use self::finetune::{FINETUNE_REVISION, finetune};
pub use self::own_program::serve_model;
pub use self::predict::{PREDICT_REVISION, predict};
pub use self::pretrain::{PRETRAIN_REVISION, pretrain};
use crate::embedding_features::with_embeddings;
use crate::error::TrainError;
use crate::model_factory::{ModelFactory, variant_values};
use crate::monitor::Monitor;

/// The port of embeddings that samples have beside their channels.
const EMBEDDINGS: &str = "embeddings";

/// The dataset of a stage, with its `embeddings` among the aggregates where they are given.
fn dataset_with_embeddings(context: &Context) -> Result<Dataset, PluginError> {
    let dataset = Dataset::open(context.input("dataset")?)?;
    Ok(match context.optional_input(EMBEDDINGS) {
        Some(folder) => with_embeddings(dataset, folder)?,
        None => dataset,
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
    let result = threads::run(context.threads(), || {
        let measuring = context.request().profile.then(profile::enable);
        let result = job(&mut ContextMonitor(context));
        if let Some(measuring) = measuring {
            for line in measuring.finish().to_string().lines() {
                context.log(LogLevel::Info, line);
            }
        }
        result
    })?;
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
