//! What `export` refuses, in words.

use std::fs;

use serde_json::{Value, json};
use supermoe_channels::Split;
use supermoe_trainer::plugins;

use crate::stage::{Artifacts, Run, models};
use crate::tiny_retail;

fn export(artifacts: &Artifacts, inputs: &[(&str, &str)], params: Value) -> Run {
    artifacts.run(&plugins::export(models()), params, inputs, &[], 1)
}

fn told(artifacts: &Artifacts, inputs: &[(&str, &str)], params: Value) -> String {
    export(artifacts, inputs, params).error().to_owned()
}

#[test]
fn one_of_encoder_and_model_is_wanted() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    assert_eq!(
        told(&artifacts, &[("dataset", "dataset")], json!({})),
        "give the stage an input `encoder` (of `pretrain`) or `model` (of `finetune`)"
    );
    let all = [
        ("dataset", "dataset"),
        ("encoder", "encoder"),
        ("model", "model"),
    ];
    assert_eq!(
        told(&artifacts, &all, json!({})),
        "both `encoder` and `model` were given: give the stage the one whose embeddings are wanted"
    );
}

#[test]
fn another_dataset_is_refused_by_the_channel_that_differs() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    let other = tiny_retail::dataset_with(10, |schema, _| schema.channels[3].mean += 0.5);
    artifacts.add_dataset("other", &other);
    for port in ["encoder", "model"] {
        assert_eq!(
            told(&artifacts, &[("dataset", "other"), (port, port)], json!({})),
            format!(
                "{port}: the channel `amount` is scaled otherwise in the dataset; prepare the dataset with that of the \
                 training as its input `fitted`"
            )
        );
    }
}

#[test]
fn params_and_splits_are_checked() {
    let dataset = tiny_retail::dataset_with(10, |schema, samples| {
        samples
            .split
            .iter_mut()
            .filter(|split| **split == Split::Test)
            .for_each(|split| *split = Split::Valid);
        (schema.splits.valid, schema.splits.test) = (20, 0);
    });
    let artifacts = Artifacts::of(&dataset);
    let inputs = [("dataset", "dataset"), ("encoder", "none")];
    let of = |params: Value| told(&artifacts, &inputs, params);
    assert_eq!(
        of(json!({ "splits": [] })),
        "`splits`: expected at least one split, found none"
    );
    assert_eq!(
        of(json!({ "batch_size": 0 })),
        "`batch_size`: expected at least 1, found 0"
    );
    assert!(
        of(json!({ "pooling": "sum" }))
            .contains("unknown variant `sum`, expected one of `max`, `mean`, `last`")
    );
    assert_eq!(
        of(json!({ "splits": ["test", "predict"] })),
        "dataset: it has no samples of the splits test, predict; name others in `splits`, or make some in \
         `with.splits` of the `prepare` stage"
    );
}

#[test]
fn a_damaged_artifact_is_named() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    let mut number = 0;
    let mut with = |change: &dyn Fn(&Artifacts, &str)| {
        number += 1;
        let name = format!("changed{number}");
        artifacts.copy("encoder", &name);
        change(&artifacts, &name);
        told(
            &artifacts,
            &[("dataset", "dataset"), ("encoder", &name)],
            json!({}),
        )
    };
    let config = |pointer: &'static str, value: Value| {
        move |artifacts: &Artifacts, name: &str| {
            let mut config = artifacts.json("encoder/config.json");
            *config.pointer_mut(pointer).expect("it is there") = value.clone();
            fs::write(
                artifacts.path(&format!("{name}/config.json")),
                config.to_string(),
            )
            .expect("written");
        }
    };
    let file = |file: &'static str, bytes: &'static [u8]| {
        move |artifacts: &Artifacts, name: &str| {
            fs::write(artifacts.path(name).join(file), bytes).expect("written");
        }
    };
    assert!(with(&file("config.json", b"{")).starts_with("encoder: config.json cannot be read: "));
    assert_eq!(
        with(&config("/model", json!("bert9"))),
        "encoder: it is of the model `bert9`, which this program does not have; it has supermoe"
    );
    for width in [json!(0), json!(1_000_000_000_000u64)] {
        assert_eq!(
            with(&config("/d_model", width.clone())),
            format!("encoder: its `d_model` is {width}; expected 1 to 8192")
        );
    }
    let other_width = with(&config("/d_model", json!(32)));
    assert!(
        other_width.starts_with("encoder: ") && other_width.contains("but is F32 [26, 16]"),
        "{other_width}"
    );
    assert!(with(&config("/params/heads", json!(3))).contains("heads"));
    assert!(with(&file("weights.safetensors", b"")).starts_with("encoder: FOLDER/changed"));
    let truncated = with(&|artifacts, name| {
        let bytes = artifacts.read("encoder/weights.safetensors");
        let half = &bytes[..bytes.len() / 2];
        fs::write(artifacts.path(name).join("weights.safetensors"), half).expect("written");
    });
    assert!(
        truncated.starts_with("encoder: FOLDER/changed"),
        "{truncated}"
    );
    let missing = with(&|artifacts, name| {
        fs::remove_file(artifacts.path(name).join("weights.safetensors")).expect("removed");
    });
    assert!(missing.contains("weights.safetensors"), "{missing}");
    let not_finite = with(&|artifacts, name| {
        let mut bytes = artifacts.read("encoder/weights.safetensors");
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        bytes[8 + header..]
            .chunks_exact_mut(4)
            .for_each(|four| four.copy_from_slice(&f32::NAN.to_le_bytes()));
        fs::write(artifacts.path(name).join("weights.safetensors"), bytes).expect("written");
    });
    assert!(
        not_finite.starts_with("the embedding of entity entity-00"),
        "{not_finite}"
    );
}

#[test]
fn another_revision_of_the_model_gives_a_warning() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    artifacts.copy("encoder", "old");
    let mut config = artifacts.json("old/config.json");
    config["revision"] = json!("0");
    fs::write(artifacts.path("old/config.json"), config.to_string()).expect("written");
    let run = export(
        &artifacts,
        &[("dataset", "dataset"), ("encoder", "old")],
        json!({}),
    );
    run.outcome.as_ref().expect("it exports");
    assert!(
        run.warnings()[0]
            .starts_with("encoder: it was trained by revision 0 of the model `supermoe`")
    );
}

#[test]
fn its_revision_changes_with_that_of_a_model() {
    let revision = |models| plugins::export(models).manifest.revision;
    assert_ne!(revision(models()), revision(Vec::new()));
}

#[test]
fn asked_to_stop_it_leaves() {
    let mut artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    artifacts.stops = true;
    let inputs = [("dataset", "dataset"), ("encoder", "encoder")];
    assert_eq!(told(&artifacts, &inputs, json!({})), "stopped");
}
