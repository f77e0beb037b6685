//! The suite.

use serde_json::{Map, Value, json};
use supermoe_channels::{ChannelKind, Dataset};
use supermoe_trainer::{Pretraining, TrainError};

use crate::stage::{Listener, ModelUnderTest, Stage, on_threads, tensors, with};
use crate::tiny_retail;

/// The middle one of the numbers of channels in docs/benchmarks.md.
const CHANNELS: usize = 103;

/// Panics, with the name of what does not hold, unless the model is built from its defaults, learns, is
/// resumed to the same bytes, does not depend on threads, takes many channels of any kinds and any weighting of
/// tasks, serves `predict` and `export`, and goes on from an encoder of other codes or says why it cannot.
pub fn conform(model: &ModelUnderTest) {
    params_are_known(model);
    learns(model);
    is_resumed_to_the_same_bytes(model);
    does_not_depend_on_threads(model);
    depends_on_the_seed(model);
    takes_many_channels_of_any_kinds(model);
    learns_with_any_weighting(model);
    serves_what_was_trained(model);
    goes_on_with_new_codes(model);
    if model.factory.pretraining == Pretraining::None {
        refuses_pretraining(model);
    }
}

fn params_are_known(model: &ModelUnderTest) {
    let defaults = model.factory.params(&Map::new());
    assert!(defaults.is_ok(), "all params have defaults: {defaults:?}");
    let unknown = Map::from_iter([("no_such_param".to_owned(), json!(1))]);
    let error = model.factory.params(&unknown).unwrap_err().to_string();
    assert!(error.contains("no_such_param"), "{error}");
}

/// The encoder of a model with a pre-training; none of others.
fn pretrained(model: &ModelUnderTest, dataset: &Dataset) -> Option<Stage> {
    if model.factory.pretraining == Pretraining::None {
        return None;
    }
    let stage = model.stage();
    let params = with(model.pretrain_params(), "epochs", 8);
    stage
        .pretrain(dataset, &params, &mut stage.listener())
        .unwrap();
    Some(stage)
}

fn learns(model: &ModelUnderTest) {
    let dataset = tiny_retail::dataset(150);
    let first = pretrained(model, &dataset);
    if let Some(stage) = &first {
        let losses = stage.curve("valid/loss");
        assert!(
            losses[losses.len() - 1] < losses[0],
            "the loss of pre-training falls: {losses:?}"
        );
    }
    let stage = model.stage();
    let mut listener = stage.listener();
    let encoder = first.map(|stage| (stage.path("encoder"), stage));
    let encoder = encoder.as_ref().map(|(path, _)| path.as_path());
    let params = with(model.finetune_params(), "epochs", 8);
    stage
        .finetune(&dataset, &params, encoder, &mut listener)
        .unwrap();
    let auc = listener.metrics["test/buys/auc"];
    assert!(auc > 0.8, "what can be learned is learned: AUC {auc}");
    let losses = stage.curve("train/loss");
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
}

/// On a dataset with other codes, the encoder of a first one either begins a training, or is refused with
/// what to do.
fn goes_on_with_new_codes(model: &ModelUnderTest) {
    if model.factory.pretraining == Pretraining::None {
        return;
    }
    let first = model.stage();
    let params = with(model.pretrain_params(), "max_steps", 2);
    let mut listener = Listener::default();
    first
        .pretrain(&tiny_retail::dataset(30), &params, &mut listener)
        .unwrap();
    let (stage, dataset) = (model.stage(), tiny_retail::refitted(30));
    let params = with(model.finetune_params(), "max_steps", 2);
    let encoder = first.path("encoder");
    let outcome = stage.finetune(&dataset, &params, Some(&encoder), &mut listener);
    if let Err(error) = outcome {
        let message = error.to_string();
        let advice = "prepare the dataset with that of the encoder as its input `fitted`";
        assert!(message.contains(advice), "a warm start: {message}");
    }
}

/// One job of each kind that the model has.
fn jobs(model: &ModelUnderTest, dataset: &Dataset, listener: impl Fn(&Stage) -> Listener) -> Stage {
    let stage = model.stage();
    if model.factory.pretraining != Pretraining::None {
        let mut listener = listener(&stage);
        finish(&mut listener, |listener| {
            stage.pretrain(dataset, &model.pretrain_params(), listener)
        });
    }
    let mut listener = listener(&stage);
    finish(&mut listener, |listener| {
        stage.finetune(dataset, &model.finetune_params(), None, listener)
    });
    stage
}

/// Starts a job, and again after it was stopped.
fn finish(listener: &mut Listener, job: impl Fn(&mut Listener) -> Result<(), TrainError>) {
    match job(listener) {
        Err(TrainError::Stopped { .. }) => {
            listener.stop_after = None;
            job(listener).unwrap();
            let unusable = listener
                .warnings
                .iter()
                .find(|text| text.contains("checkpoint"));
            assert_eq!(unusable, None, "the checkpoint is taken up");
        }
        other => other.unwrap(),
    }
}

fn is_resumed_to_the_same_bytes(model: &ModelUnderTest) {
    let dataset = tiny_retail::dataset(60);
    let whole = jobs(model, &dataset, |_| Listener::default());
    for step in [1, 8, 13] {
        let stopped = jobs(model, &dataset, |stage| Listener {
            stop_after: Some(step),
            checkpoint: Some(fresh(stage)),
            ..Listener::default()
        });
        assert_eq!(stopped.digests(), whole.digests(), "stopped at step {step}");
    }
}

/// An empty folder for checkpoints.
fn fresh(stage: &Stage) -> std::path::PathBuf {
    let folder = stage.path("checkpoint");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn does_not_depend_on_threads(model: &ModelUnderTest) {
    let dataset = tiny_retail::dataset(60);
    let run = |threads| {
        on_threads(threads, || {
            jobs(model, &dataset, |_| Listener::default()).digests()
        })
    };
    assert_eq!(run(1), run(3), "one thread and three");
}

fn depends_on_the_seed(model: &ModelUnderTest) {
    let dataset = tiny_retail::dataset(40);
    let run = |seed: u64| {
        let stage = model.stage();
        let params = with(model.finetune_params(), "seed", seed);
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        stage.digests()["model/weights.safetensors"].clone()
    };
    assert_ne!(run(1), run(2), "two seeds");
}

/// Two steps on every mixture of kinds out of `CHANNELS` channels; every code has an embedding.
fn takes_many_channels_of_any_kinds(model: &ModelUnderTest) {
    for kinds in mixtures_of_kinds() {
        let dataset = tiny_retail::dataset_of_channel_kinds(20, CHANNELS, &kinds);
        let stage = model.stage();
        let mut listener = Listener::default();
        if model.factory.pretraining != Pretraining::None {
            let told = kinds.iter().map(|kind| match kind {
                ChannelKind::Id => "product",
                ChannelKind::Category => "country",
                ChannelKind::Dense => "amount",
            });
            let params = with(model.pretrain_params(), "max_steps", 2);
            let params = with(params, "predict", told.collect::<Vec<_>>());
            stage.pretrain(&dataset, &params, &mut listener).unwrap();
        }
        let params = with(model.finetune_params(), "max_steps", 2);
        stage
            .finetune(&dataset, &params, None, &mut listener)
            .unwrap();
        let weights = tensors(&stage.path("model/weights.safetensors"));
        for channel in dataset.schema().code_channels() {
            let name = format!(".table.{}", dataset.schema().channels[channel].name);
            let has_table = weights.keys().any(|tensor| tensor.ends_with(&name));
            assert!(has_table, "no `…{name}` with the kinds {kinds:?}");
        }
    }
}

fn mixtures_of_kinds() -> impl Iterator<Item = Vec<ChannelKind>> {
    let kinds = [ChannelKind::Id, ChannelKind::Category, ChannelKind::Dense];
    (1..1 << kinds.len()).map(move |mixture: usize| {
        let places = 0..kinds.len();
        let taken = places.filter(|place| mixture & (1 << place) != 0);
        taken.map(|place| kinds[place]).collect()
    })
}

/// Each weighting of the tasks of `finetune` does something, and tells of what it moves.
fn learns_with_any_weighting(model: &ModelUnderTest) {
    let dataset = tiny_retail::dataset(20);
    let run = |weighting: Value| {
        let stage = model.stage();
        let params = with(model.finetune_params(), "max_steps", 6);
        let params = with(params, "weighting", weighting);
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        let weights = stage.digests()["model/weights.safetensors"].clone();
        (weights, stage)
    };
    let (equal, _) = run(json!("equal"));
    // What is told, and what it would be if nothing were weighted.
    let lambda = Some(("train/buys/lambda", 1.0));
    let conflicts = Some(("train/gradient_conflicts", 0.0));
    for (weighting, told) in [
        (json!({ "fixed": { "buys": 2, "returns": 0.5 } }), None),
        (json!("uncertainty"), lambda),
        (json!({ "gradnorm": { "interval": 2 } }), lambda),
        (json!({ "dwa": { "window": 1 } }), lambda),
        (json!("pcgrad"), conflicts),
        (json!({ "bilevel_auc": { "interval": 2 } }), lambda),
    ] {
        let (weights, stage) = run(weighting.clone());
        assert_ne!(weights, equal, "{weighting} learns as `equal` does");
        if let Some((name, rest)) = told {
            let values = stage.curve(name);
            let moves = values.iter().any(|value| *value != rest);
            assert!(moves, "{weighting}: {name} is {values:?}");
        }
    }
}

fn serves_what_was_trained(model: &ModelUnderTest) {
    let dataset = tiny_retail::dataset(40);
    let stage = model.stage();
    let mut listener = Listener::default();
    let params = model.finetune_params();
    stage
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    stage.predict(&dataset, &mut listener).unwrap();
    let foretold = stage.predictions_in("predicted");
    let mut told = stage.predictions();
    told.retain(|row| row.split == "test");
    assert_eq!(
        foretold.len(),
        told.len(),
        "a score for each test sample and task"
    );
    for (foretold, told) in foretold.iter().zip(&told) {
        assert_eq!(
            (&foretold.task, foretold.score, foretold.label),
            (&told.task, told.score, None),
            "`predict` tells what `finetune` told"
        );
    }
    match stage.export(&dataset, &mut listener) {
        Ok(()) => assert!(stage.path("embeddings/embeddings.npy").exists()),
        Err(TrainError::Unsupported(reason)) => assert!(
            reason.contains(model.factory.name),
            "a model without embeddings says so by its name: {reason}"
        ),
        Err(other) => panic!("`export`: {other}"),
    }
}

fn refuses_pretraining(model: &ModelUnderTest) {
    let stage = model.stage();
    let error = stage
        .pretrain(
            &tiny_retail::dataset(20),
            &model.pretrain_params(),
            &mut Listener::default(),
        )
        .unwrap_err();
    assert_eq!(
        Some(error.to_string()),
        model.factory.without_pretraining(),
        "why it cannot be pre-trained"
    );
}
