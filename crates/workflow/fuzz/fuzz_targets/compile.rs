//! Any bytes as a workflow file: compiling ends with a workflow or with messages that can be shown.
//!
//! Run it in `crates/workflow` by `cargo +nightly fuzz run compile`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use supermoe_plugin::catalog::Catalog;
use supermoe_plugin::manifest::Manifest;
use supermoe_workflow::{Overrides, Source, compile};

const MANIFESTS: &str = r#"[
  { "protocol": 1, "name": "shell", "launch": { "shell": { "param": "command" } }, "revision": "1",
    "inputs": { "*": { "type": "any", "required": false, "many": true } }, "outputs_param": "outputs",
    "params": { "type": "object", "required": ["command"], "properties": {
      "command": { "type": "string" },
      "outputs": { "type": "object", "additionalProperties": { "enum": ["file", "folder"] }, "default": {} } } } },
  { "protocol": 1, "name": "finetune", "launch": "built_in", "revision": "1",
    "inputs": { "dataset": { "type": "file", "many": true, "required": false } },
    "outputs": { "model": { "type": "model" } },
    "params": { "type": "object", "properties": {
      "model": { "type": "string", "default": "a" }, "lr": { "type": "number", "exclusiveMinimum": 0, "default": 0.1 } } },
    "variants": { "param": "model", "section": "models", "values": {
      "a": { "revision": "1", "params": { "type": "object", "properties": { "x": { "type": "integer" } } } } } } }
]"#;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let manifests: Vec<Manifest> = serde_json::from_str(MANIFESTS).expect("right manifests");
    Catalog::built_ins(manifests)
});

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let overrides = Overrides::default();
    match compile(
        Source::new("fuzz.yaml", text.as_ref()),
        &overrides,
        &CATALOG,
        &|_| None,
    ) {
        Ok(compiled) => drop(compiled.warnings.render(80, false)),
        Err(errors) => {
            assert!(!errors.is_empty());
            drop(errors.render(80, false));
        }
    }
});
