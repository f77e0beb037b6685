//! The hypergradient against brute force: train one step with each weight a little larger and smaller,
//! and rank the validation batch.

use supermoe_channels::{Dataset, Split};
use supermoe_nn::optim::HostGradients;
use supermoe_nn::{OwnedTape, read_scalar};

use super::*;
use crate::multi_task::LabelledBatch;
use crate::tiny_retail;
use crate::weighting::descent::Weighing;
use crate::weighting::params::MethodParams;
use crate::weighting::toy::{RATES, Toy};

/// L_val after one real step with these weights: parameters and rows of the table move, and come back.
fn by_brute_force(
    toy: &mut Toy<'_>,
    batch: &LabelledBatch,
    validation: &LabelledBatch,
    lambda: &[f64],
) -> f64 {
    let before = toy.network.snapshot().unwrap();
    let rows = toy.rows(batch);
    let gradients: HostGradients = toy.step(batch, 0, |_, step| {
        let weighing = Weighing {
            factor: &|task| 0.5 * lambda[task] as f32,
            others: 0.0,
        };
        let tasks: Vec<usize> = (0..lambda.len()).collect();
        let descent = step.descend(&tasks, &weighing, |_, _| Ok(None));
        descent.unwrap().unwrap().gradients
    });
    let (parameters, mut tables) = toy.network.parts_mut();
    let (name, mut weight) = {
        let weight = parameters.iter().next().unwrap();
        (weight.name().to_owned(), weight.read())
    };
    let of_weight = gradients.parameters().next().flatten().unwrap();
    for (value, gradient) in weight.iter_mut().zip(of_weight) {
        *value -= RATES.encoder.unwrap() * gradient;
    }
    parameters.set(&name, &weight).unwrap();
    let mut values = tables[0].values().unwrap();
    let width = tables[0].dim();
    let of_rows = gradients.rows().next().flatten().unwrap();
    for (&row, gradient) in rows.channels[0]
        .rows
        .iter()
        .zip(of_rows.chunks_exact(width))
    {
        for (value, gradient) in values[row as usize * width..].iter_mut().zip(gradient) {
            *value -= RATES.tables.unwrap() * gradient;
        }
    }
    tables[0].set_values(&values).unwrap();
    let loss = surrogate(toy, validation);
    toy.network.restore(&before).unwrap();
    loss
}

fn surrogate(toy: &Toy<'_>, validation: &LabelledBatch) -> f64 {
    let rows = toy.rows(validation);
    let mut tape = OwnedTape::default();
    let loss = toy
        .objective
        .ranking_loss(&toy.network, &rows, validation, &mut tape);
    f64::from(read_scalar(&loss.unwrap().unwrap()))
}

fn validation_batch(toy: &Toy<'_>, dataset: &Dataset) -> LabelledBatch {
    let halves = crate::weighting::ValidationHalves::of(dataset);
    toy.batch(&halves.learning)
}

/// At each of the weights of tasks.
fn compare_with_brute_force(dataset: &Dataset, lambdas: &[&[f64]]) {
    let mut toy = Toy::new(dataset, &MethodParams::Equal);
    let batch = toy.batch(&toy.training_samples(48));
    let validation = validation_batch(&toy, dataset);
    let tasks: Vec<usize> = (0..dataset.schema().tasks.len()).collect();
    for &lambda in lambdas {
        let found = toy.step(&batch, 0, |_, step| {
            hypergradient(step, &tasks, lambda, 0.5, &validation)
        });
        let found = found.unwrap().unwrap();
        let mut by_difference = |task: usize| {
            const BY: f64 = 0.02;
            let mut at = |by: f64| {
                let mut lambda = lambda.to_vec();
                lambda[task] += by;
                by_brute_force(&mut toy, &batch, &validation, &lambda)
            };
            (at(BY) - at(-BY)) / (2.0 * BY)
        };
        let by_differences: Vec<f64> = tasks.iter().map(|&task| by_difference(task)).collect();
        let scale = by_differences
            .iter()
            .fold(0.0f64, |scale, of| scale.max(of.abs()));
        assert!(
            scale > 1e-4,
            "a toy whose weights do not matter: {by_differences:?}"
        );
        for (found, expected) in found.iter().zip(by_differences) {
            assert!(
                (found - expected).abs() < 0.01 * scale,
                "at {lambda:?}: {found}, by differences {expected}"
            );
        }
    }
}

#[test]
fn the_hypergradient_is_that_of_brute_force() {
    let lambdas: [&[f64]; 3] = [&[1.0, 1.0], &[1.7, 0.3], &[0.4, 1.6]];
    compare_with_brute_force(&tiny_retail::dataset(60), &lambdas);
}

/// Two binary tasks, one of classes, one of a number.
#[test]
fn the_hypergradient_of_tasks_of_all_kinds_is_that_of_brute_force() {
    let dataset = tiny_retail::dataset_of_all_kinds(60);
    let lambdas: [&[f64]; 2] = [&[1.0; 4], &[0.3, 1.6, 0.7, 1.4]];
    compare_with_brute_force(&dataset, &lambdas);
}

/// Where one task alone has labels in the training batch, only its weight has a gradient.
#[test]
fn a_task_without_samples_has_no_hypergradient() {
    let dataset = tiny_retail::dataset_with(60, |_, samples| {
        samples.labels[1][..48].fill(f32::NAN);
    });
    let mut toy = Toy::new(&dataset, &MethodParams::Equal);
    let batch = toy.batch(&toy.training_samples(48));
    let validation = validation_batch(&toy, &dataset);
    let found = toy.step(&batch, 0, |_, step| {
        hypergradient(step, &[0], &[1.0, 1.0], 0.5, &validation)
    });
    let found = found.unwrap().unwrap();
    assert!(found[0] != 0.0 && found[1] == 0.0);
}

/// Weights that follow the hypergradient rank the validation batch better after the step.
#[test]
fn updates_lower_the_surrogate() {
    let dataset = tiny_retail::dataset(60);
    let params = BilevelAucParams {
        interval: 1,
        learning_rate: 0.1,
        batch_size: 1000,
    };
    let mut toy = Toy::new(&dataset, &MethodParams::Equal);
    let batch = toy.batch(&toy.training_samples(48));
    let validation = validation_batch(&toy, &dataset);
    let before = by_brute_force(&mut toy, &batch, &validation, &[1.0, 1.0]);
    let mut bilevel = BilevelAuc::new(params, 2);
    for _ in 0..20 {
        toy.step(&batch, 0, |_, step| bilevel.update(step, &[0, 1], 0.5))
            .unwrap();
    }
    let lambda = bilevel.lambda();
    assert!((lambda[0] - lambda[1]).abs() > 0.5, "{lambda:?}");
    let after = by_brute_force(&mut toy, &batch, &validation, &lambda);
    assert!(after < before, "{after} {before} {lambda:?}");
}

/// A validation batch with nothing to rank moves nothing.
#[test]
fn nothing_to_rank_is_no_update() {
    let dataset = tiny_retail::dataset_with(60, |_, samples| {
        let splits = samples.split.clone();
        for labels in &mut samples.labels {
            let of_valid = labels
                .iter_mut()
                .zip(&splits)
                .filter(|(_, split)| **split == Split::Valid);
            of_valid.for_each(|(label, _)| *label = 1.0);
        }
    });
    let mut toy = Toy::new(&dataset, &MethodParams::Equal);
    let batch = toy.batch(&toy.training_samples(48));
    let mut bilevel = BilevelAuc::new(BilevelAucParams::default(), 2);
    let before = bilevel.clone();
    toy.step(&batch, 0, |_, step| bilevel.update(step, &[0, 1], 0.5))
        .unwrap();
    assert_eq!(bilevel, before);
}

#[test]
fn only_common_rows_have_a_product() {
    let ours = (&[1, 4, 7][..], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]);
    let theirs = (&[4, 5, 7][..], &[10.0, 1.0, 9.0, 9.0, 0.0, 2.0][..]);
    assert_eq!(product_of_rows(ours, theirs), 30.0 + 4.0 + 12.0);
    assert_eq!(product_of_rows((&[], &[]), theirs), 0.0);
}
