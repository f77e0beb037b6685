//! Lifts against scipy and numpy: Welch's t-test, the delta method, CUPED as a regression, chi-square.

use proptest::prelude::*;
use supermoe_metrics::{Arm, Lift, SampleRatio, cuped_coefficient};

const BEFORE: [&[f64]; 2] = [
    &[11.9, 4.5, 2.3, 0.4, 1.6, 4.0, 2.7, 1.3, 4.7],
    &[6.5, 3.4, 4.9, 2.9, 11.2, 2.7, 1.5, 6.2],
];
const VALUES: [&[f64]; 2] = [
    &[10.3, 3.7, 3.1, 2.4, 2.2, 4.6, 3.3, 1.8, 5.5],
    &[6.1, 5.3, 8.9, 3.0, 11.8, 3.4, 2.2, 5.7],
];
const DENOMINATORS: [&[f64]; 2] = [
    &[2.0, 5.0, 3.0, 1.0, 5.0, 4.0, 5.0, 2.0, 6.0],
    &[2.0, 3.0, 3.0, 2.0, 2.0, 4.0, 2.0, 5.0],
];

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
}

/// `scipy.stats.ttest_ind(equal_var=False)` with its interval; the lift's by the delta method in numpy.
#[test]
fn means_are_compared_by_welch() {
    let [control, treatment] = VALUES.map(|values| Arm::mean(values).unwrap());
    let lift = Lift::of(&treatment, &control, 0.95).unwrap();
    close(lift.p_value.unwrap(), 0.255_367_309_842_249_53);
    let interval = lift.difference_interval.unwrap();
    close(interval.low, -1.380_051_594_338_002_7);
    close(interval.high, 4.780_051_594_338_003);
    close(lift.lift.unwrap(), 0.414_634_146_341_463_56);
    let interval = lift.lift_interval.unwrap();
    close(interval.standard_error, 0.408_313_587_377_284_74);
    close(interval.low, -0.464_087_869_125_729_1);
    close(interval.high, 1.293_356_161_808_656_2);
}

/// The textbook form of the delta method: var(Y)/d² + y² var(D)/d⁴ - 2 y cov(Y, D)/d³, by numpy.
#[test]
fn ratios_have_the_delta_methods_variance() {
    let expected = [
        (1.118_181_818_181_818_2, 0.091_653_575_575_438_86),
        (2.017_391_304_347_826, 0.256_499_124_247_595_74),
    ];
    for ((values, denominators), expected) in VALUES.iter().zip(DENOMINATORS).zip(expected) {
        let arm = Arm::ratio(values, denominators).unwrap();
        close(arm.estimate(), expected.0);
        close(arm.variance(), expected.1);
    }
}

/// CUPED's coefficient and difference are those of least squares on arms and covariate, by numpy.
#[test]
fn cuped_is_a_regression_on_the_pre_period() {
    let arms = VALUES.map(|values| Arm::mean(values).unwrap());
    let before = BEFORE.map(|values| Arm::mean(values).unwrap());
    let coefficient = cuped_coefficient(arms.iter().zip(&before)).unwrap();
    close(coefficient, 0.823_486_303_688_817_4);
    let everyone: Vec<f64> = BEFORE.concat();
    let everyone = Arm::mean(&everyone).unwrap().estimate();
    let adjusted: Vec<Arm> = (arms.iter().zip(&before))
        .map(|(arm, covariate)| arm.adjusted(covariate, coefficient, everyone))
        .collect();
    let lift = Lift::of(&adjusted[1], &adjusted[0], 0.95).unwrap();
    close(lift.difference, 0.710_672_704_596_074_8);
    let variances = [&arms[0], &arms[1], &adjusted[0], &adjusted[1]].map(Arm::variance);
    assert!(variances[2] + variances[3] < 0.2 * (variances[0] + variances[1]));
    let flat = [[1.0; 9].as_slice(), &[1.0; 8]].map(|values| Arm::mean(values).unwrap());
    assert_eq!(cuped_coefficient(arms.iter().zip(&flat)), None);
}

/// `scipy.stats.chisquare`.
#[test]
fn shares_are_tested_by_chi_square() {
    let found = SampleRatio::of(&[520, 480, 1010], &[0.25, 0.25, 0.5]).unwrap();
    close(found.statistic, 1.641_791_044_776_119_3);
    close(found.p_value, 0.440_037_414_650_634_5);
    assert_eq!(found.degrees_of_freedom, 2);
    // Shares are in any unit.
    assert_eq!(
        SampleRatio::of(&[520, 480, 1010], &[1.0, 1.0, 2.0]),
        Some(found)
    );
    for (users, shares) in [
        (&[1, 2][..], &[1.0][..]),
        (&[1, 2], &[1.0, 0.0]),
        (&[1, 2], &[1.0, -1.0]),
        (&[1, 2], &[1.0, f64::NAN]),
        (&[0, 0], &[1.0, 1.0]),
        (&[7], &[1.0]),
    ] {
        assert_eq!(SampleRatio::of(users, shares), None, "{users:?} {shares:?}");
    }
}

#[test]
fn what_has_no_variance_has_no_interval() {
    let same = Arm::mean(&[2.0, 2.0, 2.0]).unwrap();
    let zero = Arm::mean(&[0.0, 0.0]).unwrap();
    let lift = Lift::of(&same, &zero, 0.95).unwrap();
    assert_eq!(
        (lift.difference, lift.lift, lift.p_value),
        (2.0, None, None)
    );
    assert_eq!((lift.difference_interval, lift.lift_interval), (None, None));
    // One that varies is enough.
    let varies = Arm::mean(&[1.0, 2.0, 4.0]).unwrap();
    let lift = Lift::of(&varies, &same, 0.95).unwrap();
    assert!(lift.p_value.is_some() && lift.lift_interval.is_some());
    assert_eq!(Arm::mean(&[1.0]), None);
    assert_eq!(Arm::ratio(&[1.0, 2.0], &[0.0, 0.0]), None);
    assert!(Lift::of(&varies, &same, 0.0).is_err());
}

proptest! {
    /// A ratio whose denominators are 1 is a mean.
    #[test]
    fn a_ratio_over_ones_is_a_mean(values in prop::collection::vec(-9.0..9.0f64, 2..30)) {
        let ones = vec![1.0; values.len()];
        let (mean, ratio) = (Arm::mean(&values).unwrap(), Arm::ratio(&values, &ones).unwrap());
        prop_assert!((mean.estimate() - ratio.estimate()).abs() < 1e-12);
        prop_assert!((mean.variance() - ratio.variance()).abs() < 1e-12);
    }

    /// Turning arms round turns the difference round; another unit changes no lift and no p-value.
    #[test]
    fn lifts_have_no_unit(
        a in prop::collection::vec(1.0..9.0f64, 3..20),
        b in prop::collection::vec(1.0..9.0f64, 3..20),
        unit in 0.01..100.0f64,
    ) {
        let [of_a, of_b] = [&a, &b].map(|values| Arm::mean(values).unwrap());
        let lift = Lift::of(&of_a, &of_b, 0.9).unwrap();
        let turned = Lift::of(&of_b, &of_a, 0.9).unwrap();
        prop_assert!((lift.difference + turned.difference).abs() < 1e-12);
        prop_assert!((lift.p_value.unwrap() - turned.p_value.unwrap()).abs() < 1e-9);
        let [of_a, of_b] = [&a, &b].map(|values| {
            let values: Vec<f64> = values.iter().map(|value| value * unit).collect();
            Arm::mean(&values).unwrap()
        });
        let other = Lift::of(&of_a, &of_b, 0.9).unwrap();
        prop_assert!((lift.lift.unwrap() - other.lift.unwrap()).abs() < 1e-9);
        prop_assert!((lift.p_value.unwrap() - other.p_value.unwrap()).abs() < 1e-9);
        let low = |lift: Lift| lift.lift_interval.unwrap().low;
        prop_assert!((low(lift) - low(other)).abs() < 1e-9);
    }
}
