//! Heads of masked channel prediction, and learning rates by group.

use serde_json::{Value, json};
pub use supermoe_model_conformance::tensors;

use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

fn product_alone() -> Value {
    let params = with(pretrain_params(), "predict", json!(["product"]));
    with(params, "epochs", 30)
}

fn last(stage: &Stage, name: &str) -> f64 {
    let curve = stage.curve(name);
    *curve.last().unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn sampled_softmax_learns_as_the_full_one_does() {
    let dataset = tiny_retail::dataset(120);
    let run = |above: usize| {
        let stage = Stage::new();
        let sampled = json!({ "above": above, "samples": 5 });
        let params = with(product_alone(), "sampled_softmax", sampled);
        stage
            .pretrain(&dataset, &params, &mut stage.listener())
            .unwrap();
        stage
    };
    let (full, sampled) = (run(16_384), run(4));
    assert_ne!(full.digests(), sampled.digests());
    for stage in [&full, &sampled] {
        let accuracy = last(stage, "valid/product/accuracy");
        assert!(accuracy > 3.0 * last(stage, "valid/product/copy_accuracy").max(0.1));
        assert!(accuracy > 2.0 * last(stage, "valid/product/frequent_accuracy"));
    }
    // The validation loss is over all classes for both.
    let losses = [&full, &sampled].map(|stage| last(stage, "valid/product/loss"));
    assert!((losses[0] - losses[1]).abs() < 0.4, "{losses:?}");
    // The classes of a head are no part of the encoder.
    let names = tensors(&sampled.path("encoder/weights.safetensors"));
    assert!(names.keys().all(|name| !name.starts_with("heads")));
    assert!(names.contains_key("mfp.table.product"));
}

/// Batches of one sequence: in many of them one head has nothing to tell and the other has.
#[test]
fn a_head_may_have_nothing_to_tell_in_a_batch() {
    let stage = Stage::new();
    let mut params = with(pretrain_params(), "predict", json!(["product", "country"]));
    params = with(with(params, "mask", "per_channel"), "batch_size", 1);
    params = with(
        params,
        "sampled_softmax",
        json!({ "above": 8, "samples": 4 }),
    );
    params = with(params, "max_steps", 60);
    stage
        .pretrain(&tiny_retail::dataset(60), &params, &mut stage.listener())
        .unwrap();
    let losses = stage.curve("train/product/loss");
    assert_eq!(losses.len(), 3);
    assert!(losses.iter().all(|loss| loss.is_finite()));
}

#[test]
fn a_number_is_told_by_squared_error() {
    let stage = Stage::new();
    let mut params = with(pretrain_params(), "predict", json!(["recency", "product"]));
    params = with(with(params, "dense", "squared"), "epochs", 20);
    let dataset = tiny_retail::dataset(120);
    stage
        .pretrain(&dataset, &params, &mut stage.listener())
        .unwrap();
    let loss = last(&stage, "valid/recency/loss");
    assert!(loss < 0.5 * last(&stage, "valid/recency/mean_loss"));
    assert!(loss < 0.5 * last(&stage, "valid/recency/copy_loss"));
    assert!(stage.curve("valid/recency/accuracy").is_empty());
    let total = last(&stage, "valid/loss");
    assert!((total - loss - last(&stage, "valid/product/loss")).abs() < 1e-9);
}

#[test]
fn a_group_of_rate_0_stands_still() {
    let dataset = tiny_retail::dataset(40);
    let before = Stage::new();
    let start = with(pretrain_params(), "max_steps", 1);
    before
        .pretrain(&dataset, &start, &mut Listener::default())
        .unwrap();
    let encoder = before.path("encoder");
    let moved = |rates: Value| {
        let tuned = Stage::new();
        let params = with(finetune_params(), "optimizer.rates", rates);
        let params = with(params, "max_steps", 12);
        let mut listener = Listener::default();
        tuned
            .finetune(&dataset, &params, Some(&encoder), &mut listener)
            .unwrap();
        let before = tensors(&encoder.join("weights.safetensors"));
        let after = tensors(&tuned.path("model/weights.safetensors"));
        let (mut tables, mut rest) = (0, 0);
        for (name, bytes) in &before {
            let moved = usize::from(after[name] != *bytes);
            if name.starts_with("mfp.table") {
                tables += moved;
            } else {
                rest += moved;
            }
        }
        (tables, rest)
    };
    let (tables, rest) = moved(json!({}));
    assert!(tables == 3 && rest > 10, "{tables} {rest}");
    assert_eq!(moved(json!({ "tables": 0 })), (0, rest));
    assert_eq!(moved(json!({ "encoder": 0 })), (tables, 0));
    assert_eq!(moved(json!({ "encoder": 0, "tables": 0 })), (0, 0));
}

#[test]
fn rows_of_id_tables_may_be_updated_by_adagrad() {
    let dataset = tiny_retail::dataset(120);
    let stage = Stage::new();
    let params = with(product_alone(), "optimizer.id_rows", "row_adagrad");
    stage
        .pretrain(&dataset, &params, &mut stage.listener())
        .unwrap();
    let accuracy = last(&stage, "valid/product/accuracy");
    assert!(accuracy > 2.0 * last(&stage, "valid/product/frequent_accuracy"));
}
