//! The report of fixed inputs, held to eleven digits: whoever changes it raises a revision.

use serde_json::{Value, json};
use supermoe_channels::Split;
use supermoe_evaluate::{METRIC_VERSION, REVISION};

use crate::stage::{AUGUST, Row, Stage, row};
use crate::tiny_retail;

/// The revisions of the plugin and of its metrics that the digest below belongs to.
const REVISIONS: (&str, u32) = ("4", 2);
/// BLAKE3 of both files.
const DIGEST: &str = "605d6658b6523076e73d21b5c5e57b2236c3f7731b5ace215c9bd517ee385cab";

#[test]
fn the_report_changes_only_with_a_revision() {
    assert_eq!(
        (REVISION, METRIC_VERSION),
        REVISIONS,
        "the revision was raised: run this test again and put in the new digest"
    );
    let run = Stage::new()
        .predictions(json!({ "seed": 1 }), &rows(0.0))
        .predictions(json!({ "seed": 2 }), &rows(0.125))
        .run();
    run.outcome.as_ref().expect("good predictions");
    let text = format!("{:?}{}", rounded(run.json()), run.text("report.md"));
    assert_eq!(
        blake3::hash(text.as_bytes()).to_hex().as_str(),
        DIGEST,
        "the report changed: raise the revision"
    );
}

/// Without the last digits, which a logarithm has from the platform.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!(format!("{:.11e}", number.as_f64().unwrap_or_default()))
        }
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, rounded(value)))
            .collect(),
        other => other,
    }
}

#[test]
fn the_probe_changes_only_with_a_revision() {
    let dataset = tiny_retail::dataset(50);
    let embeddings: Vec<_> = [(Split::Train, "train"), (Split::Test, "test")]
        .into_iter()
        .flat_map(|(split, name)| dataset.split(split).into_iter().map(move |id| (id, name)))
        .map(|(id, split)| {
            let steps = dataset.tokens(id) as f32;
            let embedding = vec![steps, steps * steps, (id.0 % 11) as f32];
            (
                dataset.entity(id).to_owned(),
                dataset.snapshot_ms(id),
                split,
                embedding,
            )
        })
        .collect();
    let run = Stage::new()
        .dataset(&dataset)
        .embeddings(json!({}), &embeddings)
        .run();
    let json = run.json();
    let found = ["buys", "returns"].map(|task| {
        let task = &json["cells"][0]["tasks"][task];
        ["auc", "logloss"].map(|metric| task[metric].as_f64().expect("a number"))
    });
    let expected = [
        0.899_835_796_387_520_5,
        0.430_544_662_317_615_55,
        0.457_692_307_692_307_7,
        0.515_479_522_891_631,
    ];
    for (found, expected) in found.concat().into_iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-9,
            "{found} {expected}: raise the revision"
        );
    }
}

/// A task of each kind.
fn rows(shift: f64) -> Vec<Row> {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut rows = Vec::new();
    for (i, name) in NAMES.into_iter().enumerate() {
        let score = (i * 5 % 8) as f64 / 8.0 + shift * f64::from(u8::from(i % 2 == 0)) / 2.0;
        let label = (i != 3).then_some(f32::from(u8::from(i > 3)));
        rows.push(row(name, AUGUST, "buy", label, score));
        rows.push(row(
            name,
            AUGUST,
            "spend",
            Some(i as f32 * 1.5),
            9.0 * score,
        ));
        for (class, is_true) in [("x", i % 3 == 0), ("y", i % 3 == 1), ("z", i % 3 == 2)] {
            let score = if class == "x" {
                score / 2.0
            } else {
                0.5 - score / 4.0
            };
            let label = Some(f32::from(u8::from(is_true)));
            let of_class = row(name, AUGUST, "next", label, score);
            rows.push(Row {
                class: Some(class),
                ..of_class
            });
        }
    }
    rows
}
