//! Intervals and comparisons: DeLong's where entities stand once, a bootstrap over entities elsewhere.

use serde_json::{Value, json};

use crate::stage::{AUGUST, Row, Run, Stage, row};

/// Scores of two models with ties; each third of 24 is positive.
const A: [f64; 24] = [
    0.2, -1.3, -0.2, 1.4, 1.1, 0.1, 0.4, -0.8, 0.7, 2.6, 0.3, -1.2, 0.0, 1.6, 0.2, -0.7, -0.1,
    -1.2, 0.4, -0.5, -0.7, 1.6, -0.1, -0.6,
];
const B: [f64; 24] = [
    0.7, -0.1, -1.3, 0.8, -0.1, -0.1, -0.4, -0.4, 0.3, 1.4, -0.6, -0.9, -0.5, -0.1, 0.3, -0.8, 0.8,
    -0.1, -0.9, -0.1, -1.1, 1.1, 0.0, -1.7,
];

fn entity(index: usize) -> &'static str {
    format!("e{index:03}").leak()
}

/// As probabilities: an AUC knows ranks alone.
fn rows(scores: &[f64], of: impl Fn(usize) -> (usize, i64)) -> Vec<Row> {
    let rows = scores.iter().enumerate().map(|(i, score)| {
        let (who, month) = of(i);
        let label = Some(f32::from(u8::from(i % 3 == 0)));
        row(
            entity(who),
            AUGUST + 31 * month,
            "buy",
            label,
            (score + 3.0) / 6.0,
        )
    });
    rows.collect()
}

fn once(scores: &[f64]) -> Vec<Row> {
    rows(scores, |i| (i, 0))
}

/// Twelve entities, each at two snapshots.
fn twice(scores: &[f64]) -> Vec<Row> {
    rows(scores, |i| (i / 2, (i % 2) as i64))
}

fn two_models(of: fn(&[f64]) -> Vec<Row>) -> Stage {
    Stage::new()
        .predictions(json!({ "model": "a" }), &of(&A))
        .predictions(json!({ "model": "b" }), &of(&B))
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-7, "{found} {expected}");
}

fn width(interval: &Value) -> f64 {
    let [low, high] = ["low", "high"].map(|end| interval[end].as_f64().expect("a number"));
    high - low
}

/// The numbers of numpy and scipy, as in the tests of `supermoe-metrics`.
#[test]
fn entities_that_stand_once_have_delongs_interval_and_test() {
    let run = two_models(once).param("confidence", json!(0.9)).run();
    let json = run.json();
    let auc = &json["groups"][0]["tasks"]["buy"]["auc"];
    assert_eq!(auc["interval"]["method"], "delong");
    close(
        &auc["interval"]["standard_error"],
        0.010_963_367_280_505_952_f64.sqrt(),
    );
    let row = &json["comparisons"]["rows"][0];
    assert_eq!(row["matrix"], json!({ "model": "b" }));
    let difference = &row["tasks"]["buy"]["auc"];
    close(&difference["difference"], -0.140_625);
    close(&difference["p_value"], 0.255_108_021_2);
    close(&difference["p_adjusted"], 0.255_108_021_2);
    close(&difference["interval"]["low"], -0.343_877_61);
    close(&difference["interval"]["high"], 0.062_627_61);
    // Log-loss has no formula, and is resampled.
    assert_eq!(
        row["tasks"]["buy"]["logloss"]["interval"]["method"],
        "bootstrap"
    );
    let low = auc["interval"]["low"].as_f64().expect("a number");
    let expected = format!("test/buy/auc/low[model=a] {low:.4}");
    assert!(run.metrics().contains(&expected), "{:?}", run.metrics());
    insta::assert_snapshot!(run.text("report.md"));
}

#[test]
fn entities_that_recur_are_resampled_whole() {
    let json = two_models(twice).run().json();
    let interval = &json["groups"][0]["tasks"]["buy"]["auc"]["interval"];
    assert_eq!(interval["method"], "bootstrap");
    assert_eq!(json["uncertainty"]["entities"], 12);
    assert_eq!(
        json["uncertainty"]["notes"],
        json!([
            "entities stand more than once in the test set of `buy`, so its samples are not independent and DeLong's \
             intervals and tests of AUC would be too sure; those of the bootstrap over entities stand instead"
        ])
    );
    let difference = &json["comparisons"]["rows"][0]["tasks"]["buy"]["auc"];
    let p = difference["p_value"].as_f64().expect("a number");
    assert!((0.05..0.9).contains(&p), "{p}");
    let [low, high] = ["low", "high"].map(|end| difference["interval"][end].as_f64().expect("it"));
    assert!(low < -0.140_625 && -0.140_625 < high);
}

/// Every sample written down at four snapshots is no further knowledge.
#[test]
fn copies_of_a_sample_narrow_nothing() {
    let of_four = |scores: &[f64]| -> Vec<Row> {
        let copies = (0..4).flat_map(|month| rows(scores, move |i| (i, month)));
        copies.collect()
    };
    let interval = |rows: &[Row]| {
        let json = Stage::new().predictions(json!({}), rows).run().json();
        json["groups"][0]["tasks"]["buy"]["auc"]["interval"].clone()
    };
    let (one, four) = (interval(&once(&A)), interval(&of_four(&A)));
    assert_eq!(one["method"], "delong");
    assert_eq!(four["method"], "bootstrap");
    assert!(width(&four) > 0.8 * width(&one), "{four} {one}");
}

#[test]
fn the_same_bytes_for_any_number_of_threads_and_others_for_another_seed() {
    let text = |threads, seed: u32| {
        let bootstrap = json!({ "seed": seed, "resamples": 200 });
        let run = two_models(twice)
            .threads(threads)
            .param("bootstrap", bootstrap)
            .run();
        run.text("report.json")
    };
    assert_eq!(text(1, 0), text(4, 0));
    assert_ne!(text(1, 0), text(1, 1));
}

#[test]
fn cells_of_a_group_are_judged_by_their_mean() {
    let cell = |model: &str, seed: u32| json!({ "model": model, "seed": seed });
    let json = Stage::new()
        .predictions(cell("a", 1), &once(&A))
        .predictions(cell("a", 2), &once(&B))
        .predictions(cell("b", 1), &once(&A))
        .param("reference", json!({ "model": "b" }))
        .run()
        .json();
    // Of the mean of two: (V_A + V_B + 2 C) / 4, by numpy's `cov`.
    let variance =
        (0.010_963_367_280_505_95 + 0.020_726_667_131_696_43 + 2.0 * 0.008_210_391_090_029_76)
            / 4.0;
    let auc = &json["groups"][0]["tasks"]["buy"]["auc"];
    close(&auc["interval"]["standard_error"], f64::sqrt(variance));
    assert_eq!(
        json["comparisons"]["reference"]["matrix"],
        json!({ "model": "b" })
    );
    let row = &json["comparisons"]["rows"][0];
    assert_eq!(row["matrix"], json!({ "model": "a" }));
    close(
        &row["tasks"]["buy"]["auc"]["difference"],
        (0.628_906_25 - 0.769_531_25) / 2.0,
    );
}

#[test]
fn a_model_against_itself_differs_in_nothing() {
    let stage = |of: fn(&[f64]) -> Vec<Row>| {
        Stage::new()
            .predictions(json!({ "model": "a" }), &of(&A))
            .predictions(json!({ "model": "b" }), &of(&A))
            .run()
            .json()
    };
    for json in [stage(once), stage(twice)] {
        let difference = &json["comparisons"]["rows"][0]["tasks"]["buy"]["auc"];
        assert_eq!(
            difference,
            &json!({ "difference": 0.0, "interval": null, "p_value": 1.0, "p_adjusted": 1.0 })
        );
    }
}

#[test]
fn without_resamples_what_needs_them_has_no_interval() {
    let json = two_models(twice)
        .param("bootstrap", json!({ "resamples": 0 }))
        .run()
        .json();
    assert_eq!(
        json["groups"][0]["tasks"]["buy"]["auc"]["interval"],
        Value::Null
    );
    let difference = &json["comparisons"]["rows"][0]["tasks"]["buy"]["auc"];
    assert_eq!(difference["p_value"], Value::Null);
    let note = json["uncertainty"]["notes"][0].as_str().expect("a note");
    assert!(
        note.ends_with("there are none: `bootstrap.resamples` is 0"),
        "{note}"
    );
}

#[test]
fn too_few_samples_are_said_to_be_too_few() {
    let rows = [
        row("a", AUGUST, "buy", Some(1.0), 0.9),
        row("b", AUGUST, "buy", Some(0.0), 0.4),
        row("c", AUGUST, "buy", Some(0.0), 0.5),
    ];
    let run = Stage::new().predictions(json!({}), &rows).run();
    let json = run.json();
    assert_eq!(
        json["groups"][0]["tasks"]["buy"]["auc"]["interval"],
        Value::Null
    );
    let said = json["uncertainty"]["too_few"][0].as_str().expect("words");
    assert!(said.starts_with("task `buy`, AUC: "), "{said}");
    assert!(
        said.ends_with("there are too few samples for an interval"),
        "{said}"
    );
    assert!(!run.text("report.json").contains("NaN"));
}

fn error(run: Run) -> String {
    run.error().to_owned()
}

#[test]
fn params_that_do_not_fit_are_refused() {
    let with = |name: &str, value: Value| error(two_models(once).param(name, value).run());
    assert_eq!(
        with("reference", json!({ "model": "c" })),
        "`reference`: no row has model=c; the rows are model=a; model=b"
    );
    assert_eq!(
        with("confidence", json!(1.5)),
        "`confidence`: expected a number from 0.5 to 0.9999, found 1.5"
    );
    let cell = |data: &str| json!({ "model": "a", "data": data });
    let run = Stage::new()
        .predictions(cell("x"), &once(&A))
        .predictions(cell("y"), &once(&B))
        .param("reference", json!({ "model": "a" }))
        .run();
    assert_eq!(
        error(run),
        "`reference`: 2 rows have model=a; name more matrix values, so that it is one: the rows are model=a, data=x; \
         model=a, data=y"
    );
    let alone = Stage::new()
        .predictions(json!({}), &once(&A))
        .param("reference", json!({ "model": "a" }))
        .run();
    assert_eq!(
        error(alone),
        "`reference`: no row has model=a; there is no matrix, so leave `reference` out"
    );
}
