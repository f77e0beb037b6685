//! `predict` as a stage runs it: dataset and model in, predictions without labels out.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use serde_json::{Value, json};
use supermoe_channels::{Dataset, Split};
use supermoe_model_conformance::tiny_retail;
use supermoe_trainer::plugins;

#[path = "../../export/tests/export/stage.rs"]
mod stage;

use stage::{Artifacts, Run, models, parquet_rows};

/// The test samples as users of tomorrow: nothing is known of what they will do.
fn tomorrow() -> Dataset {
    tiny_retail::dataset_with(20, |schema, samples| {
        let splits = samples.split.iter_mut();
        splits
            .filter(|split| **split == Split::Test)
            .for_each(|split| *split = Split::Predict);
        (schema.splits.predict, schema.splits.test) = (schema.splits.test, 0);
        samples
            .labels
            .iter_mut()
            .for_each(|labels| labels.fill(f32::NAN));
    })
}

fn predict(artifacts: &Artifacts, dataset: &str, model: &str, params: Value, name: &str) -> Run {
    let inputs = [("dataset", dataset), ("model", model)];
    let outputs = [("predictions", name.to_owned())];
    artifacts.run_into(&plugins::predict(models()), params, &inputs, &outputs, 1)
}

/// Scores by entity and task of the rows of a split.
fn scores(artifacts: &Artifacts, name: &str, split: &str) -> BTreeMap<(String, String), f64> {
    let rows = parquet_rows(&artifacts.path(&format!("{name}/predictions.parquet")));
    let text = |name: &str| {
        rows.column_by_name(name)
            .expect("a column")
            .as_string::<i32>()
    };
    let scores = rows
        .column_by_name("score")
        .expect("a column")
        .as_primitive::<Float64Type>();
    (0..rows.num_rows())
        .filter(|&row| text("split").value(row) == split)
        .map(|row| {
            let key = (
                text("entity").value(row).to_owned(),
                text("task").value(row).to_owned(),
            );
            (key, scores.value(row))
        })
        .collect()
}

#[test]
fn tomorrows_users_get_the_scores_of_the_model() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    artifacts.add_dataset("tomorrow", &tomorrow());
    predict(&artifacts, "tomorrow", "model", json!({}), "scored")
        .outcome
        .expect("it predicts");
    let (found, expected) = (
        scores(&artifacts, "scored", "predict"),
        scores(&artifacts, "predictions", "test"),
    );
    assert_eq!(found.len(), 20 * dataset_tasks());
    assert_eq!(found, expected);
    let rows = parquet_rows(&artifacts.path("scored/predictions.parquet"));
    assert_eq!(rows.num_rows(), found.len());
    let labels = rows.column_by_name("label").expect("a column");
    assert_eq!(labels.null_count(), rows.num_rows());
}

fn dataset_tasks() -> usize {
    tiny_retail::dataset(1).schema().tasks.len()
}

#[test]
fn other_splits_are_scored_when_asked_for() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    let splits = json!({ "splits": ["test", "valid"] });
    predict(&artifacts, "dataset", "model", splits, "scored")
        .outcome
        .expect("it predicts");
    for split in ["valid", "test"] {
        assert_eq!(
            scores(&artifacts, "scored", split),
            scores(&artifacts, "predictions", split)
        );
    }
    assert!(scores(&artifacts, "scored", "train").is_empty());
}

#[test]
fn threads_change_no_bit() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    let inputs = [("dataset", "dataset"), ("model", "model")];
    let of = |threads: u32| {
        let name = format!("on{threads}");
        let outputs = [("predictions", name.clone())];
        let params = json!({ "splits": ["train"] });
        let plugin = plugins::predict(models());
        let run = artifacts.run_into(&plugin, params, &inputs, &outputs, threads);
        run.outcome.expect("it predicts");
        artifacts.read(&format!("{name}/predictions.parquet"))
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn another_revision_of_the_model_gives_a_warning() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    artifacts.copy("model", "old");
    let mut config = artifacts.json("model/config.json");
    config["revision"] = json!("0");
    std::fs::write(artifacts.path("old/config.json"), config.to_string()).expect("written");
    let run = predict(
        &artifacts,
        "dataset",
        "old",
        json!({ "splits": ["test"] }),
        "scored",
    );
    run.outcome.as_ref().expect("it predicts");
    assert!(
        run.warnings()[0]
            .starts_with("model: it was trained by revision 0 of the model `supermoe`")
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    let mut number = 0;
    let mut told = |dataset: &str, model: &str, params: Value| {
        number += 1;
        let run = predict(
            &artifacts,
            dataset,
            model,
            params,
            &format!("failed{number}"),
        );
        run.error().to_owned()
    };
    assert_eq!(
        told("dataset", "model", json!({})),
        "dataset: it has no samples of the splits predict; name others in `splits`, or make some in `with.splits` of \
         the `prepare` stage"
    );
    artifacts.add_dataset("tomorrow", &tomorrow());
    assert_eq!(
        told("tomorrow", "encoder", json!({})),
        "model: it has no towers: give the stage a model of `finetune`"
    );
    let other = tiny_retail::dataset_with(20, |schema, samples| {
        schema.channels[3].mean += 0.5;
        samples.split.fill(Split::Predict);
        schema.splits = supermoe_channels::SplitCounts::of(&samples.split);
    });
    artifacts.add_dataset("other", &other);
    assert_eq!(
        told("other", "model", json!({})),
        "model: the channel `amount` is scaled otherwise in the dataset; prepare the dataset with that of the training \
         as its input `fitted`"
    );
    assert_eq!(
        told("tomorrow", "model", json!({ "splits": [] })),
        "`splits`: expected at least one split, found none"
    );
}

#[test]
fn asked_to_stop_it_leaves() {
    let mut artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    artifacts.stops = true;
    let run = predict(
        &artifacts,
        "dataset",
        "model",
        json!({ "splits": ["test"] }),
        "scored",
    );
    assert_eq!(run.error(), "stopped");
}
