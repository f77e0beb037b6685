//! Runs training jobs on the made-up shop, each in a folder of its own, and compares their outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use supermoe_channels::Dataset;
use supermoe_trainer::finetune::FinetuneJob;
use supermoe_trainer::pretrain::PretrainJob;
use supermoe_trainer::{
    FinetuneParams, History, HistoryRecord, Monitor, PretrainParams, TrainError, choose,
};

/// A folder with the outputs of one job and its checkpoint.
pub struct Stage {
    folder: tempfile::TempDir,
}

/// Notes metrics and warnings, and asks to stop after some step.
#[derive(Default)]
pub struct Listener {
    pub checkpoint: Option<PathBuf>,
    pub stop_after: Option<u64>,
    pub done: u64,
    pub metrics: BTreeMap<String, f64>,
    pub warnings: Vec<String>,
}

impl Monitor for Listener {
    fn progress(&mut self, done: u64, _total: u64, _phase: &str, _loss: Option<f64>) {
        self.done = done;
    }
    fn metric(&mut self, name: &str, value: f64, _step: Option<u64>) {
        self.metrics.insert(name.to_owned(), value);
    }
    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }
    fn checkpoint_ready(&mut self, _step: u64) {}
    fn stop_requested(&mut self) -> bool {
        self.stop_after.is_some_and(|step| self.done >= step)
    }
    fn checkpoint(&self) -> Option<&Path> {
        self.checkpoint.as_deref()
    }
}

/// A small model that trains in a moment.
pub fn pretrain_params() -> Value {
    json!({
        "model": "supermoe", "seed": 5, "d_model": 16, "dropout": 0.1, "predict": ["product", "amount"],
        "mask_rate": 0.2, "epochs": 3, "batch_size": 16, "checkpoint_every": 1000,
        "optimizer": { "learning_rate": 0.01, "warmup_steps": 10 },
        "models": { "supermoe": { "layers": 1, "heads": 2, "d_ff": 16, "experts": 3, "id_width": 8, "category_width": 4 } },
    })
}

pub fn finetune_params() -> Value {
    let mut params = pretrain_params();
    let map = params.as_object_mut().unwrap();
    map.remove("predict");
    map.remove("mask_rate");
    params
}

/// The same params with one changed; `path` is dotted.
pub fn with(mut params: Value, path: &str, value: impl Into<Value>) -> Value {
    let mut place = &mut params;
    for part in path.split('.') {
        place = place
            .as_object_mut()
            .unwrap()
            .entry(part)
            .or_insert_with(|| json!({}));
    }
    *place = value.into();
    params
}

impl Stage {
    pub fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        for name in ["encoder", "model", "predictions", "checkpoint"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Stage { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn listener(&self) -> Listener {
        Listener {
            checkpoint: Some(self.path("checkpoint")),
            ..Listener::default()
        }
    }

    pub fn pretrain(
        &self,
        dataset: &Dataset,
        params: &Value,
        listener: &mut Listener,
    ) -> Result<(), TrainError> {
        let params: PretrainParams = serde_json::from_value(params.clone()).unwrap();
        params.check()?;
        let factories = [supermoe_model_supermoe::factory()];
        let (factory, model_params) = choose(&factories, &params.model, &params.models)?;
        let job = PretrainJob {
            factory,
            model_params,
            seed: params.seed.unwrap_or(0),
            params,
            dataset,
            encoder: &self.path("encoder"),
            history: &self.path("history.ndjson"),
        };
        supermoe_trainer::pretrain::run(&job, listener)
    }

    pub fn finetune(
        &self,
        dataset: &Dataset,
        params: &Value,
        encoder: Option<&Path>,
        listener: &mut Listener,
    ) -> Result<(), TrainError> {
        let params: FinetuneParams = serde_json::from_value(params.clone()).unwrap();
        params.check()?;
        let factories = [supermoe_model_supermoe::factory()];
        let (factory, model_params) = choose(&factories, &params.model, &params.models)?;
        let job = FinetuneJob {
            factory,
            model_params,
            seed: params.seed.unwrap_or(0),
            params,
            dataset,
            encoder,
            model: &self.path("model"),
            history: &self.path("history.ndjson"),
            predictions: &self.path("predictions"),
        };
        supermoe_trainer::finetune::run(&job, listener)
    }

    pub fn history(&self) -> Vec<HistoryRecord> {
        History::read(&self.path("history.ndjson")).unwrap()
    }

    /// The values of one metric in the order of steps.
    pub fn curve(&self, name: &str) -> Vec<f64> {
        self.history()
            .into_iter()
            .filter(|record| record.name == name)
            .map(|record| record.value)
            .collect()
    }

    /// A digest of each file of the outputs, by its path.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        for name in [
            "encoder/config.json",
            "encoder/weights.safetensors",
            "model/config.json",
            "model/weights.safetensors",
            "predictions/predictions.parquet",
            "history.ndjson",
        ] {
            if let Ok(bytes) = fs::read(self.path(name)) {
                digests.insert(name.to_owned(), blake3::hash(&bytes).to_hex().to_string());
            }
        }
        digests
    }
}

/// Runs on a pool of this many threads.
pub fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(work)
}
