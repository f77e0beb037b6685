//! That models learn what can be learned, and nothing else.

use serde_json::json;
use supermoe_channels::Split;

use crate::heads::tensors;
use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

#[test]
fn the_loss_of_pretraining_falls_and_the_model_beats_copying() {
    let stage = Stage::new();
    let params = with(
        with(pretrain_params(), "epochs", 30),
        "predict",
        serde_json::json!(["product"]),
    );
    stage
        .pretrain(&tiny_retail::dataset(120), &params, &mut stage.listener())
        .unwrap();
    let losses = stage.curve("train/loss");
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.8 * first, "{losses:?}");
    let (model, copy) = (
        stage.curve("valid/product/accuracy"),
        stage.curve("valid/product/copy_accuracy"),
    );
    assert!(
        model[model.len() - 1] > 3.0 * copy[copy.len() - 1].max(0.1),
        "{model:?} {copy:?}"
    );
    assert!(
        !stage.curve("train/learning_rate").is_empty()
            && !stage.curve("train/gradient_norm").is_empty()
    );
    let load: f64 = (0..3)
        .map(|expert| stage.curve(&format!("experts/block.0.ffn.0/load/{expert}"))[0])
        .sum();
    assert!((load - 1.0).abs() < 1e-9);
    let load_max = stage.curve("experts/block.0.ffn.0/load_max");
    assert!(load_max.iter().all(|load| (1.0 / 3.0..=1.0).contains(load)));
    // Once in a window of steps, not in each.
    assert_eq!(load_max.len(), losses.len());
    assert!(
        stage
            .history()
            .iter()
            .all(|record| !record.name.contains("per_second")),
        "no throughput in an artifact"
    );
}

#[test]
fn fine_tuning_learns_what_can_be_learned() {
    let (pretrained, stage) = (Stage::new(), Stage::new());
    let dataset = tiny_retail::dataset(150);
    pretrained
        .pretrain(&dataset, &pretrain_params(), &mut pretrained.listener())
        .unwrap();
    let mut listener = stage.listener();
    let params = with(finetune_params(), "epochs", 6);
    stage
        .finetune(
            &dataset,
            &params,
            Some(&pretrained.path("encoder")),
            &mut listener,
        )
        .unwrap();
    assert!(
        listener.metrics["test/buys/auc"] > 0.8,
        "{:?}",
        listener.metrics
    );
    assert!(listener.metrics.contains_key("test/returns/logloss"));
    // Of the weights that are kept, as its parts.
    let best = stage
        .curve("valid/mean_auc")
        .into_iter()
        .fold(0.0, f64::max);
    let told = |name: &str| listener.metrics[name];
    let parts = (told("valid/buys/auc") + told("valid/returns/auc")) / 2.0;
    assert_eq!(told("valid/mean_auc"), best);
    assert!((told("valid/mean_auc") - parts).abs() < 1e-12);
    assert!(listener.metrics.contains_key("sequences_per_second"));
    assert_eq!(stage.curve("valid/buys/auc").len(), 6);
    assert_eq!(
        stage.curve("test/buys/auc"),
        [listener.metrics["test/buys/auc"]]
    );
}

#[test]
fn shuffled_labels_end_at_chance() {
    let dataset = tiny_retail::dataset(400);
    let mut aucs = Vec::new();
    for seed in 0..4 {
        let stage = Stage::new();
        let params = with(
            with(finetune_params(), "shuffle_labels", true),
            "seed",
            seed,
        );
        let mut listener = stage.listener();
        stage
            .finetune(&dataset, &params, None, &mut listener)
            .unwrap();
        aucs.push(listener.metrics["test/buys/auc"]);
    }
    let mean = aucs.iter().sum::<f64>() / aucs.len() as f64;
    assert!((mean - 0.5).abs() < 0.06, "{aucs:?}");
    assert!(aucs.iter().all(|auc| (auc - 0.5).abs() < 0.12), "{aucs:?}");
}

#[test]
fn params_that_teach_little_are_warned_of() {
    let dataset = tiny_retail::dataset(40);
    let mut params = with(finetune_params(), "freeze", "encoder");
    params = with(params, "max_steps", 3);
    params = with(params, "weighting", "pcgrad");
    let mut listener = Listener::default();
    Stage::new()
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    for said in [
        "3 steps in all, `optimizer.warmup_steps` is 10",
        "`freeze: encoder` without an `encoder` input",
        "`weighting: pcgrad` with `freeze: encoder`",
    ] {
        let warnings = &listener.warnings;
        assert!(
            warnings.iter().any(|warning| warning.contains(said)),
            "{said}: {warnings:?}"
        );
    }
}

/// `patience` ends it before the first weights are taken.
#[test]
fn an_average_of_nothing_is_warned_of() {
    let mut params = with(finetune_params(), "keep", "average");
    params = with(params, "average.from", 0.9);
    params = with(params, "patience", 1);
    params = with(params, "epochs", 30);
    params = with(params, "optimizer.learning_rate", 0.0);
    let mut listener = Listener::default();
    Stage::new()
        .finetune(&tiny_retail::dataset(40), &params, None, &mut listener)
        .unwrap();
    let warnings = &listener.warnings;
    assert!(
        warnings.iter().any(|warning| warning.starts_with(
            "`keep: average` kept the last weights: `patience` ended training after step 10 of 150, before the first \
             weights were to be taken (step 150)"
        )),
        "{warnings:?}"
    );
}

/// Labels of validation that do not differ rank nothing.
#[test]
fn a_validation_that_measures_nothing_is_warned_of() {
    let dataset = tiny_retail::dataset_with(40, |_, samples| {
        for labels in &mut samples.labels {
            let of_valid = samples.split.iter().zip(labels);
            for (_, label) in of_valid.filter(|(split, _)| **split == Split::Valid) {
                *label = 0.0;
            }
        }
    });
    let mut listener = Listener::default();
    let params = with(finetune_params(), "patience", 1);
    Stage::new()
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    let warnings = &listener.warnings;
    let told = "`patience` stops nothing, and `keep: best` keeps the weights of the last epoch: ";
    assert!(
        warnings.iter().any(|warning| warning.starts_with(told)),
        "{warnings:?}"
    );
}

/// At a learning rate of 0 no epoch is better than the first.
#[test]
fn training_ends_when_validation_has_not_risen() {
    let stage = Stage::new();
    let params = with(finetune_params(), "optimizer.learning_rate", 0.0);
    let params = with(with(params, "patience", 2), "epochs", 9);
    stage
        .finetune(
            &tiny_retail::dataset(40),
            &params,
            None,
            &mut Listener::default(),
        )
        .unwrap();
    assert_eq!(stage.curve("valid/mean_auc").len(), 3);
}

#[test]
fn an_encoder_is_frozen_for_so_many_epochs() {
    let dataset = tiny_retail::dataset(40);
    let weights = |freeze: serde_json::Value, epochs: u64| {
        let stage = Stage::new();
        let params = with(with(finetune_params(), "freeze", freeze), "epochs", epochs);
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        let mut weights = tensors(&stage.path("model/weights.safetensors"));
        weights.retain(|name, _| !name.starts_with("towers"));
        weights
    };
    let initial = weights(json!("encoder"), 1);
    assert_eq!(weights(json!({ "until_epoch": 1 }), 1), initial);
    let moved = weights(json!("none"), 1);
    assert!(
        moved
            .iter()
            .all(|(name, bytes)| initial[name] != *bytes || name.ends_with("fill"))
    );
}

#[test]
fn a_frozen_encoder_does_not_change() {
    let dataset = tiny_retail::dataset(40);
    let (pretrained, tuned) = (Stage::new(), Stage::new());
    pretrained
        .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
        .unwrap();
    let params = with(finetune_params(), "freeze", "encoder");
    tuned
        .finetune(
            &dataset,
            &params,
            Some(&pretrained.path("encoder")),
            &mut Listener::default(),
        )
        .unwrap();
    let before = tensors(&pretrained.path("encoder/weights.safetensors"));
    let after = tensors(&tuned.path("model/weights.safetensors"));
    assert!(before.len() > 10);
    for (name, bytes) in &before {
        assert_eq!(after.get(name), Some(bytes), "{name}");
    }
    assert!(after.contains_key("towers.buys.weight") && !before.contains_key("towers.buys.weight"));
}

#[test]
fn every_mask_mode_and_batches_of_one_sequence_train() {
    let dataset = tiny_retail::dataset(40);
    for mask in ["per_step", "per_channel", "visit"] {
        let stage = Stage::new();
        let params = with(with(pretrain_params(), "mask", mask), "epochs", 1);
        stage
            .pretrain(&dataset, &params, &mut stage.listener())
            .unwrap();
        let stage = Stage::new();
        let params = with(with(pretrain_params(), "max_steps", 3), "batch_size", 1);
        stage
            .pretrain(&dataset, &params, &mut stage.listener())
            .unwrap();
    }
}

/// Batches of a sequence that is one visit: all its events are masked, or none.
#[test]
fn batches_without_a_visible_event_are_no_nan() {
    let predict = ["product", "country", "amount", "recency"];
    let mut params = with(pretrain_params(), "predict", json!(predict));
    params = with(with(params, "mask", "visit"), "mask_rate", 0.9);
    params = with(with(params, "batch_size", 1), "epochs", 1);
    let stage = Stage::new();
    stage
        .pretrain(
            &tiny_retail::of_one_visit(60),
            &params,
            &mut stage.listener(),
        )
        .unwrap();
    let of_heads = predict.map(|channel| format!("train/{channel}/loss"));
    let of_all = ["train/loss", "train/gradient_norm", "valid/loss"].map(str::to_owned);
    for name in of_heads.iter().chain(&of_all) {
        let curve = stage.curve(name);
        assert!(!curve.is_empty(), "{name}");
        assert!(
            curve.iter().all(|value| value.is_finite() && *value > 0.0),
            "{name}: {curve:?}"
        );
    }
    // A country is that of every other event: no event is left to copy it from.
    assert_eq!(stage.curve("valid/country/copy_accuracy"), [0.0]);
}
