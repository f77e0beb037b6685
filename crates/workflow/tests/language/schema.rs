//! The JSON Schema of workflow files agrees with the compiler on what is right.

use serde_json::{Value, json};
use supermoe_workflow::workflow_schema;

use crate::fixture::catalog;

fn validator() -> jsonschema::Validator {
    jsonschema::options()
        .offline()
        .build(&workflow_schema(&catalog()))
        .expect("a schema")
}

fn stage(stage: Value) -> Value {
    json!({ "name": "w", "stages": { "a": stage } })
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&workflow_schema(&catalog())));
}

#[test]
fn typed_leaves_take_expressions() {
    let validator = validator();
    for right in [
        json!({ "uses": "finetune", "inputs": { "dataset": "p.dataset" }, "with": { "lr": "${{ params.lr }}", "models": { "ple": { "towers": "${{ matrix.t }}" } } } }),
        json!({ "uses": "prepare", "with": { "length": 5, "channels": [{ "name": "${{ params.n }}" }] }, "timeout": "${{ params.t }}", "when": "${{ matrix.x == 1 }}" }),
        json!({ "uses": "prepare", "with": { "channels": "${{ params.channels }}" }, "matrix": { "x": [1, "a"], "y": "${{ params.list }}" }, "retry": { "backoff": "5s..1m" } }),
        json!({ "uses": "shell", "with": { "command": "x", "outputs": { "o": "file" } }, "env": ["HOME"], "resources": { "memory": "4GiB", "cpus": "${{ params.c }}" } }),
    ] {
        let errors: Vec<String> = validator
            .iter_errors(&stage(right.clone()))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{right}: {errors:?}");
    }
}

#[test]
fn wrong_values_are_seen_by_editors() {
    let validator = validator();
    for wrong in [
        json!({ "uses": "nothing" }),
        json!({ "uses": "finetune", "with": { "lr": "fast" } }),
        json!({ "uses": "finetune", "with": { "models": { "ple": { "towers": "two" } } } }),
        json!({ "uses": "finetune", "inputs": { "datset": "p.dataset" } }),
        json!({ "uses": "prepare", "with": { "length": 1000 } }),
        json!({ "uses": "prepare", "timeout": "5 min" }),
        json!({ "uses": "prepare", "nonsense": 1 }),
    ] {
        assert!(!validator.is_valid(&stage(wrong.clone())), "{wrong}");
    }
    assert!(!validator.is_valid(&json!({ "name": "w" })));
}
