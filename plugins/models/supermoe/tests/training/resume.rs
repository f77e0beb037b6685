//! The same bytes for any stop, any number of threads; other bytes for another seed.

use serde_json::{Value, json};
use supermoe_trainer::TrainError;

use crate::stage::{Listener, Stage, finetune_params, on_threads, pretrain_params, with};
use crate::tiny_retail;

/// Steps of the jobs below: three epochs of eight.
const STEPS: u64 = 24;

/// Heads of each kind, so that a checkpoint must hold every kind of state.
fn pretraining() -> Value {
    let params = with(pretrain_params(), "predict", json!(["product", "amount"]));
    let params = with(
        params,
        "sampled_softmax",
        json!({ "above": 8, "samples": 4 }),
    );
    with(params, "checkpoint_every", 3)
}

fn finetuning() -> Value {
    let params = with(finetune_params(), "freeze", json!({ "until_epoch": 1 }));
    with(params, "checkpoint_every", 3)
}

/// Five steps that differ, the first and the last among them never.
fn five_steps(seed: u64) -> Vec<u64> {
    let mut steps = Vec::new();
    let mut state = seed;
    while steps.len() < 5 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let step = 2 + (state >> 33) % (STEPS - 3);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

/// Runs a job whole, and in two parts around each of these steps: after a stop that was asked for,
/// which saves a checkpoint, and from what SIGKILL leaves, which is an older one and half a new one.
fn ends_in_the_same_bytes(
    steps: &[u64],
    job: impl Fn(&Stage, &mut Listener) -> Result<(), TrainError>,
) {
    let whole = Stage::new();
    job(&whole, &mut whole.listener()).unwrap();
    assert!(whole.digests().len() >= 3);
    for &step in steps {
        let stopped = Stage::new();
        let killed = Stage::new();
        std::fs::remove_dir(killed.path("checkpoint")).unwrap();
        let mut first = Listener {
            stop_after: Some(step),
            kill_leaves: Some(killed.path("checkpoint")),
            ..stopped.listener()
        };
        let end = job(&stopped, &mut first);
        assert!(matches!(end, Err(TrainError::Stopped { .. })), "{end:?}");
        let unfinished = killed.path("checkpoint/unfinished");
        std::fs::create_dir(&unfinished).unwrap();
        std::fs::write(unfinished.join("weights.safetensors"), b"half").unwrap();
        for (how, stage) in [("stopped", stopped), ("killed", killed)] {
            let mut second = stage.listener();
            job(&stage, &mut second).unwrap();
            assert_eq!(second.warnings, Vec::<String>::new());
            assert_eq!(stage.digests(), whole.digests(), "{how} at step {step}");
        }
    }
}

#[test]
fn pretraining_goes_on_from_any_step_to_the_same_bytes() {
    let dataset = tiny_retail::dataset(60);
    ends_in_the_same_bytes(&five_steps(1), |stage, listener| {
        stage.pretrain(&dataset, &pretraining(), listener)
    });
}

#[test]
fn finetuning_goes_on_from_any_step_to_the_same_bytes() {
    let dataset = tiny_retail::dataset(60);
    ends_in_the_same_bytes(&five_steps(2), |stage, listener| {
        stage.finetune(&dataset, &finetuning(), None, listener)
    });
}

/// Before any checkpoint, at the end of an epoch, and after the last step, before the outputs.
#[test]
fn the_edges_of_a_run_are_no_other() {
    let dataset = tiny_retail::dataset(60);
    ends_in_the_same_bytes(&[1, 8, STEPS], |stage, listener| {
        stage.pretrain(&dataset, &pretraining(), listener)
    });
    ends_in_the_same_bytes(&[1, 8, STEPS], |stage, listener| {
        stage.finetune(&dataset, &finetuning(), None, listener)
    });
}

/// Updates that no step has seen yet are in the checkpoint.
#[test]
fn updates_of_tables_that_come_late_go_on_from_a_checkpoint() {
    let dataset = tiny_retail::dataset(60);
    let tables = json!({ "updates": { "staleness": 3 }, "shards": 2 });
    let (pretrained, tuned) = (
        with(pretraining(), "tables", tables.clone()),
        with(finetuning(), "tables", tables),
    );
    ends_in_the_same_bytes(&five_steps(9)[..3], |stage, listener| {
        stage.pretrain(&dataset, &pretrained, listener)
    });
    ends_in_the_same_bytes(&[1, 8, STEPS], |stage, listener| {
        stage.finetune(&dataset, &tuned, None, listener)
    });
}

/// The mean so far, and of how many weights it is, are in the checkpoint.
#[test]
fn averaged_weights_go_on_from_a_checkpoint() {
    let dataset = tiny_retail::dataset(60);
    let tables = json!({ "updates": { "staleness": 3 } });
    let average = json!({ "from": 0.3, "every": 2 });
    let averaged = |params| {
        with(
            with(
                with(params, "keep", json!("average")),
                "average",
                average.clone(),
            ),
            "tables",
            tables.clone(),
        )
    };
    let (pretrained, tuned) = (averaged(pretraining()), averaged(finetuning()));
    ends_in_the_same_bytes(&five_steps(10)[..3], |stage, listener| {
        stage.pretrain(&dataset, &pretrained, listener)
    });
    ends_in_the_same_bytes(&[1, 8, STEPS], |stage, listener| {
        stage.finetune(&dataset, &tuned, None, listener)
    });
}

/// Weightings that learn, with intervals and windows that no checkpoint coincides with.
fn weightings() -> [Value; 5] {
    [
        json!("uncertainty"),
        json!({ "gradnorm": { "interval": 2 } }),
        json!({ "dwa": { "window": 4 } }),
        json!("pcgrad"),
        json!({ "bilevel_auc": { "interval": 4, "batch_size": 16, "learning_rate": 0.1 } }),
    ]
}

#[test]
fn what_a_weighting_has_learned_goes_on_from_a_checkpoint() {
    let dataset = tiny_retail::dataset(60);
    for (number, weighting) in weightings().into_iter().enumerate() {
        let steps = &five_steps(3 + number as u64)[..2];
        let tuned = with(finetuning(), "weighting", weighting.clone());
        ends_in_the_same_bytes(steps, |stage, listener| {
            stage.finetune(&dataset, &tuned, None, listener)
        });
        if weighting.get("bilevel_auc").is_none() {
            let pretrained = with(pretraining(), "weighting", weighting);
            ends_in_the_same_bytes(steps, |stage, listener| {
                stage.pretrain(&dataset, &pretrained, listener)
            });
        }
    }
}

/// With the default `dwa` the history of losses is that of epochs.
#[test]
fn losses_of_epochs_go_on_from_a_checkpoint() {
    let dataset = tiny_retail::dataset(60);
    let params = with(finetuning(), "weighting", "dwa");
    ends_in_the_same_bytes(&[9, 16, 20], |stage, listener| {
        stage.finetune(&dataset, &params, None, listener)
    });
}

#[test]
fn weightings_give_the_same_bytes_on_any_number_of_threads() {
    let dataset = tiny_retail::dataset(60);
    for weighting in weightings() {
        let run = |threads| {
            on_threads(threads, || {
                let tuned = Stage::new();
                let params = with(finetuning(), "weighting", weighting.clone());
                let mut listener = Listener::default();
                tuned
                    .finetune(&dataset, &params, None, &mut listener)
                    .unwrap();
                tuned.digests()
            })
        };
        let one = run(1);
        assert_eq!(one, run(2), "{weighting}");
        assert_eq!(one, run(3), "{weighting}");
    }
}

#[test]
fn checkpoints_are_saved_by_steps_and_by_time() {
    let dataset = tiny_retail::dataset(60);
    let saved = |params: Value| {
        let stage = Stage::new();
        let mut listener = stage.listener();
        stage.pretrain(&dataset, &params, &mut listener).unwrap();
        listener.saved
    };
    let by_steps = saved(with(pretrain_params(), "checkpoint_every", 5));
    // At the end of each epoch too.
    assert_eq!(by_steps, [5, 8, 10, 15, 16, 20, 24]);
    let by_time = saved(with(pretrain_params(), "checkpoint_seconds", 0));
    let mut steps: Vec<u64> = (1..=STEPS).collect();
    steps.extend([8, 16, 24]);
    steps.sort_unstable();
    assert_eq!(by_time, steps);
}

#[test]
fn a_checkpoint_of_another_job_is_told_and_training_begins_anew() {
    let dataset = tiny_retail::dataset(60);
    let (stage, whole) = (Stage::new(), Stage::new());
    let mut first = Listener {
        stop_after: Some(5),
        ..stage.listener()
    };
    let other = with(pretrain_params(), "seed", 6);
    assert!(stage.pretrain(&dataset, &other, &mut first).is_err());
    let mut second = stage.listener();
    stage
        .pretrain(&dataset, &pretrain_params(), &mut second)
        .unwrap();
    assert_eq!(
        second.warnings,
        ["the checkpoint cannot be used, so training begins anew: it is of other params or inputs"]
    );
    whole
        .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
        .unwrap();
    assert_eq!(stage.digests(), whole.digests());
}

#[test]
fn a_truncated_checkpoint_is_told_and_training_begins_anew() {
    let dataset = tiny_retail::dataset(60);
    let whole = Stage::new();
    whole
        .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
        .unwrap();
    for file in ["weights.safetensors", "optimizer.safetensors", "state.json"] {
        let stage = Stage::new();
        let mut first = Listener {
            stop_after: Some(5),
            ..stage.listener()
        };
        assert!(
            stage
                .pretrain(&dataset, &pretrain_params(), &mut first)
                .is_err()
        );
        let path = stage.path("checkpoint/state-5").join(file);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let mut second = stage.listener();
        stage
            .pretrain(&dataset, &pretrain_params(), &mut second)
            .unwrap();
        assert!(
            second.warnings[0].contains("the checkpoint cannot be used"),
            "{:?}",
            second.warnings
        );
        assert_eq!(stage.digests(), whole.digests(), "{file}");
    }
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let dataset = tiny_retail::dataset(60);
    let run = |threads| {
        on_threads(threads, || {
            let (pretrained, tuned) = (Stage::new(), Stage::new());
            pretrained
                .pretrain(&dataset, &pretraining(), &mut Listener::default())
                .unwrap();
            let encoder = pretrained.path("encoder");
            let mut listener = Listener::default();
            tuned
                .finetune(&dataset, &finetuning(), Some(&encoder), &mut listener)
                .unwrap();
            (pretrained.digests(), tuned.digests())
        })
    };
    let one = run(1);
    assert_eq!(one.0.len() + one.1.len(), 7);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

#[test]
fn another_seed_gives_other_bytes() {
    let dataset = tiny_retail::dataset(40);
    let run = |seed| {
        let stage = Stage::new();
        stage
            .pretrain(
                &dataset,
                &with(pretrain_params(), "seed", seed),
                &mut Listener::default(),
            )
            .unwrap();
        stage.digests()["encoder/weights.safetensors"].clone()
    };
    assert_ne!(run(1), run(2));
}
