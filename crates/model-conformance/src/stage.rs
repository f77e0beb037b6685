//! Runs the jobs of one model, each in a folder of its own, and compares their outputs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use supermoe_channels::Dataset;
use supermoe_nn::Cpu;
use supermoe_trainer::export::{self, ExportJob};
use supermoe_trainer::finetune::{self, FinetuneOutputs};
use supermoe_trainer::predict::{self, PredictJob};
use supermoe_trainer::pretrain::{self, PretrainOutputs};
use supermoe_trainer::{
    Artifact, FinetuneParams, History, HistoryRecord, Job, ModelFactory, Monitor, PREDICTIONS_FILE,
    PretrainParams, TrainError,
};

/// A folder with the outputs of one job and its checkpoint.
pub struct Stage {
    factory: ModelFactory,
    folder: tempfile::TempDir,
}

/// Notes metrics and warnings, and asks to stop after some step.
#[derive(Debug, Default)]
pub struct Listener {
    pub checkpoint: Option<PathBuf>,
    pub stop_after: Option<u64>,
    /// Where the checkpoint is copied as it is on the disk when that step has just been done: what
    /// SIGKILL at that moment would leave.
    pub kill_leaves: Option<PathBuf>,
    /// Steps at which a checkpoint was saved.
    pub saved: Vec<u64>,
    pub done: u64,
    pub metrics: BTreeMap<String, f64>,
    pub warnings: Vec<String>,
}

impl Monitor for Listener {
    fn progress(&mut self, done: u64, _total: u64, _phase: &str, _loss: Option<f64>) {
        if let (Some(left), Some(checkpoint)) = (&self.kill_leaves, &self.checkpoint)
            && self.stop_after == Some(done)
            && self.done < done
        {
            copy(checkpoint, left);
        }
        self.done = done;
    }
    fn metric(&mut self, name: &str, value: f64, _step: Option<u64>) {
        self.metrics.insert(name.to_owned(), value);
    }
    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }
    fn checkpoint_ready(&mut self, step: u64) {
        self.saved.push(step);
    }
    fn stop_requested(&mut self) -> bool {
        self.stop_after.is_some_and(|step| self.done >= step)
    }
    fn checkpoint(&self) -> Option<&Path> {
        self.checkpoint.as_deref()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A row of the predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    pub split: String,
    pub task: String,
    pub class: Option<String>,
    pub label: Option<f32>,
    pub score: f64,
}

/// A model and params with which it trains in a moment.
#[derive(Clone)]
pub struct ModelUnderTest {
    pub factory: ModelFactory,
    /// The section `models.<name>`.
    pub params: Value,
}

impl ModelUnderTest {
    /// `with` of `pretrain`.
    pub fn pretrain_params(&self) -> Value {
        with(
            self.finetune_params(),
            "predict",
            json!(["product", "amount"]),
        )
    }

    /// `with` of `finetune`.
    pub fn finetune_params(&self) -> Value {
        let name = self.factory.name;
        json!({
            "model": name, "seed": 5, "d_model": 16, "dropout": 0.1, "epochs": 3, "batch_size": 16,
            "checkpoint_every": 1000, "optimizer": { "learning_rate": 0.01, "warmup_steps": 10 },
            "models": { name: self.params.clone() },
        })
    }

    /// An empty folder for its jobs.
    pub fn stage(&self) -> Stage {
        Stage::new(self.factory.clone())
    }
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
    pub fn new(factory: ModelFactory) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "encoder",
            "model",
            "predictions",
            "checkpoint",
            "exported",
            "embeddings",
            "predicted",
        ] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Stage { factory, folder }
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
        self.pretrain_from(dataset, params, None, listener)
    }

    /// The same, beginning with the weights of an encoder.
    pub fn pretrain_from(
        &self,
        dataset: &Dataset,
        params: &Value,
        encoder: Option<&Path>,
        listener: &mut Listener,
    ) -> Result<(), TrainError> {
        let params: PretrainParams = serde_json::from_value(params.clone()).unwrap();
        params.check()?;
        let factories = [self.factory.clone()];
        let job = Job::new(&factories, params, 0, dataset)?;
        let outputs = PretrainOutputs {
            encoder: &self.path("encoder"),
            history: &self.path("history.ndjson"),
        };
        pretrain::run(&job, encoder, &outputs, Cpu::default(), listener)
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
        let factories = [self.factory.clone()];
        let job = Job::new(&factories, params, 0, dataset)?;
        let outputs = FinetuneOutputs {
            model: &self.path("model"),
            history: &self.path("history.ndjson"),
            predictions: &self.path("predictions"),
        };
        finetune::run(&job, encoder, &outputs, Cpu::default(), listener)
    }

    /// Scores of the test samples by the model of `finetune`, in the folder `predicted`.
    pub fn predict(&self, dataset: &Dataset, listener: &mut Listener) -> Result<(), TrainError> {
        let job = PredictJob {
            factories: std::slice::from_ref(&self.factory),
            model: Artifact {
                port: "model",
                folder: &self.path("model"),
            },
            params: serde_json::from_value(json!({ "splits": ["test"] })).unwrap(),
            dataset,
            predictions: &self.path("predicted"),
        };
        predict::run(&job, Cpu::default(), listener)
    }

    /// Embeddings of all samples by the model of `finetune`, in the folder `embeddings`.
    pub fn export(&self, dataset: &Dataset, listener: &mut Listener) -> Result<(), TrainError> {
        let job = ExportJob {
            factories: std::slice::from_ref(&self.factory),
            artifact: Artifact {
                port: "model",
                folder: &self.path("model"),
            },
            params: serde_json::from_value(json!({})).unwrap(),
            dataset,
            embeddings: &self.path("embeddings"),
            encoder: &self.path("exported"),
        };
        export::run(&job, Cpu::default(), listener)
    }

    /// What `finetune` foretells of the validation and test samples.
    pub fn predictions(&self) -> Vec<Prediction> {
        self.predictions_in("predictions")
    }

    /// The predictions in the folder of this name.
    pub fn predictions_in(&self, folder: &str) -> Vec<Prediction> {
        let path = self.path(folder).join(PREDICTIONS_FILE);
        let file = fs::File::open(path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let mut rows = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let text = |name: &str| {
                let column = batch.column_by_name(name).unwrap();
                column.as_string::<i32>().clone()
            };
            let (splits, tasks, classes) = (text("split"), text("task"), text("class"));
            let labels = batch.column_by_name("label").unwrap();
            let labels = labels.as_primitive::<Float32Type>();
            let scores = batch.column_by_name("score").unwrap();
            let scores = scores.as_primitive::<Float64Type>();
            rows.extend((0..batch.num_rows()).map(|row| Prediction {
                split: splits.value(row).to_owned(),
                task: tasks.value(row).to_owned(),
                class: classes.is_valid(row).then(|| classes.value(row).to_owned()),
                label: labels.is_valid(row).then(|| labels.value(row)),
                score: scores.value(row),
            }));
        }
        rows
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

/// The bytes of each tensor of a weights file, by name.
pub fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect()
}

/// Runs with this many threads.
pub fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    supermoe_nn::threads::run(threads, work).unwrap()
}
