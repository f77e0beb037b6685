//! A catalog of small plugins, and shorthands to compile a text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use supermoe_plugin::catalog::{Catalog, Origin, PluginEntry};
use supermoe_plugin::manifest::Manifest;
use supermoe_workflow::{Cell, Compiled, Diagnostics, Overrides, Source, Workflow, compile};

/// A compilation with everything around it.
pub struct Fixture {
    pub catalog: Catalog,
    pub overrides: Overrides,
    pub environment: HashMap<&'static str, &'static str>,
    pub path: PathBuf,
}

impl Default for Fixture {
    fn default() -> Self {
        Fixture {
            catalog: catalog(),
            overrides: Overrides::default(),
            environment: HashMap::from([("HOME", "/home/u"), ("EMPTY", "")]),
            path: PathBuf::from("w.yaml"),
        }
    }
}

impl Fixture {
    pub fn compile(&self, text: &str) -> Result<Compiled, Diagnostics> {
        let environment = |name: &str| self.environment.get(name).map(|value| (*value).to_owned());
        compile(
            Source::new(&self.path, text),
            &self.overrides,
            &self.catalog,
            &environment,
        )
    }

    /// The workflow of a text that is right.
    pub fn workflow(&self, text: &str) -> Workflow {
        match self.compile(text) {
            Ok(compiled) => compiled.workflow,
            Err(errors) => panic!("{}", errors.render(120, false)),
        }
    }

    /// What is said of a text that is wrong.
    pub fn errors(&self, text: &str) -> String {
        match self.compile(text) {
            Ok(_) => panic!("this compiles:\n{text}"),
            Err(errors) => errors.render(100, false),
        }
    }

    /// The codes of all mistakes of a text, in order.
    pub fn codes(&self, text: &str) -> Vec<&'static str> {
        match self.compile(text) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.code.id()).collect(),
        }
    }
}

pub fn workflow(text: &str) -> Workflow {
    Fixture::default().workflow(text)
}

pub fn errors(text: &str) -> String {
    Fixture::default().errors(text)
}

pub fn codes(text: &str) -> Vec<&'static str> {
    Fixture::default().codes(text)
}

/// The text of a workflow with these stages.
pub fn with_stages(stages: &str) -> String {
    format!("name: w\nstages:\n{stages}")
}

pub fn cell<'w>(workflow: &'w Workflow, label: &str) -> &'w Cell {
    match workflow.cells.iter().find(|cell| cell.to_string() == label) {
        Some(cell) => cell,
        None => panic!(
            "no cell {label} among {:?}",
            workflow
                .cells
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        ),
    }
}

/// A project with files, away from everything.
pub fn project(files: &[&str]) -> (tempfile::TempDir, Fixture) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in files {
        let path = folder.path().join(file);
        if file.ends_with('/') {
            std::fs::create_dir_all(&path).expect("a folder");
        } else {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder");
            std::fs::write(&path, "x").expect("a file");
        }
    }
    let fixture = Fixture {
        path: folder.path().join("w.yaml"),
        ..Fixture::default()
    };
    (folder, fixture)
}

pub fn manifest(value: Value) -> Manifest {
    serde_json::from_value(value).expect("a manifest")
}

/// Plugins with the shapes of the real ones: a shell, a source, models with variants, a gatherer.
pub fn manifests() -> Vec<Manifest> {
    let model_param = json!({ "type": "string", "description": "The model." });
    vec![
        manifest(json!({
            "protocol": 1, "name": "shell", "launch": { "shell": { "param": "command" } }, "revision": "1",
            "inputs": { "*": { "type": "any", "required": false, "many": true } },
            "outputs_param": "outputs",
            "params": {
                "type": "object",
                "properties": {
                    "command": { "type": "string", "minLength": 1 },
                    "outputs": { "type": "object", "additionalProperties": { "enum": ["file", "folder"] }, "default": {} }
                },
                "required": ["command"]
            }
        })),
        manifest(json!({
            "protocol": 1, "name": "prepare", "launch": "built_in", "revision": "1",
            "inputs": { "transactions": { "type": "file", "many": true }, "extra": { "type": "folder", "required": false } },
            "outputs": { "dataset": { "type": "dataset" }, "card": { "type": "report" } },
            "params": { "type": "object", "properties": {
                "length": { "type": "integer", "minimum": 1, "maximum": 512, "default": 64 },
                "entity": { "type": "string", "default": "customer" },
                "channels": { "type": "array", "items": { "type": "object", "properties": { "name": { "type": "string" }, "sql": { "type": "string" } }, "required": ["name"] }, "default": [] }
            } }
        })),
        manifest(json!({
            "protocol": 1, "name": "pretrain", "launch": "built_in", "revision": "1", "trains": true, "checkpoints": true,
            "inputs": { "dataset": { "type": "dataset" } },
            "outputs": { "encoder": { "type": "encoder" } },
            "resources": { "cpus": 2 },
            "params": { "type": "object", "properties": { "model": model_param, "seed": { "type": "integer", "default": 0 }, "steps": { "type": "integer", "minimum": 1, "default": 100 } }, "required": ["model"] },
            "variants": { "param": "model", "section": "models", "values": {
                "supermoe": { "revision": "1", "params": { "type": "object", "properties": { "experts": { "type": "integer", "minimum": 1, "default": 4 } } } },
                "bert": { "revision": "1", "params": { "type": "object", "properties": { "layers": { "type": "integer", "default": 2 } } } },
                "slow": { "revision": "1", "params": { "type": "object", "properties": {} }, "needs": { "steps": "`slow` learns slowly" } },
                "ple": { "revision": "2", "params": { "type": "object", "properties": {} }, "unavailable": "`ple` has no pre-training" }
            } }
        })),
        manifest(json!({
            "protocol": 1, "name": "finetune", "launch": "built_in", "revision": "1", "trains": true,
            "inputs": { "dataset": { "type": "dataset" }, "encoder": { "type": "encoder", "required": false } },
            "outputs": { "model": { "type": "model" }, "predictions": { "type": "predictions" } },
            "params": { "type": "object", "properties": {
                "model": { "type": "string", "default": "supermoe" },
                "seed": { "type": "integer", "default": 0 },
                "lr": { "type": "number", "exclusiveMinimum": 0, "default": 0.001 },
                "d_model": { "type": "integer", "default": 64 }
            } },
            "variants": { "param": "model", "section": "models", "values": {
                "supermoe": { "revision": "3", "params": { "type": "object", "properties": { "experts": { "type": "integer", "minimum": 1, "default": 4 } } } },
                "bert": { "revision": "1", "params": { "type": "object", "properties": {} } },
                "ple": { "revision": "2", "params": { "type": "object", "properties": { "towers": { "type": "integer", "default": 1 } } } }
            } }
        })),
        manifest(json!({
            "protocol": 1, "name": "evaluate", "launch": "built_in", "revision": "1",
            "inputs": { "predictions": { "type": "predictions", "many": true } },
            "outputs": { "report": { "type": "report" } }
        })),
        manifest(json!({
            "protocol": 1, "name": "finetune-gru", "launch": { "command": ["./gru"] },
            "variant": { "of": "finetune", "param": "model", "value": "gru" },
            "inputs": { "dataset": { "type": "dataset" } },
            "outputs": { "model": { "type": "model" }, "predictions": { "type": "predictions" } },
            "params": { "type": "object", "properties": {
                "model": { "const": "gru" }, "seed": { "type": "integer", "default": 0 },
                "models": { "type": "object", "properties": { "gru": { "type": "object", "properties": { "hidden": { "type": "integer", "default": 32 } } } } }
            } }
        })),
    ]
}

pub fn catalog() -> Catalog {
    Catalog::of(manifests().into_iter().map(|manifest| {
        let name = manifest.name.clone();
        match manifest.variant {
            Some(_) => PluginEntry::external(manifest, PathBuf::from("/"), Origin::Project),
            None => PluginEntry::built_in(&name, move || manifest),
        }
    }))
}
