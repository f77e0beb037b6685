//! What is said of wrong params, on a schema that comes from Rust types.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use supermoe_plugin::params::ParamsSchema;
use supermoe_plugin::sdk::schema_of;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// The learning rate.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0))]
    lr: f64,
    #[schemars(range(min = 1))]
    epochs: u32,
    device: Device,
    precision: Option<Precision>,
    schedule: Schedule,
    early_stopping: Option<EarlyStopping>,
    #[schemars(extend("propertyNames" = { "type": "string", "minLength": 1 }))]
    tasks: BTreeMap<String, Task>,
    #[schemars(length(min = 1))]
    layers: Vec<u32>,
    name: String,
    seed: u64,
    weighting: Option<Weighting>,
    measure: Option<Measure>,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            lr: 0.001,
            epochs: 3,
            device: Device::Auto,
            precision: None,
            schedule: Schedule::Constant,
            early_stopping: None,
            tasks: BTreeMap::new(),
            layers: vec![8],
            name: "x".into(),
            seed: 1,
            weighting: None,
            measure: None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Device {
    /// The best there is.
    Auto,
    Cpu,
    /// A graphics card.
    Cuda,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Precision {
    F32,
    Bf16,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Schedule {
    Constant,
    Cosine { warmup: u32, floor: Option<f64> },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct EarlyStopping {
    patience: u32,
    #[serde(default)]
    metric: Option<String>,
}

/// A map with one of its names.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Weighting {
    Fixed(BTreeMap<String, f64>),
    Gradnorm { alpha: f64 },
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("oneOf" = [{ "required": ["mean"] }, { "required": ["ratio"] }]))]
struct Measure {
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Task {
    weight: f64,
}

fn schema() -> ParamsSchema {
    ParamsSchema::new(&schema_of::<Params>()).expect("a schema that compiles")
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().expect("a map").clone()
}

#[test]
fn messages_say_what_was_expected_and_found() {
    let schema = schema();
    let wrong = [
        json!({ "lr": "fast" }),
        json!({ "lr": 0 }),
        json!({ "lr": 2.5 }),
        json!({ "epochs": 0 }),
        json!({ "epochs": 1.5 }),
        json!({ "epoch": 3 }),
        json!({ "epochs": 3, "completely_different": 1 }),
        json!({ "device": "cude" }),
        json!({ "device": 7 }),
        json!({ "precision": "bf61" }),
        json!({ "schedule": { "kind": "cosin", "warmup": 1 } }),
        json!({ "schedule": { "kind": "cosine" } }),
        json!({ "schedule": { "kind": "cosine", "warmup": -1 } }),
        json!({ "schedule": { "kind": "cosine", "warmup": 1, "flor": 2 } }),
        json!({ "schedule": "cosine" }),
        json!({ "early_stopping": { "patience": "long" } }),
        json!({ "early_stopping": { "patiense": 1 } }),
        json!({ "early_stopping": true }),
        json!({ "tasks": { "churn/30 days": { "weight": "high" } } }),
        json!({ "tasks": ["churn"] }),
        json!({ "tasks": { "": { "weight": 1 } } }),
        json!({ "layers": [] }),
        json!({ "layers": [8, "wide"] }),
        json!({ "layers": "8,8" }),
        json!({ "weighting": {} }),
        json!({ "weighting": { "fixed": {}, "gradnorm": { "alpha": 1 } } }),
        json!({ "weighting": { "gradnrom": { "alpha": 1 } } }),
        json!({ "weighting": { "gradnorm": { "alpha": "x" } } }),
        json!({ "weighting": { "fixed": {}, "x": 1 } }),
        json!({ "measure": {} }),
        json!({ "measure": { "mean": "a", "ratio": "b" } }),
        json!({ "name": ["a", "b"] }),
        json!({ "name": null }),
        json!({ "lr": "x".repeat(500), "seed": -1 }),
    ];
    let mut told = String::new();
    for params in wrong {
        let errors = schema.validate(&map(params.clone()));
        assert!(!errors.is_empty(), "{params}");
        let shown = params.to_string();
        told.push_str(&format!("{}\n", &shown[..shown.len().min(80)]));
        for error in errors {
            told.push_str(&format!("    {} {}\n", error.pointer, error.message));
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn right_params_pass_and_read_back() {
    let schema = schema();
    let given = map(json!({
        "lr": 1, "epochs": 2.0, "device": "cuda", "precision": "bf16",
        "schedule": { "kind": "cosine", "warmup": 3 },
        "early_stopping": { "patience": 2 },
        "tasks": { "churn": { "weight": 1 } }
    }));
    assert_eq!(schema.validate(&given), []);
    let complete = schema.with_defaults(&given);
    let params: Params =
        serde_json::from_value(Value::Object(complete)).expect("they fit the type");
    assert_eq!((params.epochs, params.lr, params.layers), (2, 1.0, vec![8]));
    assert_eq!(
        Value::Object(schema.explicit(&map(json!({
            "lr": 0.001, "epochs": 3, "device": "auto", "precision": null,
            "schedule": { "kind": "constant" }, "early_stopping": null, "seed": 2
        })))),
        json!({ "seed": 2 })
    );
}

#[test]
fn errors_of_a_section_are_placed_in_the_whole() {
    let errors = schema().validate(&map(json!({ "lr": "x" })));
    let error = errors[0].clone().under("/models/gru");
    assert_eq!(error.pointer, "/models/gru/lr");
    assert_eq!(error.field(), "models.gru.lr");
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_/~]{0,8}".prop_map(Value::from),
        prop_oneof![Just("cosine"), Just("constant"), Just("cpu"), Just("f32")]
            .prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("lr"),
        Just("epochs"),
        Just("schedule"),
        Just("kind"),
        Just("warmup"),
        Just("early_stopping"),
        Just("patience"),
        Just("tasks"),
        Just("weight"),
        Just("a/b~c"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// No value makes it panic, and filling in defaults never makes right params wrong.
    #[test]
    fn any_params_are_judged(members in prop::collection::btree_map(
        prop_oneof![Just("lr"), Just("epochs"), Just("device"), Just("schedule"), Just("early_stopping"), Just("tasks"), Just("layers"), Just("other")],
        any_value(),
        0..5,
    )) {
        let schema = schema();
        let params: Map<String, Value> =
            members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let errors = schema.validate(&params);
        let complete = schema.with_defaults(&params);
        if errors.is_empty() {
            prop_assert_eq!(schema.validate(&complete), []);
            let explicit = schema.explicit(&params);
            prop_assert_eq!(schema.with_defaults(&explicit), complete.clone());
            prop_assert_eq!(schema.explicit(&complete), explicit);
        }
        prop_assert_eq!(schema.with_defaults(&complete), complete);
    }
}
