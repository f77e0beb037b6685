//! `--set` and `--params`: typed by the defaults.

use serde_json::{Value, json};
use supermoe_workflow::{Overrides, Source};

use crate::fixture::Fixture;

const TEXT: &str = "\
name: w
params: { seed: 7, lr: 0.1, name: retail, on: true, list: [1], free: {}, any: null, model: { d: 64, name: 1.10 } }
stages: { a: { uses: shell, with: { command: \"echo ${{ params.model.name }}\" } } }
";

fn fixture(sets: &[(&str, &str)], files: &[&str]) -> Fixture {
    let overrides = Overrides {
        sets: sets
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        params_files: files
            .iter()
            .map(|text| Source::new("p.yaml", *text))
            .collect(),
        date: None,
    };
    Fixture {
        overrides,
        ..Fixture::default()
    }
}

fn params(sets: &[(&str, &str)], files: &[&str]) -> Value {
    Value::Object(fixture(sets, files).workflow(TEXT).params)
}

#[test]
fn values_take_the_type_of_the_default() {
    let params = params(
        &[
            ("seed", "8"),
            ("lr", "1"),
            ("name", "1.10"),
            ("on", "false"),
            ("list", "[2, b]"),
            ("free.x", "true"),
            ("any", "{ a: 1 }"),
            ("model.d", "32"),
        ],
        &["lr: 0.5\nmodel: { name: 2.50 }\n", "lr: 0.7\n"],
    );
    assert_eq!(
        params,
        json!({ "seed": 8, "lr": 1, "name": "1.10", "on": false, "list": [2, "b"], "free": { "x": true }, "any": { "a": 1 }, "model": { "d": 32, "name": 2.5 } })
    );
}

#[test]
fn other_types_and_names_are_refused() {
    for (set, code) in [
        (("seed", "1.5"), "param_type"),
        (("seed", "x"), "param_type"),
        (("on", "yes"), "param_type"),
        (("list", "1"), "param_type"),
        (("model", "1"), "param_type"),
        (("lr", "[1"), "invalid_set"),
        (("sede", "1"), "unknown_param"),
        (("model.x", "1"), "unknown_param"),
        (("seed.x", "1"), "unknown_param"),
        (("", "1"), "unknown_param"),
    ] {
        assert_eq!(fixture(&[set], &[]).codes(TEXT), [code], "{set:?}");
    }
    assert_eq!(
        fixture(&[], &["seed: x\nsede: 1\nmodel: { e: 1 }\n"]).codes(TEXT),
        ["param_type", "unknown_param", "unknown_param"]
    );
    assert_eq!(fixture(&[], &["- 1\n"]).codes(TEXT), ["wrong_kind"]);
}

#[test]
fn mistakes_are_shown_where_they_are_made() {
    insta::assert_snapshot!(
        fixture(&[("sede", "1"), ("seed", "1.5")], &["seed: x\n"]).errors(TEXT)
    );
}
