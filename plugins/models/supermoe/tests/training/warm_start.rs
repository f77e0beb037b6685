//! Trainings that begin with an encoder of another dataset.

use supermoe_channels::Dataset;
use supermoe_model_conformance::tensors;

use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

fn pretrained(dataset: &Dataset) -> Stage {
    let stage = Stage::new();
    let params = with(pretrain_params(), "epochs", 2);
    let mut listener = Listener::default();
    stage.pretrain(dataset, &params, &mut listener).unwrap();
    stage
}

/// `with` of a fine-tuning in which nothing moves.
fn still() -> serde_json::Value {
    let params = with(finetune_params(), "max_steps", 1);
    let params = with(params, "optimizer.rates.encoder", 0.0);
    let params = with(params, "optimizer.rates.tables", 0.0);
    with(params, "optimizer.rates.towers", 0.0)
}

fn finetuned(dataset: &Dataset, encoder: Option<&Stage>) -> (Stage, Listener) {
    let (stage, mut listener) = (Stage::new(), Listener::default());
    let folder = encoder.map(|encoder| encoder.path("encoder"));
    stage
        .finetune(dataset, &still(), folder.as_deref(), &mut listener)
        .unwrap();
    (stage, listener)
}

/// The rows of a table, by the value that they stand for; reserved ones by their code.
fn rows(stage: &Stage, folder: &str, table: &str, dataset: &Dataset) -> Vec<(String, Vec<u8>)> {
    let weights = tensors(&stage.path(&format!("{folder}/weights.safetensors")));
    let channel = table.rsplit('.').next().unwrap();
    let vocabulary = dataset.vocabulary(channel).unwrap();
    let values = &weights[table];
    let rows = values.chunks(values.len() / vocabulary.codes() as usize);
    let name = |code: u32| {
        vocabulary
            .value(code)
            .map_or(code.to_string(), str::to_owned)
    };
    (0..).map(name).zip(rows.map(<[u8]>::to_vec)).collect()
}

#[test]
fn rows_go_on_by_the_value_that_they_stand_for_and_new_ones_begin_at_random() {
    let (dataset, refitted) = (tiny_retail::dataset(40), tiny_retail::refitted(40));
    let pretrained = pretrained(&dataset);
    let (warm, listener) = finetuned(&refitted, Some(&pretrained));
    let (cold, _) = finetuned(&refitted, None);
    for table in ["mfp.table.product", "mfp.table.country"] {
        let theirs = rows(&pretrained, "encoder", table, &dataset);
        let (ours, fresh) = (
            rows(&warm, "model", table, &refitted),
            rows(&cold, "model", table, &refitted),
        );
        let mut new = 0;
        for ((value, row), (_, fresh)) in ours.iter().zip(&fresh) {
            match theirs.iter().find(|(known, _)| known == value) {
                Some((_, known)) => assert_eq!(row, known, "{table}: {value}"),
                None => {
                    assert_eq!(row, fresh, "{table}: {value}");
                    new += 1;
                }
            }
        }
        assert_eq!(new, if table.ends_with("product") { 2 } else { 1 });
    }
    let said = "channel `product`: 12 values go on from the encoder's rows, 2 are new and begin at random, 0 of the \
                encoder's are not in the dataset";
    assert!(
        listener.warnings.iter().any(|told| told == said),
        "{:?}",
        listener.warnings
    );
}

#[test]
fn the_same_events_with_other_codes_have_the_same_scores() {
    let pretrained = pretrained(&tiny_retail::dataset(40));
    let (before, _) = finetuned(&tiny_retail::dataset(40), Some(&pretrained));
    let (after, _) = finetuned(&tiny_retail::refitted(40), Some(&pretrained));
    assert!(!before.predictions().is_empty());
    assert_eq!(before.predictions(), after.predictions());
}

#[test]
fn pre_training_goes_on_from_an_encoder() {
    let dataset = tiny_retail::refitted(40);
    let first = pretrained(&tiny_retail::dataset(40));
    let loss_after_a_step = |encoder: Option<&Stage>| {
        let stage = Stage::new();
        let params = with(pretrain_params(), "max_steps", 1);
        let folder = encoder.map(|encoder| encoder.path("encoder"));
        stage
            .pretrain_from(
                &dataset,
                &params,
                folder.as_deref(),
                &mut Listener::default(),
            )
            .unwrap();
        tensors(&stage.path("encoder/weights.safetensors"))
    };
    let (warm, cold) = (loss_after_a_step(Some(&first)), loss_after_a_step(None));
    let name = warm.keys().find(|name| name.contains("projection"));
    let name = name.expect("a projection of the channels").as_str();
    assert_eq!(
        warm.keys().collect::<Vec<_>>(),
        cold.keys().collect::<Vec<_>>()
    );
    let theirs = &tensors(&first.path("encoder/weights.safetensors"))[name];
    let distance = |weights: &[u8]| -> f32 {
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        let pairs = weights.chunks(4).zip(theirs.chunks(4));
        pairs.map(|(a, b)| (number(a) - number(b)).abs()).sum()
    };
    // A step moves a weight by at most about the learning rate.
    assert!(distance(&warm[name]) < 0.2 * distance(&cold[name]));
}

#[test]
fn a_small_shift_of_a_scale_is_told_and_a_large_one_refused() {
    let pretrained = pretrained(&tiny_retail::dataset(40));
    let (_, listener) = finetuned(&tiny_retail::dataset(41), Some(&pretrained));
    let told = |said: &str| listener.warnings.iter().any(|told| told.contains(said));
    assert!(
        told("the channel `amount` is scaled otherwise in the dataset: mean"),
        "{:?}",
        listener.warnings
    );
    let refused = |dataset: &Dataset| {
        let stage = Stage::new();
        let encoder = pretrained.path("encoder");
        let mut listener = Listener::default();
        let error = stage.finetune(dataset, &finetune_params(), Some(&encoder), &mut listener);
        error.unwrap_err().to_string()
    };
    let moved = tiny_retail::dataset_with(40, |schema, _| schema.channels[3].mean += 100.0);
    assert!(refused(&moved).contains("that is too far for its weights"));
    let fewer = tiny_retail::dataset_of(40, |name| name != "country");
    assert!(
        refused(&fewer).contains(
            "it was trained with the channels `country`, which the dataset does not have"
        )
    );
    std::fs::remove_file(pretrained.path("encoder/schema.json")).unwrap();
    let error = refused(&tiny_retail::refitted(40));
    assert!(error.contains("its dataset is another, and"), "{error}");
}
