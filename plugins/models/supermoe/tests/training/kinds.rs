//! Tasks of every kind, labels that are missing, and channels of which a kind is missing.

use serde_json::json;

use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

#[test]
fn tasks_of_every_kind_are_learned_together() {
    let stage = Stage::new();
    let mut listener = stage.listener();
    let params = with(finetune_params(), "epochs", 15);
    stage
        .finetune(
            &tiny_retail::dataset_of_all_kinds(150),
            &params,
            None,
            &mut listener,
        )
        .unwrap();
    let told = |name: &str| {
        let metrics = &listener.metrics;
        *metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {metrics:?}"))
    };
    assert!(told("test/buys/auc") > 0.8);
    assert!(told("test/often/auc") > 0.95 && told("test/often/few/auc") > 0.95);
    // By chance it is ln 3.
    assert!(told("test/often/logloss") < 0.7);
    assert!(told("test/seen/concordance") > 0.9 && told("test/seen/r2") > 0.8);
    assert!(told("test/seen/rmse") >= told("test/seen/mae"));
    let quality: f64 = ["buys/auc", "returns/auc", "often/auc", "seen/concordance"]
        .iter()
        .map(|name| told(&format!("valid/{name}")))
        .sum();
    assert!((told("valid/mean_auc") - quality / 4.0).abs() < 1e-12);
    assert!(!stage.curve("train/often/loss").is_empty());
    assert!(!stage.curve("train/seen/loss").is_empty());
}

#[test]
fn either_loss_of_numbers_learns() {
    for loss in ["huber", "squared"] {
        let stage = Stage::new();
        let mut listener = stage.listener();
        let mut params = with(finetune_params(), "epochs", 10);
        params = with(with(params, "loss", loss), "tasks", json!(["seen"]));
        stage
            .finetune(
                &tiny_retail::dataset_of_all_kinds(100),
                &params,
                None,
                &mut listener,
            )
            .unwrap();
        assert!(listener.metrics["test/seen/r2"] > 0.5, "{loss}");
    }
}

#[test]
fn predictions_have_a_row_for_each_class() {
    let (stage, dataset) = (Stage::new(), tiny_retail::dataset_of_all_kinds(40));
    stage
        .finetune(&dataset, &finetune_params(), None, &mut Listener::default())
        .unwrap();
    let rows = stage.predictions();
    let of = |task: &str, split: &str| {
        let rows = rows.iter();
        rows.filter(|row| row.task == task && row.split == split)
            .collect::<Vec<_>>()
    };
    assert_eq!(rows.len(), 2 * 40 * (1 + 1 + 3 + 1));
    let binary = of("buys", "test");
    assert!(binary.iter().all(|row| row.class.is_none()));
    assert!(binary.iter().all(|row| (0.0..=1.0).contains(&row.score)));
    let (mut labelled, mut unlabelled) = (0, 0);
    for sample in of("often", "test").chunks(3) {
        let classes: Vec<_> = sample.iter().map(|row| row.class.as_deref()).collect();
        assert_eq!(classes, [Some("many"), Some("few"), Some("some")]);
        let total: f64 = sample.iter().map(|row| row.score).sum();
        assert!((total - 1.0).abs() < 1e-12);
        let labels: Vec<f32> = sample.iter().filter_map(|row| row.label).collect();
        match labels.len() {
            0 => unlabelled += 1,
            3 => {
                labelled += 1;
                assert_eq!(labels.iter().sum::<f32>(), 1.0);
            }
            other => panic!("{other} labels of a sample"),
        }
    }
    assert_eq!((labelled, unlabelled), (30, 10));
    let numbers = of("seen", "valid");
    assert!(numbers.iter().all(|row| row.class.is_none()));
    assert!(numbers.iter().filter_map(|row| row.label).any(|y| y > 20.0));
    assert!(
        numbers.iter().any(|row| row.score > 1.0),
        "in the labels' unit"
    );
}

/// A batch in which a task has no label adds nothing for it: batches of one sample make many of those.
#[test]
fn batches_without_a_label_are_no_nan() {
    let stage = Stage::new();
    let params = with(with(finetune_params(), "batch_size", 1), "max_steps", 60);
    let mut listener = stage.listener();
    let dataset = tiny_retail::dataset_with(60, |_, samples| {
        for (sample, label) in samples.labels[0].iter_mut().enumerate() {
            if sample % 3 != 0 {
                *label = f32::NAN;
            }
        }
    });
    stage
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    let losses = stage.curve("train/loss");
    assert_eq!(losses.len(), 3);
    assert!(losses.iter().all(|loss| loss.is_finite()));
    let predictions = stage.predictions();
    assert!(predictions.iter().all(|row| row.score.is_finite()));
}

#[test]
fn what_cannot_be_told_apart_is_refused_for_every_kind() {
    let refusal = |task: usize, label: f32| {
        let mut dataset = tiny_retail::dataset_of_all_kinds(20);
        let (schema, mut samples) = (dataset.schema().clone(), dataset.samples().clone());
        samples.labels[task].fill(label);
        dataset = tiny_retail::dataset_with(20, |of_schema, of_samples| {
            *of_schema = schema;
            *of_samples = samples;
        });
        let error =
            Stage::new().finetune(&dataset, &finetune_params(), None, &mut Listener::default());
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refusal(2, 1.0),
        "dataset: task `often` is `few` for all 40 labelled training samples: there is nothing to tell apart"
    );
    assert_eq!(
        refusal(3, 7.5),
        "dataset: task `seen` is 7.5 for all 40 labelled training samples: there is nothing to tell apart"
    );
    assert_eq!(
        refusal(3, f32::NAN),
        "dataset: no training sample has a label of task `seen`"
    );
}

#[test]
fn a_kind_of_channel_may_be_missing() {
    for (what, keep, predict) in [
        (
            "no dense",
            &["product", "country", "snapshot_month"][..],
            "product",
        ),
        ("no id", &["country", "amount", "steps"], "amount"),
        ("no category", &["product", "amount", "recency"], "product"),
        ("one id", &["product"], "product"),
        ("one category", &["country"], "country"),
        ("one number", &["amount"], "amount"),
    ] {
        let dataset = tiny_retail::dataset_of(40, |name| keep.contains(&name));
        let (pretrained, tuned) = (Stage::new(), Stage::new());
        let params = with(
            with(pretrain_params(), "predict", json!([predict])),
            "epochs",
            1,
        );
        pretrained
            .pretrain(&dataset, &params, &mut pretrained.listener())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let encoder = pretrained.path("encoder");
        let params = with(finetune_params(), "epochs", 1);
        tuned
            .finetune(&dataset, &params, Some(&encoder), &mut tuned.listener())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(tuned.predictions().len(), 2 * 2 * 40, "{what}");
    }
}
