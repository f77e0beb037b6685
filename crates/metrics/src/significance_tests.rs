//! Against values of SciPy 1.17.1: `stats.ttest_1samp(d, 0)`, which of differences is `ttest_rel`, and
//! `stats.wilcoxon(d, method="exact")`.

use proptest::prelude::*;

use super::*;

const TEN: [f64; 10] = [0.3, 0.1, 0.2, 0.25, 0.15, -0.05, 0.4, 0.22, 0.31, 0.18];

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    let off = (found - expected).abs() / expected.abs();
    assert!(off < 1e-9, "{found} is not {expected}");
}

#[test]
fn students_t_is_that_of_scipy() {
    for (differences, statistic, p) in [
        (
            &[0.012, 0.009, 0.015][..],
            6.928_203_230_275_508,
            0.020_204_102_886_728_77,
        ),
        (
            &[0.0021, -0.0007, 0.0034, 0.0012, 0.0028],
            2.458_234_825_018_884,
            0.069_823_832_641_044_26,
        ),
        (
            &[-1.5, -0.25, 0.5, -2.0],
            -1.421_239_008_404_057_1,
            0.250_363_669_002_661_1,
        ),
        (&TEN, 5.222_307_303_602_957, 0.000_547_511_221_165_126_7),
        (
            &[1.0, 1.001, 0.999, 1.0005],
            2_342.452_945_098_488_3,
            1.715_765_118_112_952e-10,
        ),
    ] {
        let found = paired_t_test(differences).expect("a test");
        assert_eq!(found.pairs, differences.len());
        assert_near(found.statistic, statistic);
        assert_near(found.p, p);
    }
}

#[test]
fn signed_ranks_are_those_of_scipy() {
    for (differences, statistic, p) in [
        (&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6][..], 0.0, 0.03125),
        (
            &[0.5, -0.1, 0.9, 0.3, -0.2, 0.8, 0.7, 0.4],
            3.0,
            0.039_062_5,
        ),
        (&TEN, 1.0, 0.003_906_25),
        // Ties and a zero: method=PermutationMethod(n_resamples=inf), all 2^7 signs.
        (&[1.0, 1.0, -1.0, 2.0, 2.0, 3.0, 0.0, -2.0], 7.0, 0.328_125),
    ] {
        let found = wilcoxon_signed_rank(differences).expect("a test");
        assert_eq!(found.statistic, statistic);
        assert_near(found.p, p);
    }
}

#[test]
fn too_little_is_no_test() {
    let of = |differences: &[f64]| paired_t_test(differences).expect_err("no test");
    assert_eq!(
        of(&[0.1, 0.2]).to_string(),
        "2 pairs; at least 3 are needed"
    );
    assert_eq!(of(&[0.0; 4]), SignificanceError::AllZero { pairs: 4 });
    // Equal but for rounding.
    let rounded = [0.7 - 0.6, 0.8 - 0.7, 0.9 - 0.8];
    assert_ne!(rounded[0], rounded[1]);
    assert_eq!(of(&rounded), SignificanceError::Constant { pairs: 3 });
    assert_eq!(
        of(&[0.1, f64::INFINITY, 0.2]).to_string(),
        "difference 1 is inf; expected a finite number"
    );
    let of = |differences: &[f64]| wilcoxon_signed_rank(differences).expect_err("no test");
    assert_eq!(
        of(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.0]),
        SignificanceError::TooFewUnequal {
            pairs: 5,
            fewest: FEWEST_RANKED_PAIRS
        }
    );
    assert_eq!(of(&[0.0; 6]), SignificanceError::AllZero { pairs: 6 });
}

#[test]
fn holm_steps_down() {
    // Of R's p.adjust(p, "holm"): 0.03, 0.06, 0.06, 0.02 by hand as 3·0.01, 1·0.04 raised to the one
    // before, 2·0.03, 4·0.005.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (found, expected) in adjusted.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert_near(found, expected);
    }
    assert_eq!(holm(&[]), [0.0; 0]);
    assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
}

proptest! {
    #[test]
    fn holm_keeps_the_order_and_never_helps(p in proptest::collection::vec(0.0..=1.0f64, 1..20)) {
        let adjusted = holm(&p);
        for (i, a) in p.iter().enumerate() {
            prop_assert!(adjusted[i] >= *a && adjusted[i] <= 1.0);
            for (j, b) in p.iter().enumerate() {
                prop_assert!(a > b || adjusted[i] <= adjusted[j]);
            }
        }
    }

    #[test]
    fn tests_do_not_care_which_of_a_pair_comes_first(
        differences in proptest::collection::vec(-1.0..1.0f64, 6..12)
    ) {
        let turned: Vec<f64> = differences.iter().map(|x| -x).collect();
        let (there, back) = (paired_t_test(&differences), paired_t_test(&turned));
        prop_assert_eq!(there.map(|test| test.p), back.map(|test| test.p));
        let (there, back) = (wilcoxon_signed_rank(&differences), wilcoxon_signed_rank(&turned));
        prop_assert_eq!(there.map(|test| test.p), back.map(|test| test.p));
    }
}
