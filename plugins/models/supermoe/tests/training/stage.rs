//! Runs training jobs of a small SuperMoE on the made-up shop, each in a folder of its own.

use std::ops::Deref;

use serde_json::{Value, json};
use supermoe_model_conformance as conformance;

pub use supermoe_model_conformance::{Listener, Prediction, on_threads, with};

/// A folder with the outputs of one job and its checkpoint.
pub struct Stage(conformance::Stage);

impl Stage {
    pub fn new() -> Stage {
        Stage(conformance::Stage::new(supermoe_model_supermoe::factory()))
    }
}

impl Deref for Stage {
    type Target = conformance::Stage;

    fn deref(&self) -> &conformance::Stage {
        &self.0
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
