//! MTSSL holds to what every model must do, and learns to tell users apart by their views.

use serde_json::json;
use supermoe_model_conformance::golden::{self, Golden};
use supermoe_model_conformance::{
    Listener, ModelUnderTest, TimesNoticed, conform, order_matters, times_noticed, tiny_retail,
    with,
};

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_mtssl::factory(),
        params: json!({ "layers": 1, "d_ff": 32, "id_width": 8, "category_width": 4 }),
    }
}

const GOLDEN: Golden = Golden {
    revisions: ["1", "6", "6"],
    digests: &[(
        "avx512",
        "4ba081054bf472eec588fe5bff85b221ed3f6d0676d4ef7b4e0af4d7bed953d2",
    )],
};

#[test]
fn outputs_change_only_with_a_revision() {
    golden::hold(&model(), &GOLDEN);
}

#[test]
fn the_order_of_events_does_not_matter() {
    assert!(!order_matters(&model()));
}

#[test]
fn the_times_of_events_matter_in_their_mean_alone() {
    assert_eq!(times_noticed(&model()), TimesNoticed::IN_THEIR_MEAN_ALONE);
}

#[test]
fn it_conforms() {
    conform(&model());
}

/// The contrastive loss of training, step by step in windows.
fn contrast(masking: &str) -> Vec<f64> {
    let stage = model().stage();
    let params = with(model().pretrain_params(), "epochs", 20);
    let params = with(params, "models.mtssl.masking", masking);
    let mut listener = stage.listener();
    let dataset = tiny_retail::dataset(120);
    stage.pretrain(&dataset, &params, &mut listener).unwrap();
    assert!(listener.metrics.contains_key("valid/contrast/loss"));
    stage.curve("train/contrast/loss")
}

/// 16 users are a batch: ln 16 is what chance gives. Where features are hidden by chance, one that is
/// hidden can be read off one that tells the same, and users are told apart with less learning.
#[test]
fn users_are_told_apart_and_correlated_masking_makes_it_hard() {
    let chance = 16f64.ln();
    let [correlated, random] = ["correlated", "random"].map(|masking| {
        let losses = contrast(masking);
        let late = &losses[losses.len() / 2..];
        late.iter().sum::<f64>() / late.len() as f64
    });
    assert!(correlated < chance - 0.03, "{correlated}");
    assert!(random < correlated - 0.15, "{random} {correlated}");
}

#[test]
fn it_needs_no_channels_to_predict() {
    let mut params = with(model().pretrain_params(), "epochs", 1);
    params.as_object_mut().expect("a map").remove("predict");
    let stage = model().stage();
    let dataset = tiny_retail::dataset(20);
    stage
        .pretrain(&dataset, &params, &mut Listener::default())
        .unwrap();
    assert!(stage.path("encoder").join("weights.safetensors").is_file());
}

#[test]
fn one_channel_alone_cannot_be_contrasted() {
    let dataset = tiny_retail::dataset_of(20, |name| name == "product");
    let stage = model().stage();
    let error = stage
        .pretrain(
            &dataset,
            &model().pretrain_params(),
            &mut Listener::default(),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "dataset: `mtssl` hides some features and shows the others, and it has 1: expected at least 2 \
         channels and aggregates"
    );
}
