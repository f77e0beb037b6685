//! What is refused, and in which words.

use supermoe_channels::{Dataset, Split};
use supermoe_nn::Error as NnError;
use supermoe_trainer::TrainError;

use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

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
        "`weighting.fixed`: `returns` has no weight"
    );
    assert_eq!(
        refusal(with(
            finetune_params(),
            "weighting",
            serde_json::json!({ "fixed": { "buys": 1.0, "return": 1.0 } })
        )),
        "`weighting.fixed`: `return` is none of what is learned here; did you mean `returns`?"
    );
    assert_eq!(
        refusal(with(
            finetune_params(),
            "weighting",
            serde_json::json!({ "bilevel_auc": { "interval": 0 } })
        )),
        "`weighting.bilevel_auc.interval`: expected at least 1, found 0"
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

fn without_validation() -> Dataset {
    tiny_retail::dataset_with(20, |schema, samples| {
        for split in &mut samples.split {
            if *split == Split::Valid {
                *split = Split::Test;
            }
        }
        (schema.splits.valid, schema.splits.test) = (0, 40);
    })
}

#[test]
fn patience_without_validation_is_refused() {
    let refusal = "`patience`: it looks at validation samples, and there are none: give `prepare` a validation split \
                   (`splits.valid`), or leave `patience` out";
    let stage = Stage::new();
    let params = with(finetune_params(), "patience", 2);
    let error = stage.finetune(&without_validation(), &params, None, &mut stage.listener());
    assert_eq!(error.unwrap_err().to_string(), refusal);
    let params = with(pretrain_params(), "patience", 2);
    let params = with(params, "valid_samples", 0);
    let dataset = tiny_retail::dataset(20);
    let error = stage.pretrain(&dataset, &params, &mut stage.listener());
    assert_eq!(error.unwrap_err().to_string(), refusal);
}

#[test]
fn what_is_predicted_has_to_be_named() {
    let mut params = pretrain_params();
    params.as_object_mut().unwrap().remove("predict");
    let stage = Stage::new();
    let error = stage.pretrain(&tiny_retail::dataset(20), &params, &mut stage.listener());
    assert_eq!(
        error.unwrap_err().to_string(),
        "`predict`: the model `supermoe` is pre-trained by telling channels that are masked: name those"
    );
}

#[test]
fn a_model_beyond_the_memory_of_any_machine_is_refused_at_once() {
    let stage = Stage::new();
    let mut params = with(finetune_params(), "d_model", 8192);
    for (name, size) in [("layers", 256), ("experts", 1024), ("d_ff", 65536)] {
        params = with(params, &format!("models.supermoe.{name}"), size);
    }
    let error = stage.finetune(
        &tiny_retail::dataset(20),
        &params,
        None,
        &mut stage.listener(),
    );
    let text = error.unwrap_err().to_string();
    assert!(text.contains(" PiB of memory ("), "{text}");
    assert!(text.contains("`models.supermoe`"), "{text}");
}

#[test]
fn weights_that_have_nothing_to_learn_on_are_refused() {
    let params = with(finetune_params(), "weighting", "bilevel_auc");
    let refusal = |dataset: &Dataset| {
        let stage = Stage::new();
        let error = stage.finetune(dataset, &params, None, &mut stage.listener());
        error.unwrap_err().to_string()
    };
    assert_eq!(
        refusal(&without_validation()),
        "`weighting.bilevel_auc`: the dataset has no validation samples, and the weights learn on half of them; \
         give `splits.valid` of `prepare` some"
    );
    let of_one_class = tiny_retail::dataset_with(20, |_, samples| {
        let of_valid = samples.split.iter().zip(&mut samples.labels[1]);
        for (_, label) in of_valid.filter(|(split, _)| **split == Split::Valid) {
            *label = 0.0;
        }
    });
    let told = refusal(&of_one_class);
    assert!(
        told.starts_with(
            "`weighting.bilevel_auc`: task `returns` needs labels of two classes in the half"
        ),
        "{told}"
    );
}

#[test]
fn the_plugins_say_what_they_take_and_give() {
    let [pretrain, finetune] =
        supermoe_trainer::plugins::manifests(&[supermoe_model_supermoe::factory()]);
    let names = |ports: Vec<&String>| ports.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(pretrain.inputs.keys().collect()),
        ["dataset", "encoder", "choice"]
    );
    assert_eq!(
        names(pretrain.outputs.keys().collect()),
        ["encoder", "history"]
    );
    assert_eq!(
        names(finetune.inputs.keys().collect()),
        ["dataset", "encoder", "embeddings", "choice"]
    );
    for manifest in [&pretrain, &finetune] {
        let required = manifest.inputs.iter().filter(|(_, port)| port.required);
        assert_eq!(names(required.map(|(name, _)| name).collect()), ["dataset"]);
    }
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
