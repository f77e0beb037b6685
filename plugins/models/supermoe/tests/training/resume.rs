//! The same bytes for any stop, any number of threads; other bytes for another seed.

use supermoe_trainer::TrainError;

use crate::stage::{Listener, Stage, finetune_params, on_threads, pretrain_params, with};
use crate::tiny_retail;

#[test]
fn a_stop_at_any_step_and_a_new_start_end_in_the_same_bytes() {
    let dataset = tiny_retail::dataset(60);
    let whole = Stage::new();
    whole
        .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
        .unwrap();
    // Within the first epoch, at its end (8 steps), within a window of metrics, at the very end.
    for stop_after in [1, 8, 13, 24] {
        let stopped = Stage::new();
        let mut first = Listener {
            stop_after: Some(stop_after),
            ..stopped.listener()
        };
        let end = stopped.pretrain(&dataset, &pretrain_params(), &mut first);
        assert!(matches!(end, Err(TrainError::Stopped { .. })), "{end:?}");
        let mut second = stopped.listener();
        stopped
            .pretrain(&dataset, &pretrain_params(), &mut second)
            .unwrap();
        assert_eq!(second.warnings, Vec::<String>::new());
        assert_eq!(
            stopped.digests(),
            whole.digests(),
            "stopped after {stop_after}"
        );
    }
}

#[test]
fn fine_tuning_goes_on_from_a_checkpoint_too() {
    let dataset = tiny_retail::dataset(60);
    let whole = Stage::new();
    let params = with(
        finetune_params(),
        "freeze",
        serde_json::json!({ "until_epoch": 1 }),
    );
    whole
        .finetune(&dataset, &params, None, &mut Listener::default())
        .unwrap();
    for stop_after in [3, 8, 21] {
        let stopped = Stage::new();
        let mut first = Listener {
            stop_after: Some(stop_after),
            ..stopped.listener()
        };
        assert!(
            stopped
                .finetune(&dataset, &params, None, &mut first)
                .is_err()
        );
        stopped
            .finetune(&dataset, &params, None, &mut stopped.listener())
            .unwrap();
        assert_eq!(
            stopped.digests(),
            whole.digests(),
            "stopped after {stop_after}"
        );
    }
}

#[test]
fn a_process_that_is_killed_repeats_the_steps_since_its_last_checkpoint() {
    // A kill leaves the checkpoint of some step behind, which `checkpoint_every` saved: here the stop
    // comes after step 5, and the state of step 4 is put back.
    let dataset = tiny_retail::dataset(60);
    let params = with(pretrain_params(), "checkpoint_every", 4);
    let whole = Stage::new();
    whole
        .pretrain(&dataset, &params, &mut Listener::default())
        .unwrap();
    let killed = Stage::new();
    let mut first = Listener {
        stop_after: Some(4),
        ..killed.listener()
    };
    assert!(killed.pretrain(&dataset, &params, &mut first).is_err());
    std::fs::create_dir(killed.path("checkpoint/unfinished")).unwrap();
    std::fs::write(
        killed.path("checkpoint/unfinished/weights.safetensors"),
        b"half",
    )
    .unwrap();
    killed
        .pretrain(&dataset, &params, &mut killed.listener())
        .unwrap();
    assert_eq!(killed.digests(), whole.digests());
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
                .pretrain(&dataset, &pretrain_params(), &mut Listener::default())
                .unwrap();
            let encoder = pretrained.path("encoder");
            tuned
                .finetune(
                    &dataset,
                    &finetune_params(),
                    Some(&encoder),
                    &mut Listener::default(),
                )
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
