//! Runs plugins on folders, as the orchestrator does, and trains a small model to try them on.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use supermoe_channels::Dataset;
use supermoe_plugin::event::Event;
use supermoe_plugin::request::{InputArtifact, Request};
use supermoe_plugin::sdk::{BuiltIn, Context, EventWriter};
use supermoe_trainer::{ModelFactory, plugins};

/// A folder of artifacts, each by its name.
pub struct Artifacts {
    folder: tempfile::TempDir,
    /// Whether plugins are asked to stop before they begin.
    pub stops: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub outcome: Result<(), String>,
    pub events: Vec<Event>,
}

pub fn models() -> Vec<ModelFactory> {
    vec![supermoe_model_supermoe::factory()]
}

impl Artifacts {
    /// With `dataset`.
    pub fn of(dataset: &Dataset) -> Artifacts {
        let artifacts = Artifacts {
            folder: tempfile::tempdir().expect("a temporary folder"),
            stops: false,
        };
        artifacts.add_dataset("dataset", dataset);
        artifacts
    }

    /// With `dataset`, `encoder` (pre-trained), `model` and `predictions` (fine-tuned).
    pub fn trained(dataset: &Dataset) -> Artifacts {
        let artifacts = Artifacts::of(dataset);
        let shared = json!({
            "model": "supermoe", "seed": 5, "d_model": 16, "epochs": 1, "batch_size": 16,
            "optimizer": { "learning_rate": 0.01, "warmup_steps": 5 },
            "models": { "supermoe": { "layers": 1, "heads": 2, "d_ff": 16, "experts": 3, "id_width": 8, "category_width": 4 } },
        });
        let mut params = shared.clone();
        params["predict"] = json!(["product"]);
        let pretrain = plugins::pretrain(models());
        let run = artifacts.run(
            &pretrain,
            params,
            &[("dataset", "dataset")],
            &["encoder"],
            1,
        );
        run.outcome.expect("it trains");
        let finetune = plugins::finetune(models());
        let inputs = [("dataset", "dataset"), ("encoder", "encoder")];
        let run = artifacts.run(&finetune, shared, &inputs, &["model", "predictions"], 1);
        run.outcome.expect("it trains");
        artifacts
    }

    pub fn add_dataset(&self, name: &str, dataset: &Dataset) {
        let folder = self.path(name);
        std::fs::create_dir(&folder).expect("a new folder");
        dataset.write(folder).expect("written");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).expect("a file")
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.read(path)).expect("JSON")
    }

    /// A copy of an artifact, for changes.
    pub fn copy(&self, from: &str, to: &str) {
        copy_folder(&self.path(from), &self.path(to));
    }

    /// Runs a plugin; `inputs` are ports and names of artifacts, `outputs` the ports that are kept, under
    /// their names.
    pub fn run(
        &self,
        plugin: &BuiltIn,
        params: Value,
        inputs: &[(&str, &str)],
        outputs: &[&str],
        threads: u32,
    ) -> Run {
        let kept: Vec<(&str, String)> = outputs
            .iter()
            .map(|port| (*port, (*port).to_owned()))
            .collect();
        self.run_into(plugin, params, inputs, &kept, threads)
    }

    /// As [`Self::run`], each output under a name of its own.
    pub fn run_into(
        &self,
        plugin: &BuiltIn,
        params: Value,
        inputs: &[(&str, &str)],
        outputs: &[(&str, String)],
        threads: u32,
    ) -> Run {
        let inputs = inputs.iter().map(|(port, name)| {
            let artifact = InputArtifact {
                path: self.path(name),
                port_type: plugin.manifest.inputs[*port].port_type,
                matrix: IndexMap::new(),
            };
            ((*port).to_owned(), vec![artifact])
        });
        let scratch = tempfile::tempdir_in(self.folder.path()).expect("a temporary folder");
        let outputs_of_request = plugin.manifest.outputs.iter().map(|(port, output)| {
            let kept = outputs.iter().find(|(of, _)| of == port);
            let path = match kept {
                Some((_, name)) => self.path(name),
                None => scratch.path().join(port),
            };
            if !output.port_type.is_file() {
                std::fs::create_dir(&path).expect("a new folder");
            }
            (port.clone(), path)
        });
        let request = Request {
            protocol: 1,
            plugin: plugin.manifest.name.clone(),
            params: match params {
                Value::Object(params) => params,
                _ => Map::new(),
            },
            inputs: inputs.collect(),
            outputs: outputs_of_request.collect(),
            checkpoint: None,
            work: scratch.path().to_owned(),
            seed: 0,
            threads,
            device: "cpu".to_owned(),
            profile: false,
        };
        let events = EventWriter::in_memory();
        let mut context = Context::new(request, events.clone());
        if self.stops {
            context.ask_to_stop();
        }
        let outcome = plugin.run(&mut context);
        let folder = self.folder.path().display().to_string();
        Run {
            outcome: outcome.map_err(|error| match error.is_stopped() {
                true => "stopped".to_owned(),
                false => error.message().replace(&folder, "FOLDER"),
            }),
            events: events.written(),
        }
    }
}

impl Run {
    pub fn error(&self) -> &str {
        self.outcome.as_ref().expect_err("it should have failed")
    }

    pub fn warnings(&self) -> Vec<&str> {
        self.events.iter().filter_map(Event::as_warning).collect()
    }
}

/// The rows of a Parquet file, as one batch.
pub fn parquet_rows(path: &Path) -> arrow::array::RecordBatch {
    let file = std::fs::File::open(path).expect("a file");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(1 << 20).build())
        .expect("a reader");
    let batches: Vec<_> = reader.map(|batch| batch.expect("rows")).collect();
    let schema = batches[0].schema();
    arrow::compute::concat_batches(&schema, &batches).expect("one table")
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, copy).expect("copied");
        }
    }
}
