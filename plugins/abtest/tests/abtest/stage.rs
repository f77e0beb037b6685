//! Runs the stage on logs that are written here, each test in a folder of its own.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::{Value, json};
use supermoe_abtest::plugin;
use supermoe_plugin::event::Event;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::request::{InputArtifact, Request};
use supermoe_plugin::sdk::{Context, EventWriter};
use tempfile::TempDir;

pub struct Stage {
    folder: TempDir,
    logs: Vec<PathBuf>,
    params: Value,
}

pub struct Run {
    folder: TempDir,
    outcome: Result<(), String>,
    events: Vec<Event>,
}

impl Stage {
    pub fn new(params: Value) -> Stage {
        Stage {
            folder: tempfile::tempdir().expect("a temporary folder"),
            logs: Vec::new(),
            params,
        }
    }

    pub fn log(self, text: &str) -> Stage {
        self.file(text.as_bytes())
    }

    pub fn file(mut self, bytes: &[u8]) -> Stage {
        let path = self.folder.path().join(format!("log{}", self.logs.len()));
        std::fs::write(&path, bytes).expect("a file");
        self.logs.push(path);
        self
    }

    pub fn path(mut self, path: &Path) -> Stage {
        self.logs.push(path.to_owned());
        self
    }

    pub fn run(self) -> Run {
        let report = self.folder.path().join("report");
        std::fs::create_dir_all(&report).expect("a folder");
        let artifacts = self.logs.into_iter().map(|path| InputArtifact {
            path,
            port_type: PortType::File,
            matrix: IndexMap::new(),
        });
        let Value::Object(params) = self.params else {
            panic!("params are a map");
        };
        let request = Request {
            protocol: 1,
            plugin: "abtest".to_owned(),
            params,
            inputs: IndexMap::from([("log".to_owned(), artifacts.collect())]),
            outputs: IndexMap::from([("report".to_owned(), report)]),
            checkpoint: None,
            work: self.folder.path().to_owned(),
            seed: 0,
            threads: 1,
            device: "cpu".to_owned(),
            profile: false,
        };
        let events = EventWriter::in_memory();
        let outcome = plugin().run(&mut Context::new(request, events.clone()));
        let folder = self.folder.path().display().to_string();
        Run {
            outcome: outcome.map_err(|error| error.message().replace(&folder, "FOLDER")),
            events: events.written(),
            folder: self.folder,
        }
    }
}

impl Run {
    pub fn text(&self, file: &str) -> String {
        self.outcome.as_ref().expect("a report");
        let path = self.folder.path().join("report").join(file);
        std::fs::read_to_string(path).expect("the report is written")
    }

    pub fn experiment(&self) -> Value {
        let report: Value = serde_json::from_str(&self.text("report.json")).expect("JSON");
        report["experiment"].clone()
    }

    pub fn error(&self) -> &str {
        self.outcome.as_ref().expect_err("it should have failed")
    }

    pub fn warnings(&self) -> Vec<&str> {
        self.events.iter().filter_map(Event::as_warning).collect()
    }

    pub fn metrics(&self) -> Vec<String> {
        let metrics = self.events.iter().filter_map(|event| match event {
            Event::Metric { name, value, .. } => Some(format!("{name} {value:.4}")),
            _ => None,
        });
        metrics.collect()
    }
}

/// One metric, the mean of `pv`.
pub fn page_views() -> Value {
    json!({ "metrics": { "pv": { "mean": "pv" } } })
}

/// Page views, gross merchandise value and orders by page view, each with its pre-period.
pub fn all_metrics() -> Value {
    json!({
        "pv": { "mean": "pv", "pre": "pv_before" },
        "gmv": { "mean": "gmv", "pre": "gmv_before" },
        "conversion": {
            "ratio": { "numerator": "orders", "denominator": "pv" },
            "pre_ratio": { "numerator": "orders_before", "denominator": "pv_before" },
        },
    })
}
