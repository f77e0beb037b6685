//! A project in a temporary folder, with a store, and short ways to run workflows in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use supermoe_engine::{
    Outcome, Plan, PlanOptions, RunEvent, RunOptions, RunRecord, RunSummary, Slots, StageRecord,
    StageState,
};
use supermoe_plugin::catalog::Catalog;
use supermoe_plugin::host::StopSignal;
use supermoe_plugin::manifest::Manifest;
use supermoe_store::{Store, StoreUrl};
use supermoe_workflow::{Overrides, Source, Workflow, compile};

pub struct Project {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    pub options: RunOptions,
}

/// A run with all that it told.
pub struct Ran {
    pub summary: RunSummary,
    pub events: Vec<RunEvent>,
}

/// A record with what a summary has too.
fn without_what_the_workflow_says(mut record: RunRecord) -> RunRecord {
    record.machine = None;
    for stage in &mut record.stages {
        stage.params = Default::default();
        stage.inputs = Default::default();
        stage.plugin = Default::default();
        stage.output_types = Default::default();
    }
    record
}

impl Project {
    pub fn new() -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("a path");
        let mut slots = Slots::of_this_machine();
        slots.cpus = 2;
        let program = env!("CARGO_BIN_EXE_supermoe-engine-test-programs").into();
        let options = RunOptions::new(program, path, slots);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Project {
            folder,
            runtime,
            options,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file")
    }

    pub fn store(&self) -> Store {
        let url = StoreUrl::parse("store", self.folder.path()).expect("a folder");
        self.runtime
            .block_on(Store::open(&url, &self.path("local")))
            .expect("a store")
    }

    pub fn workflow(&self, yaml: &str) -> Arc<Workflow> {
        let catalog = Catalog::built_ins(vec![shell(), counter()]);
        let source = Source::new(
            self.path("workflow.yaml"),
            format!("name: test\nstages:\n{yaml}"),
        );
        match compile(source, &Overrides::default(), &catalog, &|_| None) {
            Ok(compiled) => Arc::new(compiled.workflow),
            Err(mistakes) => panic!("{mistakes:?}"),
        }
    }

    pub fn run(&self, yaml: &str) -> Ran {
        self.run_until(yaml, StopSignal::never(), |_| {})
    }

    /// `seen` is called with every event.
    pub fn run_until(
        &self,
        yaml: &str,
        stop: StopSignal,
        mut seen: impl FnMut(&RunEvent) + Send,
    ) -> Ran {
        let (workflow, store) = (self.workflow(yaml), self.store());
        let mut events = Vec::new();
        let sink = |event: &RunEvent| {
            seen(event);
            events.push(event.clone());
        };
        let summary = self
            .runtime
            .block_on(supermoe_engine::run(
                workflow,
                &store,
                &self.options,
                stop,
                sink,
            ))
            .expect("a run that begins");
        let read = self
            .block_on(RunRecord::read(&store, summary.run()))
            .expect("a journal");
        assert!(read.stages.iter().all(|stage| !stage.plugin.is_empty()));
        assert_eq!(
            without_what_the_workflow_says(read),
            summary.record,
            "the journal tells another story than the run"
        );
        assert!(
            !self.path(".supermoe/work").exists(),
            "the work folder is left"
        );
        Ran { summary, events }
    }

    pub fn plan(&self, yaml: &str) -> Plan {
        let (workflow, store) = (self.workflow(yaml), self.store());
        let options = PlanOptions {
            selection: self.options.selection.clone(),
        };
        self.block_on(supermoe_engine::plan(&workflow, &store, &options))
            .expect("a plan")
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Every blob and tree of the store that holds this text.
    pub fn objects_with(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in ["store/blobs", "store/trees"] {
            collect_files(&self.path(folder), &mut found);
        }
        found.retain(|path| {
            let bytes = std::fs::read(path).expect("a file");
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        });
        found
    }
}

fn collect_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect_files(&path, found),
            path => found.push(path),
        }
    }
}

impl Ran {
    pub fn outcome(&self) -> Outcome {
        self.summary.outcome()
    }

    pub fn stage(&self, label: &str) -> &StageRecord {
        self.summary
            .record
            .stage(label)
            .unwrap_or_else(|| panic!("no stage {label}"))
    }

    /// `label state` of every stage, in order.
    pub fn states(&self) -> Vec<String> {
        let stages = self.summary.record.stages.iter();
        stages
            .map(|stage| format!("{} {}", stage.cell(), stage.state))
            .collect()
    }

    /// What ran, in the order of the workflow.
    pub fn ran(&self) -> Vec<String> {
        self.summary
            .record
            .in_state(StageState::Ran)
            .map(|stage| stage.cell().to_string())
            .collect()
    }

    pub fn reason(&self, label: &str) -> String {
        self.stage(label)
            .reason
            .as_ref()
            .map_or_else(String::new, ToString::to_string)
    }

    pub fn error(&self, label: &str) -> &str {
        &self
            .stage(label)
            .error
            .as_ref()
            .unwrap_or_else(|| panic!("{label} did not fail"))
            .message
    }
}

fn manifest(value: serde_json::Value) -> Manifest {
    serde_json::from_value(value).expect("a manifest")
}

fn shell() -> Manifest {
    manifest(json!({
        "protocol": 1, "name": "shell", "launch": {"shell": {"param": "command"}}, "revision": "1",
        "inputs": {"*": {"type": "any", "required": false, "many": true}},
        "outputs_param": "outputs",
        "params": {
            "type": "object", "additionalProperties": false, "required": ["command"],
            "properties": {
                "command": {"type": "string"},
                "outputs": {"type": "object", "additionalProperties": {"enum": ["file", "folder"]}, "default": {}}
            }
        }
    }))
}

fn counter() -> Manifest {
    manifest(json!({
        "protocol": 1, "name": "counter", "launch": "built_in", "revision": "1", "checkpoints": true,
        "outputs": {"total": {"type": "file"}},
        "params": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "to": {"type": "integer", "default": 3},
                "fail_at": {"type": "integer"},
                "wait_at": {"type": "integer"}
            }
        }
    }))
}
