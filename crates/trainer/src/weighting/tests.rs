//! Steps of each method on the toy network, and what is refused.

use indexmap::IndexMap;
use supermoe_channels::Dataset;
use supermoe_nn::Group;

use super::descent::{SHARED, Weighing};
use super::toy::Toy;
use super::*;
use crate::tiny_retail;

fn all_methods() -> Vec<MethodParams> {
    vec![
        MethodParams::Equal,
        MethodParams::Fixed(weights(&[("buys", 0.5), ("returns", 0.5)])),
        MethodParams::Uncertainty,
        MethodParams::GradNorm(GradNormParams::default()),
        MethodParams::Dwa(DwaParams::default()),
        MethodParams::PcGrad,
        MethodParams::BilevelAuc(BilevelAucParams::default()),
    ]
}

fn weights(of: &[(&str, f64)]) -> IndexMap<String, f64> {
    let of = of
        .iter()
        .map(|(name, weight)| ((*name).to_owned(), *weight));
    of.collect()
}

/// One step on the first samples.
fn first_step(dataset: &Dataset, method: &MethodParams) -> Weighted {
    let mut toy = Toy::new(dataset, method);
    let batch = toy.batch(&toy.training_samples(24));
    let step = toy.step(&batch, 0, |weighting, step| weighting.step(step));
    step.unwrap().unwrap()
}

fn relative_difference(a: &Descent, b: &Descent) -> f64 {
    let all = [SHARED.as_slice(), &[Group::Towers]].concat();
    let mut difference = a.gradients.clone();
    difference.add_scaled(&b.gradients, -1.0, &all);
    let square = |of: &supermoe_nn::optim::HostGradients| of.dot(of, &all);
    (square(&difference) / square(&b.gradients)).sqrt()
}

/// Before they have learned anything, all methods descend the mean of the losses and the model's own
/// terms; a parameter that one adds, and what PCGrad projects away, aside.
#[test]
fn all_methods_begin_with_equal_weights() {
    let dataset = tiny_retail::dataset(20);
    let equal = first_step(&dataset, &MethodParams::Equal);
    let parts = equal.descent.task_losses.iter().map(|(_, loss)| 0.5 * loss);
    let own = 0.1 * equal.descent.other_losses[0].1;
    assert!((equal.descent.loss - parts.sum::<f32>() - own).abs() < 1e-6);
    for method in all_methods() {
        let step = first_step(&dataset, &method);
        assert_eq!(step.descent.task_losses.len(), 2);
        assert!(
            (step.descent.loss - equal.descent.loss).abs() < 1e-6,
            "{method:?}"
        );
        let lambda: Vec<f64> = step.metrics.iter().map(|(_, value)| *value).collect();
        match method {
            MethodParams::Uncertainty => assert_eq!(lambda, [1.0, 1.0]),
            MethodParams::PcGrad => {
                assert_eq!(step.metrics[0].0, "train/gradient_conflicts");
                assert!(lambda[0] == 0.0 || lambda[0] == 1.0);
                if lambda[0] == 0.0 {
                    assert!(relative_difference(&step.descent, &equal.descent) < 1e-5);
                }
            }
            MethodParams::Equal | MethodParams::Fixed(_) => {
                assert!(lambda.is_empty());
                assert!(relative_difference(&step.descent, &equal.descent) < 1e-6);
            }
            _ => {
                assert_eq!(lambda, [1.0, 1.0], "{method:?}");
                assert_eq!(step.metrics[1].0, "train/returns/lambda");
                assert!(relative_difference(&step.descent, &equal.descent) < 1e-6);
            }
        }
    }
}

#[test]
fn fixed_weights_are_factors_as_they_are() {
    let dataset = tiny_retail::dataset(20);
    let method = MethodParams::Fixed(weights(&[("returns", 0.25), ("buys", 3.0)]));
    let step = first_step(&dataset, &method).descent;
    let losses = &step.task_losses;
    let expected = 3.0 * losses[0].1 + 0.25 * losses[1].1 + 0.1 * step.other_losses[0].1;
    assert!((step.loss - expected).abs() < 1e-5);
}

/// With s = 0 the gradient of loss / 2 = sum_k (exp(-s_k) l_k + s_k / 2) / 2 to s_k is (1/2 - l_k) / 2.
#[test]
fn log_variances_have_the_gradient_of_the_whole_loss() {
    let dataset = tiny_retail::dataset(20);
    let step = first_step(&dataset, &MethodParams::Uncertainty).descent;
    let gradient = step.gradients.parameters().last().flatten().unwrap();
    for ((_, loss), gradient) in step.task_losses.iter().zip(gradient) {
        assert!((gradient - 0.5 * (0.5 - loss)).abs() < 1e-6);
    }
    // At another s the loss itself has the differences of the gradient.
    let mut toy = Toy::new(&dataset, &MethodParams::Uncertainty);
    let batch = toy.batch(&toy.training_samples(24));
    let mut at = |s: [f32; 2]| {
        let parameters = toy.network.parts_mut().0;
        parameters.set("weighting.log_variances", &s).unwrap();
        let step = toy.step(&batch, 0, |weighting, step| weighting.step(step));
        step.unwrap().unwrap()
    };
    let here = at([0.3, -0.4]);
    assert!((here.metrics[0].1 - f64::from((-0.3f32).exp())).abs() < 1e-6);
    let gradient: Vec<f32> = here
        .descent
        .gradients
        .parameters()
        .last()
        .flatten()
        .unwrap()
        .to_vec();
    let by_differences = [
        (at([0.31, -0.4]).descent.loss - at([0.29, -0.4]).descent.loss) / 0.02,
        (at([0.3, -0.39]).descent.loss - at([0.3, -0.41]).descent.loss) / 0.02,
    ];
    for (gradient, expected) in gradient.iter().zip(by_differences) {
        assert!((gradient - expected).abs() < 1e-3, "{gradient} {expected}");
    }
}

/// Steps on batches in which no sample has a label of `returns`.
#[test]
fn a_task_without_samples_adds_nothing() {
    let dataset = tiny_retail::dataset_with(20, |_, samples| {
        samples.labels[1][..24].fill(f32::NAN);
    });
    for method in all_methods() {
        let step = first_step(&dataset, &method).descent;
        assert_eq!(step.task_losses.len(), 1, "{method:?}");
        // weight, towers.buys.*, towers.returns.*, log-variances.
        let gradients: Vec<_> = step.gradients.parameters().flatten().collect();
        assert!(gradients[0].iter().any(|g| *g != 0.0));
        assert!(
            gradients[3..5]
                .iter()
                .all(|of| of.iter().all(|g| *g == 0.0)),
            "{method:?}"
        );
        if let Some(of_variances) = gradients.get(5) {
            assert!(of_variances[0] != 0.0 && of_variances[1] == 0.0);
        }
        let expected = 0.5 * step.task_losses[0].1 + 0.1 * step.other_losses[0].1;
        assert!((step.loss - expected).abs() < 1e-6, "{method:?}");
    }
    let none = tiny_retail::dataset_with(20, |_, samples| {
        samples
            .labels
            .iter_mut()
            .for_each(|labels| labels[..24].fill(f32::NAN));
    });
    for method in all_methods() {
        let mut toy = Toy::new(&none, &method);
        let batch = toy.batch(&toy.training_samples(24));
        let step = toy.step(&batch, 0, |weighting, step| weighting.step(step));
        assert!(step.unwrap().is_none());
    }
}

/// The parts of a whole: the gradients of single tasks sum to that of both.
#[test]
fn gradients_of_tasks_are_those_of_the_loss() {
    let dataset = tiny_retail::dataset(20);
    let mut toy = Toy::new(&dataset, &MethodParams::Equal);
    let batch = toy.batch(&toy.training_samples(24));
    toy.step(&batch, 0, |_, step| {
        let parts = step.task_gradients(&[0, 1]).unwrap();
        let weighing = Weighing {
            factor: &|task| [2.0, 0.5][task],
            others: 0.0,
        };
        let whole = step.descend(&[0, 1], &weighing, |_, _| Ok(None));
        let mut difference = whole.unwrap().unwrap().gradients;
        let square = difference.dot(&difference, &SHARED);
        difference.add_scaled(&parts[0].2, -2.0, &SHARED);
        difference.add_scaled(&parts[1].2, -0.5, &SHARED);
        assert!(difference.dot(&difference, &SHARED) < 1e-10 * square);
        assert!(parts[0].2.dot(&parts[0].2, &[Group::Towers]) == 0.0);
    });
}

#[test]
fn weights_move_at_their_interval_alone() {
    let dataset = tiny_retail::dataset(40);
    for method in [
        MethodParams::GradNorm(GradNormParams {
            interval: 3,
            ..GradNormParams::default()
        }),
        MethodParams::BilevelAuc(BilevelAucParams {
            interval: 3,
            batch_size: 16,
            ..BilevelAucParams::default()
        }),
    ] {
        let mut toy = Toy::new(&dataset, &method);
        let batch = toy.batch(&toy.training_samples(24));
        let before = toy.network.snapshot().unwrap();
        let mut lambda = Vec::new();
        for number in 0..4 {
            let step = toy.step(&batch, number, |weighting, step| weighting.step(step));
            let metrics = step.unwrap().unwrap().metrics;
            lambda.push([metrics[0].1, metrics[1].1]);
        }
        assert_eq!(lambda[..2], [[1.0, 1.0]; 2]);
        assert_ne!(lambda[2], [1.0, 1.0]);
        assert_eq!(lambda[3], lambda[2]);
        assert!((lambda[3][0] + lambda[3][1] - 2.0).abs() < 1e-9);
        assert_eq!(
            toy.network.snapshot().unwrap(),
            before,
            "a look-ahead leaves no trace"
        );
        // A state goes on where it was.
        let fresh = Toy::new(&dataset, &method).weighting;
        let resumed = fresh.resumed(&toy.weighting.save()).unwrap();
        assert_eq!(resumed.save(), toy.weighting.save());
        assert!(fresh.resumed(&State::default()).is_err());
    }
}

fn refusal(of: &[(&str, f64)]) -> String {
    let task = |name: &str| WeightedTask {
        name: name.to_owned(),
        likelihood: Likelihood::Classes,
    };
    let tasks = [task("buys"), task("returns")];
    fixed(&weights(of), &tasks).unwrap_err().to_string()
}

#[test]
fn fixed_weights_that_do_not_fit_are_told() {
    assert_eq!(
        refusal(&[("buy", 1.0)]),
        "`weighting.fixed`: `buy` is none of what is learned here; did you mean `buys`?"
    );
    assert_eq!(
        refusal(&[("zzz", 1.0)]),
        "`weighting.fixed`: `zzz` is none of what is learned here; those are buys, returns"
    );
    assert_eq!(
        refusal(&[("buys", 1.0)]),
        "`weighting.fixed`: `returns` has no weight"
    );
    assert_eq!(
        refusal(&[("buys", 1.0), ("returns", -0.5)]),
        "`weighting.fixed`: `returns`: expected a weight of at least 0, found -0.5"
    );
    assert!(refusal(&[("buys", 1.0), ("returns", f64::NAN)]).contains("found NaN"));
    assert_eq!(
        refusal(&[("buys", 0.0), ("returns", 0.0)]),
        "`weighting.fixed`: every weight is 0, so nothing is learned from; give at least one above 0"
    );
}
