//! Training steps as the trainer writes them: they learn, and their bits do not depend on threads.

mod model;

use model::{Batch, Model};
use supermoe_nn::optim::LearningRates;
use supermoe_nn::threads;

fn trained(count: usize, steps: u64) -> Vec<u32> {
    let bits = threads::run(count, || {
        let mut model = Model::new(1);
        for step in 0..steps {
            model
                .step(&Batch::new(step as u32), step, &LearningRates::all(1e-3))
                .unwrap();
        }
        let mut bits = model.bits();
        bits.extend(model.scores(&Batch::new(99)).into_iter().map(f32::to_bits));
        bits
    });
    bits.unwrap()
}

#[test]
fn the_same_bits_with_one_two_and_three_threads() {
    let one = trained(1, 3);
    assert!(one == trained(2, 3), "two threads");
    assert!(one == trained(3, 3), "three threads");
}

#[test]
fn the_model_learns() {
    let mut model = Model::new(1);
    let mut losses = Vec::new();
    for step in 0..120 {
        losses.push(
            model
                .step(
                    &Batch::new(step % 20),
                    u64::from(step),
                    &LearningRates::all(3e-3),
                )
                .unwrap()
                .0,
        );
    }
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let (first, last) = (mean(&losses[..10]), mean(&losses[110..]));
    assert!(last < 0.6 * first, "the loss went from {first} to {last}");
}

#[test]
fn a_frozen_encoder_stays_and_the_tower_moves() {
    let mut model = Model::new(1);
    let before = model.parameters.snapshot();
    let table = model.table.snapshot().unwrap();
    let rates = LearningRates {
        encoder: None,
        towers: Some(0.01),
        tables: None,
    };
    model.step(&Batch::new(0), 0, &rates).unwrap();
    for (parameter, before) in model.parameters.iter().zip(&before) {
        assert_eq!(
            &parameter.read() == before,
            !parameter.name().starts_with("tower"),
            "{}",
            parameter.name()
        );
    }
    assert_eq!(model.table.snapshot().unwrap(), table);
}

#[test]
fn a_norm_that_is_not_finite_is_an_error_and_changes_nothing() {
    let mut model = Model::new(1);
    model.parameters.set("tower.bias", &[f32::NAN]).unwrap();
    let before = model.bits();
    let error = model
        .step(&Batch::new(0), 0, &LearningRates::all(1e-3))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "optimizer: norm of the gradients must be finite, but is NaN"
    );
    assert_eq!(model.bits(), before);
}
