//! Pre-training and fine-tuning of a small SuperMoE on a made-up shop.

mod stage;
#[path = "../../../../crates/trainer/tests/tiny_retail/mod.rs"]
mod tiny_retail;

use stage::{Listener, Stage, finetune_params, on_threads, pretrain_params, with};
use supermoe_channels::Dataset;
use supermoe_nn::Error as NnError;
use supermoe_trainer::TrainError;

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
        stage.curve("valid/mcp/product/accuracy"),
        stage.curve("valid/mcp/product/copy_accuracy"),
    );
    assert!(
        model[model.len() - 1] > 3.0 * copy[copy.len() - 1].max(0.1),
        "{model:?} {copy:?}"
    );
    assert!(!stage.curve("learning_rate").is_empty() && !stage.curve("gradient_norm").is_empty());
    let load: f64 = (0..3)
        .map(|expert| stage.curve(&format!("expert_load/block.0.ffn.0/{expert}"))[0])
        .sum();
    assert!((load - 1.0).abs() < 1e-9);
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
    assert!((mean - 0.5).abs() < 0.15, "{aucs:?}");
}

#[test]
fn a_stop_at_any_step_and_a_new_start_end_in_the_same_bytes() {
    let dataset = tiny_retail::dataset(60);
    let whole = Stage::new();
    whole
        .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
        .unwrap();
    // Within the first epoch, at its end (8 steps), within a window of metrics, at the very end.
    for stop_after in [1, 8, 13, 24] {
        let stopped = Stage::new();
        let mut first = Listener {
            stop_after: Some(stop_after),
            ..stopped.listener()
        };
        let end = stopped.pretrain(&dataset, &pretrain_params(), &mut first);
        assert!(matches!(end, Err(TrainError::Stopped { .. })), "{end:?}");
        let mut second = stopped.listener();
        stopped
            .pretrain(&dataset, &pretrain_params(), &mut second)
            .unwrap();
        assert_eq!(second.warnings, Vec::<String>::new());
        assert_eq!(
            stopped.digests(),
            whole.digests(),
            "stopped after {stop_after}"
        );
    }
}

#[test]
fn fine_tuning_goes_on_from_a_checkpoint_too() {
    let dataset = tiny_retail::dataset(60);
    let whole = Stage::new();
    let params = with(
        finetune_params(),
        "freeze",
        serde_json::json!({ "until_epoch": 1 }),
    );
    whole
        .finetune(&dataset, &params, None, &mut Listener::default())
        .unwrap();
    for stop_after in [3, 8, 21] {
        let stopped = Stage::new();
        let mut first = Listener {
            stop_after: Some(stop_after),
            ..stopped.listener()
        };
        assert!(
            stopped
                .finetune(&dataset, &params, None, &mut first)
                .is_err()
        );
        stopped
            .finetune(&dataset, &params, None, &mut stopped.listener())
            .unwrap();
        assert_eq!(
            stopped.digests(),
            whole.digests(),
            "stopped after {stop_after}"
        );
    }
}

#[test]
fn a_process_that_is_killed_repeats_the_steps_since_its_last_checkpoint() {
    // A kill leaves the checkpoint of some step behind, which `checkpoint_every` saved: here the stop
    // comes after step 5, and the state of step 4 is put back.
    let dataset = tiny_retail::dataset(60);
    let params = with(pretrain_params(), "checkpoint_every", 4);
    let whole = Stage::new();
    whole
        .pretrain(&dataset, &params, &mut Listener::default())
        .unwrap();
    let killed = Stage::new();
    let mut first = Listener {
        stop_after: Some(4),
        ..killed.listener()
    };
    assert!(killed.pretrain(&dataset, &params, &mut first).is_err());
    std::fs::create_dir(killed.path("checkpoint/unfinished")).unwrap();
    std::fs::write(
        killed.path("checkpoint/unfinished/weights.safetensors"),
        b"half",
    )
    .unwrap();
    killed
        .pretrain(&dataset, &params, &mut killed.listener())
        .unwrap();
    assert_eq!(killed.digests(), whole.digests());
}

#[test]
fn a_truncated_checkpoint_is_told_and_training_begins_anew() {
    let dataset = tiny_retail::dataset(60);
    let whole = Stage::new();
    whole
        .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
        .unwrap();
    for file in ["weights.safetensors", "optimizer.safetensors", "state.json"] {
        let stage = Stage::new();
        let mut first = Listener {
            stop_after: Some(5),
            ..stage.listener()
        };
        assert!(
            stage
                .pretrain(&dataset, &pretrain_params(), &mut first)
                .is_err()
        );
        let path = stage.path("checkpoint/state-5").join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let mut second = stage.listener();
        stage
            .pretrain(&dataset, &pretrain_params(), &mut second)
            .unwrap();
        assert!(
            second.warnings[0].contains("the checkpoint cannot be used"),
            "{:?}",
            second.warnings
        );
        assert_eq!(stage.digests(), whole.digests(), "{file}");
    }
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let dataset = tiny_retail::dataset(60);
    let run = |threads| {
        on_threads(threads, || {
            let (pretrained, tuned) = (Stage::new(), Stage::new());
            pretrained
                .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
                .unwrap();
            let encoder = pretrained.path("encoder");
            tuned
                .finetune(
                    &dataset,
                    &finetune_params(),
                    Some(&encoder),
                    &mut Listener::default(),
                )
                .unwrap();
            (pretrained.digests(), tuned.digests())
        })
    };
    let one = run(1);
    assert_eq!(one.0.len() + one.1.len(), 7);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

#[test]
fn another_seed_gives_other_bytes() {
    let dataset = tiny_retail::dataset(40);
    let run = |seed| {
        let stage = Stage::new();
        stage
            .pretrain(
                &dataset,
                &with(pretrain_params(), "seed", seed),
                &mut Listener::default(),
            )
            .unwrap();
        stage.digests()["encoder/weights.safetensors"].clone()
    };
    assert_ne!(run(1), run(2));
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
    assert!(after.contains_key("towers.weight") && !before.contains_key("towers.weight"));
}

fn tensors(path: &std::path::Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
        .collect()
}

#[test]
fn a_loss_that_is_no_number_stops_with_step_and_task() {
    let dataset = tiny_retail::dataset_with(40, |schema, _| schema.aggregates[0].deviation = 1e-39);
    let stage = Stage::new();
    let error = stage
        .finetune(&dataset, &finetune_params(), None, &mut stage.listener())
        .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the loss of buys is "), "{text}");
    assert!(text.contains("at step 1 (epoch 1)"), "{text}");
}

#[test]
fn a_gradient_that_is_no_number_stops_with_its_step() {
    let dataset = tiny_retail::dataset(40);
    let stage = Stage::new();
    let params = with(
        with(finetune_params(), "optimizer.learning_rate", 10.0),
        "optimizer.clip_norm",
        serde_json::Value::Null,
    );
    match stage.finetune(&dataset, &params, None, &mut stage.listener()) {
        Ok(()) => {}
        Err(
            TrainError::LossNotFinite { .. }
            | TrainError::Step {
                source: NnError::Value { .. },
                ..
            },
        ) => {}
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_encoder_of_other_shapes_or_channels_is_refused() {
    let dataset = tiny_retail::dataset(40);
    let pretrained = Stage::new();
    pretrained
        .pretrain(
            &dataset,
            &with(pretrain_params(), "epochs", 1),
            &mut Listener::default(),
        )
        .unwrap();
    let encoder = pretrained.path("encoder");
    let refusal = |params: serde_json::Value, dataset: &Dataset| {
        let stage = Stage::new();
        stage
            .finetune(dataset, &params, Some(&encoder), &mut stage.listener())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(with(finetune_params(), "d_model", 32), &dataset),
        "encoder: it was trained with `d_model` 16, and this stage has 32; give both stages the same"
    );
    assert_eq!(
        refusal(
            with(finetune_params(), "models.supermoe.experts", 2),
            &dataset
        ),
        "encoder: it was trained with `models.supermoe.experts` 3, and this stage has 2; give both stages the same"
    );
    assert_eq!(
        refusal(finetune_params(), &tiny_retail::dataset(41)),
        "encoder: the channel `amount` is scaled otherwise in the dataset"
    );
    std::fs::remove_file(encoder.join("weights.safetensors")).unwrap();
    assert!(refusal(finetune_params(), &dataset).contains("weights.safetensors"));
}

#[test]
fn params_that_do_not_fit_are_refused() {
    let dataset = tiny_retail::dataset(20);
    let stage = Stage::new();
    let refusal = |params| {
        stage
            .finetune(&dataset, &params, None, &mut stage.listener())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(with(finetune_params(), "models.supermoe.top_k", 4)),
        "`models.supermoe`: `top_k` must be from 1 to `experts`, which is 3; found 4"
    );
    assert_eq!(
        refusal(with(finetune_params(), "model", "bert")),
        "`model`: there is no model `bert`; there are supermoe"
    );
    assert_eq!(
        refusal(with(finetune_params(), "tasks", serde_json::json!(["buy"]))),
        "`tasks`: the dataset has no task `buy`; it has buys, returns"
    );
    assert_eq!(
        refusal(with(
            finetune_params(),
            "weighting",
            serde_json::json!({ "fixed": { "buys": 1.0 } })
        )),
        "`weighting.fixed`: task `returns` has no weight"
    );
    assert!(
        refusal(with(finetune_params(), "batch_size", 0))
            .contains("`batch_size`: expected at least 1")
    );
}

#[test]
fn a_task_of_one_class_and_an_empty_split_are_told() {
    let stage = Stage::new();
    let error = stage.finetune(
        &tiny_retail::dataset_with(20, |_, samples| samples.labels[0].fill(1.0)),
        &finetune_params(),
        None,
        &mut stage.listener(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "dataset: task `buys` is 1 for all 40 labelled training samples: there is nothing to tell apart"
    );
    let stage = Stage::new();
    let error = stage.finetune(
        &tiny_retail::dataset(0),
        &finetune_params(),
        None,
        &mut stage.listener(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "dataset: its training split has no samples"
    );
}

#[test]
fn every_mask_mode_and_sequences_of_one_step_train() {
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

#[test]
fn attention_may_be_a_mixture_too() {
    let dataset = tiny_retail::dataset(40);
    let stage = Stage::new();
    let params = with(
        with(pretrain_params(), "models.supermoe.attention_experts", 2),
        "max_steps",
        5,
    );
    stage
        .pretrain(&dataset, &params, &mut stage.listener())
        .unwrap();
    assert!(!stage.curve("expert_load/block.0.attention.q/1").is_empty());
}

#[test]
fn the_plugins_say_what_they_take_and_give() {
    let [pretrain, finetune] =
        supermoe_trainer::plugins::manifests(&[supermoe_model_supermoe::factory()]);
    let names = |ports: Vec<&String>| ports.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(pretrain.inputs.keys().collect()), ["dataset"]);
    assert_eq!(
        names(pretrain.outputs.keys().collect()),
        ["encoder", "history"]
    );
    assert_eq!(
        names(finetune.inputs.keys().collect()),
        ["dataset", "encoder"]
    );
    assert!(!finetune.inputs["encoder"].required);
    assert_eq!(
        names(finetune.outputs.keys().collect()),
        ["model", "history", "predictions"]
    );
    for manifest in [pretrain, finetune] {
        assert!(manifest.checkpoints && manifest.trains);
        let variants = manifest.variants.unwrap();
        assert_eq!(
            (variants.param.as_str(), variants.section.as_str()),
            ("model", "models")
        );
        let schema = &variants.values["supermoe"].params;
        assert_eq!(schema["properties"]["experts"]["default"], 4);
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(
            manifest.params["properties"]["optimizer"]["default"]["learning_rate"],
            0.001
        );
        assert_eq!(manifest.params["required"][0], "model");
    }
}
