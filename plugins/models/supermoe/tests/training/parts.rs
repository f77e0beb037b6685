//! Parts of the model and of its loss that can be taken out, for workflows/parts.yaml.

use serde_json::json;

use crate::heads::tensors;
use crate::stage::{Listener, Stage, finetune_params, with};
use crate::tiny_retail;

#[test]
fn the_mean_over_the_batch_weighs_a_task_by_its_labels() {
    let dataset = tiny_retail::dataset(60);
    let first_losses = |mean: &str| {
        let stage = Stage::new();
        let params = with(finetune_params(), "loss_mean", json!(mean));
        let params = with(with(params, "max_steps", json!(1)), "dropout", json!(0.0));
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        ["buys", "returns"].map(|task| stage.curve(&format!("train/{task}/loss"))[0])
    };
    let (labelled, batch) = (first_losses("labelled"), first_losses("batch"));
    // Each sample has a label of `buys`; a third of them has none of `returns`.
    assert_eq!(labelled[0], batch[0]);
    let share = batch[1] / labelled[1];
    assert!((0.3..0.95).contains(&share), "{share}");
}

#[test]
fn a_block_has_as_many_feed_forward_mixtures_as_asked_for() {
    let dataset = tiny_retail::dataset(20);
    let layers = |feed_forwards: usize| {
        let stage = Stage::new();
        let mut params = with(finetune_params(), "max_steps", json!(1));
        params["models"]["supermoe"]["feed_forwards"] = json!(feed_forwards);
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        let names = tensors(&stage.path("model/weights.safetensors"));
        (0..4)
            .filter(|i| {
                names
                    .keys()
                    .any(|name| name.contains(&format!("block.0.ffn.{i}.")))
            })
            .count()
    };
    assert_eq!([1, 2, 3].map(layers), [1, 2, 3]);
}
