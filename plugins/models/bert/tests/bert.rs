//! BERT holds to what every model must do, and is SuperMoE without mixtures.

use serde_json::json;
use supermoe_model_conformance::golden::{self, Golden};
use supermoe_model_conformance::{
    Listener, ModelUnderTest, TimesNoticed, conform, order_matters, tensors, times_noticed,
    tiny_retail, with,
};

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_bert::factory(),
        params: json!({ "layers": 1, "heads": 2, "d_ff": 16, "id_width": 8, "category_width": 4 }),
    }
}

const GOLDEN: Golden = Golden {
    revisions: ["1", "6", "6"],
    digests: &[(
        "avx512",
        "d2cc24bc21a1838c788812448090642858c683a3474b6bfd09035884c916dd98",
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

#[test]
fn a_block_has_one_feed_forward_network_and_nothing_is_mixed() {
    let stage = model().stage();
    let params = with(model().pretrain_params(), "max_steps", 3);
    let dataset = tiny_retail::dataset(20);
    stage
        .pretrain(&dataset, &params, &mut Listener::default())
        .unwrap();
    let weights = tensors(&stage.path("encoder/weights.safetensors"));
    assert!(weights.contains_key("block.0.ffn.0.inner"));
    assert!(weights.contains_key("block.0.attention.qkv.weight"));
    assert!(weights.keys().all(|name| !name.contains(".ffn.1.")));
    let history = stage.history();
    let of_mixtures =
        |name: &str| name.starts_with("experts/") || name.starts_with("train/auxiliary");
    assert!(history.iter().all(|record| !of_mixtures(&record.name)));
}

#[test]
fn heads_that_do_not_divide_the_width_are_told() {
    let stage = model().stage();
    let params = with(model().finetune_params(), "models.bert.heads", 3);
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
        "`models.bert`: `heads` must divide `d_model`, and 3 does not divide 16"
    );
}
