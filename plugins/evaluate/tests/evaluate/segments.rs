//! Metrics of parts of the test set.

use serde_json::{Value, json};
use supermoe_channels::{Dataset, Split};

use crate::stage::{DAY_MS, Row, Stage};
use crate::tiny_retail;

/// Scores that rank well, for the test samples of the made-up shop.
fn rows(dataset: &Dataset) -> Vec<Row> {
    let rows = dataset.split(Split::Test).into_iter().map(|id| {
        let label = dataset.label(id, 0);
        Row {
            entity: dataset.entity(id).to_owned().leak(),
            day: dataset.snapshot_ms(id) / DAY_MS,
            split: "test",
            task: "buys",
            class: None,
            label: Some(label),
            score: (f64::from(id.0 * 37 % 100) / 100.0 + f64::from(label) * 0.1) / 1.1,
        }
    });
    rows.collect()
}

fn stage(segments: Value) -> Stage {
    let dataset = tiny_retail::dataset(60);
    Stage::new()
        .dataset(&dataset)
        .predictions(json!({}), &rows(&dataset))
        .param("segments", segments)
}

fn report(sql: &str) -> Value {
    let run = stage(json!({ "part": sql })).run();
    run.json()["segments"][0].clone()
}

fn values(segmentation: &Value) -> Vec<(Value, u64)> {
    let segments = segmentation["segments"].as_array().expect("a list");
    let samples = segments.iter().map(|segment| {
        (
            segment["value"].clone(),
            segment["samples"].as_u64().expect("it"),
        )
    });
    samples.collect()
}

/// The definition, over the samples that a condition keeps.
fn auc(keep: impl Fn(&Dataset, supermoe_channels::SampleId) -> bool) -> f64 {
    let dataset = tiny_retail::dataset(60);
    let ids = dataset.split(Split::Test);
    let rows = rows(&dataset);
    let kept: Vec<&Row> = (ids.iter().zip(&rows))
        .filter(|(id, _)| keep(&dataset, **id))
        .map(|(_, row)| row)
        .collect();
    let of = |label: f32| kept.iter().filter(move |row| row.label == Some(label));
    let against = |row: &Row| {
        let scores = of(0.0).map(|other| (row.score, other.score));
        let won = scores.map(|(score, other)| match score == other {
            true => 0.5,
            false => f64::from(u8::from(score > other)),
        });
        won.sum::<f64>()
    };
    let won: f64 = of(1.0).map(|row| against(row)).sum();
    won / (of(1.0).count() * of(0.0).count()) as f64
}

#[test]
fn each_value_is_a_part_with_metrics_of_its_own() {
    let segmentation = report("CASE WHEN sample_steps % 2 = 0 THEN 'even' ELSE 'odd' END");
    let steps = |dataset: &Dataset, id| dataset.tokens(id) - 1;
    let expected = [
        ("even", auc(|dataset, id| steps(dataset, id) % 2 == 0)),
        ("odd", auc(|dataset, id| steps(dataset, id) % 2 == 1)),
    ];
    let segments = segmentation["segments"].as_array().expect("a list");
    for (segment, (value, auc)) in segments.iter().zip(expected) {
        assert_eq!(segment["value"], value);
        let found = &segment["groups"][0]["tasks"]["buys"]["auc"];
        assert!((found["mean"].as_f64().expect("an AUC") - auc).abs() < 1e-12);
        assert_eq!(found["interval"]["method"], "delong");
    }
    let all: u64 = values(&segmentation)
        .iter()
        .map(|(_, samples)| samples)
        .sum();
    assert_eq!(all, 60);
}

#[test]
fn channels_are_seen_at_the_newest_step_and_entities_by_their_training() {
    let countries = values(&report("country"));
    assert!(countries.len() > 1, "{countries:?}");
    assert!(
        countries
            .iter()
            .all(|(value, _)| value.is_string() || value.is_null())
    );
    assert_eq!(values(&report("in_train")), [(json!("true"), 60)]);
    let steps = report("CASE WHEN history_steps >= sample_steps THEN 1 END");
    assert_eq!(values(&steps), [(json!("1"), 60)]);
    // Numbers stand by their size.
    let lengths = values(&report("sample_steps % 11"));
    let numbers = lengths
        .iter()
        .map(|(value, _)| value.as_str().expect("text").parse::<u32>());
    let numbers: Vec<u32> = numbers.map(|number| number.expect("a number")).collect();
    assert!(
        numbers.is_sorted() && numbers.len() > 5 && numbers.contains(&10),
        "{numbers:?}"
    );
}

#[test]
fn a_part_of_one_class_says_so_and_has_no_auc() {
    let dataset = tiny_retail::dataset(60);
    let first = dataset.entity(dataset.split(Split::Test)[0]).to_owned();
    let sql = format!("CASE WHEN entity = '{first}' THEN 'one' END");
    let run = stage(json!({ "part": sql })).run();
    let json = run.json();
    let segments = json["segments"][0]["segments"].as_array().expect("a list");
    assert_eq!(segments.len(), 2, "{:?}", values(&json["segments"][0]));
    let one = &segments[0];
    assert_eq!(one["samples"], 1);
    assert_eq!(one["groups"][0]["tasks"]["buys"]["auc"], Value::Null);
    let note = one["notes"][0].as_str().expect("a note");
    assert!(note.contains("has one class in test"), "{note}");
    assert!(segments[1]["value"].is_null());
    insta::assert_snapshot!(run.text("report.md"));
}

#[test]
fn what_is_no_part_is_refused() {
    let error = |sql: &str| stage(json!({ "part": sql })).run().error().to_owned();
    let unknown = error("contry");
    assert!(
        unknown
            .starts_with("`segments.part`: there is no column `contry`; did you mean `country`?"),
        "{unknown}"
    );
    assert_eq!(
        error("sum(sample_steps)"),
        "`segments.part`: an aggregate or window function has no value by row; leave it out (in `sum(sample_steps)`)"
    );
    assert_eq!(
        error("sample_steps AS steps"),
        "`segments.part`: it has its name already; leave AS out (in `sample_steps AS steps`)"
    );
    assert_eq!(
        error("now() > snapshot"),
        "`segments.part`: now() has another value in every run; a result must follow from its inputs alone (in `now() > \
         snapshot`)"
    );
    let no_sql = error("sample_steps +");
    assert!(
        no_sql.starts_with("`segments.part`: this is no SQL"),
        "{no_sql}"
    );
    assert_eq!(
        error("entity"),
        "`segments.part`: it has 60 values; expected at most 50: bring them together, as in `CASE WHEN sample_steps < \
         10 THEN 'short' ELSE 'long' END`"
    );
}

#[test]
fn parts_have_names() {
    for name in ["", " "] {
        let segments = json!({ name: "country" });
        assert_eq!(
            stage(segments).run().error(),
            "`segments`: an expression has an empty name; give it one, by which the report calls its parts"
        );
    }
}

#[test]
fn names_and_values_are_only_ever_text_in_the_report() {
    let segments = json!({ "<b>|\n`x`": "'<img src=x>|' || country" });
    let text = stage(segments).run().text("report.md");
    assert!(!text.contains("<b>") && !text.contains("| <img"), "{text}");
    assert!(text.contains("## Segments: &lt;b\\>\\| \\`x\\`"), "{text}");
    assert!(text.contains("| &lt;img src=x\\>\\|"), "{text}");
}

#[test]
fn segments_need_the_dataset_of_the_predictions() {
    let dataset = tiny_retail::dataset(60);
    let segments = json!({ "part": "in_train" });
    let without = Stage::new()
        .predictions(json!({}), &rows(&dataset))
        .param("segments", segments.clone())
        .run();
    assert_eq!(
        without.error(),
        "`segments` are made of the samples' columns: give the stage the input `dataset` that the predictions were \
         made of"
    );
    let other = Stage::new()
        .dataset(&tiny_retail::dataset(20))
        .predictions(json!({}), &rows(&dataset))
        .param("segments", segments)
        .run();
    assert!(
        other
            .error()
            .starts_with("`segments.part`: the dataset has no test sample of entity"),
        "{}",
        other.error()
    );
}
