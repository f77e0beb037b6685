//! AETN holds to what every model must do, and its autoencoder takes part in all it learns.

use serde_json::{Value, json};
use supermoe_model_conformance::golden::{self, Golden};
use supermoe_model_conformance::{
    Listener, ModelUnderTest, Stage, TimesNoticed, conform, order_matters, tensors, times_noticed,
    tiny_retail, with,
};

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_aetn::factory(),
        params: json!({
            "layers": 1, "heads": 2, "d_ff": 16, "id_width": 8, "category_width": 4, "bag_width": 12,
        }),
    }
}

const GOLDEN: Golden = Golden {
    revisions: ["1", "6", "6"],
    digests: &[(
        "avx512",
        "7bf45181ddfc6d3e4ada17310f83c0d0e8104b65484f57e4f14a6e52c6e94992",
    )],
};

#[test]
fn outputs_change_only_with_a_revision() {
    golden::hold(&model(), &GOLDEN);
}

#[test]
fn the_order_of_events_matters() {
    assert!(order_matters(&model()));
}

#[test]
fn the_times_of_events_matter() {
    assert_eq!(times_noticed(&model()), TimesNoticed::OF_EACH_EVENT);
}

#[test]
fn it_conforms() {
    conform(&model());
}

fn falls(stage: &Stage, name: &str) {
    let losses = stage.curve(name);
    assert!(losses.len() > 1, "{name} is no part of what is learned");
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.8 * first, "{name}: {losses:?}");
}

#[test]
fn both_reconstructions_are_learned_in_pre_training_and_in_fine_tuning() {
    let dataset = tiny_retail::dataset(120);
    let (pretrained, tuned) = (model().stage(), model().stage());
    let params = with(model().pretrain_params(), "epochs", 8);
    pretrained
        .pretrain(&dataset, &params, &mut Listener::default())
        .unwrap();
    let params = with(model().finetune_params(), "epochs", 8);
    tuned
        .finetune(&dataset, &params, None, &mut Listener::default())
        .unwrap();
    for stage in [&pretrained, &tuned] {
        falls(stage, "train/auxiliary/autoencoder/loss");
        falls(stage, "train/auxiliary/reconstruction/loss");
    }
}

/// The weights after a few steps of fine-tuning with these params, none decayed.
fn weights(path: &str, value: Value) -> std::collections::BTreeMap<String, Vec<u8>> {
    let stage = model().stage();
    let params = with(model().finetune_params(), path, value);
    let params = with(params, "optimizer.weight_decay", 0.0);
    let params = with(params, "max_steps", 5);
    stage
        .finetune(
            &tiny_retail::dataset(40),
            &params,
            None,
            &mut Listener::default(),
        )
        .unwrap();
    tensors(&stage.path("model/weights.safetensors"))
}

#[test]
fn without_its_loss_the_decoder_learns_nothing() {
    let name = "autoencoder.decoder.bag.weight";
    let initial = weights("optimizer.learning_rate", json!(0.0));
    let with_loss = weights("models.aetn.autoencoder_weight", json!(0.5));
    let without = weights("models.aetn.autoencoder_weight", json!(0.0));
    assert_ne!(with_loss[name], initial[name]);
    assert_eq!(without[name], initial[name]);
    // The code enters the transformer, so its encoder learns from the tasks in any case.
    let encoder = "autoencoder.encoder.0.weight";
    assert_ne!(without[encoder], initial[encoder]);
    assert_ne!(without[encoder], with_loss[encoder]);
}

#[test]
fn heads_that_do_not_divide_the_width_are_told() {
    let stage = model().stage();
    let params = with(model().finetune_params(), "models.aetn.heads", 3);
    let error = stage
        .finetune(
            &tiny_retail::dataset(20),
            &params,
            None,
            &mut Listener::default(),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`models.aetn`: `heads` must divide `d_model`, and 3 does not divide 16"
    );
}
