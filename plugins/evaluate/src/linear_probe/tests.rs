//! The probe finds minima: against lines, slopes and finite differences.

use super::*;

/// Deviates that look random.
fn draw(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    (0..count).map(|_| next() + next() + next() - 1.5).collect()
}

fn slopes(probe: &LinearProbe, features: &[f64], targets: &[f64], l2: f64) -> Vec<f64> {
    let problem = Problem {
        features,
        targets,
        width: probe.width,
        loss: probe.loss,
        l2,
    };
    problem.at(&probe.weights).gradient
}

#[test]
fn a_line_is_found_to_the_last_digit() {
    let features = draw(600, 1);
    let targets: Vec<f64> = features
        .chunks_exact(2)
        .map(|x| 3.0 * x[0] - x[1] + 0.5)
        .collect();
    let probe = LinearProbe::fit(&features, &targets, 2, Loss::Squares, 1e-9);
    assert!(probe.converged);
    for (found, expected) in probe.weights.iter().zip([3.0, -1.0, 0.5]) {
        assert!((found - expected).abs() < 1e-9, "{:?}", probe.weights);
    }
}

#[test]
fn the_minimum_has_no_slope() {
    let features = draw(4 * 1500, 2);
    let noise = draw(1500, 3);
    let rows = || features.chunks_exact(4).zip(&noise);
    let two: Vec<f64> = rows()
        .map(|(x, e)| f64::from(u8::from(x[0] - 2.0 * x[3] + e > 0.3)))
        .collect();
    let three: Vec<f64> = rows()
        .map(|(x, e)| {
            if x[1] + e > 0.2 {
                0.0
            } else if x[2] > 0.0 {
                1.0
            } else {
                2.0
            }
        })
        .collect();
    let softmax = Loss::Softmax { classes: 3 };
    for (targets, loss) in [
        (&two, Loss::Logistic),
        (&three, softmax),
        (&two, Loss::Squares),
    ] {
        let probe = LinearProbe::fit(&features, targets, 4, loss, 1.0);
        assert!(probe.converged);
        let slopes = slopes(&probe, &features, targets, 1.0);
        assert!(
            slopes.iter().all(|slope| slope.abs() < 1e-7),
            "{loss:?}: {slopes:?}"
        );
        let sum: f64 = probe.predict(&features[..4]).iter().sum();
        assert!(loss != softmax || (sum - 1.0).abs() < 1e-12);
    }
}

#[test]
fn gradients_are_those_of_the_value() {
    let (features, weights) = (draw(3 * 40, 4), draw(3 * 4, 5));
    let targets: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
    let problem = Problem {
        features: &features,
        targets: &targets,
        width: 3,
        loss: Loss::Softmax { classes: 3 },
        l2: 0.7,
    };
    let gradient = problem.at(&weights).gradient;
    for i in 0..weights.len() {
        let moved = |by: f64| {
            let mut weights = weights.clone();
            weights[i] += by;
            problem.at(&weights).value
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(
            (slope - gradient[i]).abs() < 1e-8,
            "{slope} {}",
            gradient[i]
        );
    }
}

#[test]
fn hard_features_converge_too() {
    // A constant column, two equal ones, and labels that a line separates.
    let base = draw(2000, 6);
    let features: Vec<f64> = base.iter().flat_map(|&x| [x, x, 0.0, 1e-3 * x]).collect();
    let targets: Vec<f64> = base.iter().map(|&x| f64::from(u8::from(x > 0.0))).collect();
    let probe = LinearProbe::fit(&features, &targets, 4, Loss::Logistic, 1.0);
    assert!(probe.converged);
    let right = features.chunks_exact(4).zip(&targets);
    assert!(
        right
            .into_iter()
            .all(|(x, y)| (probe.predict(x)[0] > 0.5) == (*y > 0.5) || x[0].abs() < 0.05)
    );
}

#[test]
fn threads_change_no_bit() {
    let features = draw(8 * 3000, 7);
    let targets: Vec<f64> = features
        .chunks_exact(8)
        .map(|x| f64::from(u8::from(x[0] * x[1] > 0.0)))
        .collect();
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| LinearProbe::fit(&features, &targets, 8, Loss::Logistic, 1.0))
    };
    assert_eq!(fit(1), fit(3));
}
