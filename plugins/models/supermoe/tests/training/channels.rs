//! As many channels as the largest of the paper's datasets has.

use serde_json::json;

use crate::stage::{Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

const CHANNELS: usize = 786;

#[test]
fn a_dataset_of_786_channels_is_written_read_pretrained_and_finetuned_on() {
    let made = tiny_retail::dataset_of_channels(40, CHANNELS);
    let pretrained = Stage::new();
    let folder = pretrained.path("dataset");
    std::fs::create_dir(&folder).unwrap();
    made.write(&folder).unwrap();
    let dataset = supermoe_channels::Dataset::open(&folder).unwrap();
    assert_eq!(dataset.schema().channels.len(), CHANNELS);

    let narrow = |params| {
        let params = with(params, "models.supermoe.id_width", 2);
        with(params, "models.supermoe.category_width", 2)
    };
    // A category, an id and a number among those that were added, and one that can be told.
    let predict = json!(["product", "channel_011", "channel_400", "channel_780"]);
    let params = with(narrow(pretrain_params()), "predict", predict);
    pretrained
        .pretrain(&dataset, &params, &mut pretrained.listener())
        .unwrap();
    let curve = pretrained.curve("train/product/loss");
    assert!(curve[curve.len() - 1] < curve[0], "{curve:?}");
    assert_eq!(pretrained.curve("valid/channel_400/loss").len(), 3);

    let tuned = Stage::new();
    let encoder = pretrained.path("encoder");
    let params = narrow(finetune_params());
    tuned
        .finetune(&dataset, &params, Some(&encoder), &mut tuned.listener())
        .unwrap();
    let told = tuned.predictions();
    assert!(told.iter().all(|row| (0.0..=1.0).contains(&row.score)));
    assert_eq!(told.len(), 2 * 2 * 40, "two tasks, validation and test");
}
