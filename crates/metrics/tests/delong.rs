//! DeLong's variance and test against the definition, the numbers of scipy and the law of large numbers.

use proptest::prelude::*;
use supermoe_metrics::{MetricError, Placements, auc};

/// Each third of 24 is positive; scores of two models with ties.
const A: [f64; 24] = [
    0.2, -1.3, -0.2, 1.4, 1.1, 0.1, 0.4, -0.8, 0.7, 2.6, 0.3, -1.2, 0.0, 1.6, 0.2, -0.7, -0.1,
    -1.2, 0.4, -0.5, -0.7, 1.6, -0.1, -0.6,
];
const B: [f64; 24] = [
    0.7, -0.1, -1.3, 0.8, -0.1, -0.1, -0.4, -0.4, 0.3, 1.4, -0.6, -0.9, -0.5, -0.1, 0.3, -0.8, 0.8,
    -0.1, -0.9, -0.1, -1.1, 1.1, -0.0, -1.7,
];

fn labels() -> Vec<bool> {
    (0..24).map(|i| i % 3 == 0).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
}

/// AUC by scikit-learn's `roc_auc_score`, covariances by numpy's `cov` of the components of the
/// Mann-Whitney kernel, the test by scipy's `norm`.
#[test]
fn equal_to_numpy_and_scipy() {
    let [a, b] = [A, B].map(|scores| Placements::new(&scores, &labels()).unwrap());
    close(a.auc(), 0.769_531_25);
    close(b.auc(), 0.628_906_25);
    close(a.variance(), 0.010_963_367_280_505_952);
    close(b.variance(), 0.020_726_667_131_696_43);
    let interval = a.interval(0.95).unwrap().unwrap();
    assert!((interval.low - 0.564_311_07).abs() < 1e-8);
    assert!((interval.high - 0.974_751_43).abs() < 1e-8);
    let comparison = a.compare(&b, 0.9).unwrap();
    assert!((comparison.p_value.unwrap() - 0.255_108_021_189).abs() < 1e-10);
    let interval = comparison.interval.unwrap();
    assert!((interval.low - -0.062_627_61).abs() < 1e-8);
    assert!((interval.high - 0.343_877_61).abs() < 1e-8);
}

/// The definition in O(n²): (co)variance of the kernel's means by positive and by negative.
fn covariance(a: &[f64], b: &[f64], labels: &[bool]) -> f64 {
    let of_class = |class: bool| (0..labels.len()).filter(move |&i| labels[i] == class);
    let kernel = |scores: &[f64], i: usize, j: usize| match scores[i].total_cmp(&scores[j]) {
        _ if scores[i] == scores[j] => 0.5,
        std::cmp::Ordering::Greater => 1.0,
        _ => 0.0,
    };
    let component = |scores: &[f64], class: bool| -> Vec<f64> {
        let means = of_class(class).map(|i| {
            let against: Vec<f64> = of_class(!class)
                .map(|j| {
                    if class {
                        kernel(scores, i, j)
                    } else {
                        kernel(scores, j, i)
                    }
                })
                .collect();
            against.iter().sum::<f64>() / against.len() as f64
        });
        means.collect()
    };
    [true, false]
        .map(|class| {
            let (a, b) = (component(a, class), component(b, class));
            let count = a.len() as f64;
            let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
            let (of_a, of_b) = (mean(&a), mean(&b));
            let products = a.iter().zip(&b).map(|(x, y)| (x - of_a) * (y - of_b));
            products.sum::<f64>() / (count - 1.0) / count
        })
        .iter()
        .sum()
}

/// Two models with many ties, and labels; at least two of each class.
fn samples() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, Vec<bool>)> {
    let sample = (0u32..12, 0u32..12, any::<bool>());
    prop::collection::vec(sample, 4..40)
        .prop_map(|samples| {
            let score = |x: u32| f64::from(x) / 12.0;
            let a = samples.iter().map(|sample| score(sample.0)).collect();
            let b = samples.iter().map(|sample| score(sample.1)).collect();
            (a, b, samples.iter().map(|sample| sample.2).collect())
        })
        .prop_filter("two of each class", |(_, _, labels): &(_, _, Vec<bool>)| {
            let positives = labels.iter().filter(|label| **label).count();
            positives >= 2 && labels.len() - positives >= 2
        })
}

proptest! {
    #[test]
    fn equal_to_the_definition((a, b, labels) in samples()) {
        let [of_a, of_b] = [&a, &b].map(|scores| Placements::new(scores, &labels).unwrap());
        prop_assert_eq!(Ok(of_a.auc()), auc(&a, &labels));
        prop_assert!((of_a.variance() - covariance(&a, &a, &labels)).abs() < 1e-12);
        let variance = covariance(&a, &a, &labels) + covariance(&b, &b, &labels)
            - 2.0 * covariance(&a, &b, &labels);
        let comparison = of_a.compare(&of_b, 0.95).unwrap();
        let error = comparison.interval.map_or(0.0, |interval| interval.standard_error);
        prop_assert!((error.powi(2) - variance).abs() < 1e-12);
        let turned = of_b.compare(&of_a, 0.95).unwrap();
        let p_values = turned.p_value.zip(comparison.p_value);
        prop_assert_eq!(p_values.is_some(), comparison.p_value.is_some());
        prop_assert!(p_values.is_none_or(|(a, b)| (a - b).abs() < 1e-12));
        prop_assert_eq!(turned.difference, -comparison.difference);
    }

    /// A rising function of the scores changes nothing, and a mean of a model with itself is the model.
    #[test]
    fn only_ranks_matter((a, _, labels) in samples()) {
        let placements = Placements::new(&a, &labels).unwrap();
        let cubes: Vec<f64> = a.iter().map(|x| x.powi(3) * 1e3 - 7.0).collect();
        prop_assert_eq!(&Placements::new(&cubes, &labels).unwrap(), &placements);
        let mean = Placements::mean(&[placements.clone(), placements.clone()]).unwrap();
        prop_assert_eq!(mean, placements);
    }

    /// The mean of two models has the variance of a mean of two dependent numbers.
    #[test]
    fn a_mean_of_models_has_their_covariance((a, b, labels) in samples()) {
        let models = [&a, &b].map(|scores| Placements::new(scores, &labels).unwrap());
        let expected = (covariance(&a, &a, &labels)
            + covariance(&b, &b, &labels)
            + 2.0 * covariance(&a, &b, &labels)) / 4.0;
        let mean = Placements::mean(&models).unwrap();
        prop_assert!((mean.variance() - expected).abs() < 1e-12);
    }
}

#[test]
fn without_spread_nothing_is_claimed() {
    let labels = [true, true, false, false];
    let perfect = Placements::new(&[4.0, 3.0, 2.0, 1.0], &labels).unwrap();
    let reversed = Placements::new(&[1.0, 2.0, 3.0, 4.0], &labels).unwrap();
    assert_eq!(perfect.interval(0.95), Ok(None));
    let same = perfect.compare(&perfect, 0.95).unwrap();
    assert_eq!(
        (same.difference, same.interval, same.p_value),
        (0.0, None, Some(1.0))
    );
    let other = perfect.compare(&reversed, 0.95).unwrap();
    assert_eq!(
        (other.difference, other.interval, other.p_value),
        (1.0, None, None)
    );
    assert_eq!(Placements::mean(&[]), None);
}

#[test]
fn what_has_no_variance_says_why() {
    let error = Placements::new(&[0.1, 0.2, 0.3], &[true, false, false]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "of 3 labels 1 are 1; a variance needs at least two of each class"
    );
    let one = Placements::new(&[0.1, 0.2], &[true, true]).unwrap_err();
    assert!(matches!(one, MetricError::OneClass { .. }));
    let labels = [true, true, false, false];
    let placements = Placements::new(&[0.1, 0.2, 0.3, 0.0], &labels).unwrap();
    let error = placements.interval(1.0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the confidence level asked for is 1; expected more than 0 and less than 1"
    );
    let fewer = Placements::new(
        &[0.1, 0.2, 0.3, 0.4, 0.5],
        &[true, true, true, false, false],
    );
    assert!(matches!(
        placements.compare(&fewer.unwrap(), 0.95),
        Err(MetricError::Lengths { .. })
    ));
}
