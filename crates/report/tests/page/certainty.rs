//! Intervals, comparisons and segments of an evaluation, and the lifts of an experiment.

use serde_json::{Value, json};
use supermoe_report::{Evaluation, page};

use crate::made_up::{SCRIPT, found, report};

fn page_of(evaluation: Value) -> String {
    let read: Evaluation = serde_json::from_value(evaluation.clone()).expect("it is read");
    let mut report = report("certain");
    report.evaluations = vec![found("evaluate", read)];
    page(&report)
}

fn judged(name: &str) -> Value {
    let interval = json!({ "low": 0.61, "high": 0.73, "standard_error": 0.03, "method": "delong" });
    let group = |model: &str| {
        let auc = json!({ "mean": 0.67, "deviation": null, "interval": interval });
        json!({
            "source": "predictions", "matrix": { "model": model }, "cells": 1,
            "tasks": { name: { "auc": auc } }, "mean_auc": { "mean": 0.67, "deviation": null },
        })
    };
    let task = json!({ "name": name, "kind": "binary", "samples": 40, "positives": 10 });
    json!({
        "tasks": [task],
        "groups": [group("ple"), group(name)],
        "uncertainty": {
            "confidence": 0.9, "resamples": 1000, "seed": 0, "entities": 40,
            "notes": [format!("each entity of {name} stands once")],
        },
        "comparisons": {
            "reference": { "source": "predictions", "matrix": { "model": "ple" } },
            "rows": [{
                "source": "predictions", "matrix": { "model": name },
                "tasks": { name: { "auc": {
                    "difference": 0.0123, "interval": null, "p_value": 0.00001, "p_adjusted": 0.00002,
                } } },
            }],
        },
        "segments": [{
            "name": name, "sql": "country",
            "segments": [
                { "value": name, "samples": 3, "entities": 3, "tasks": [task], "groups": [group("ple"), group("x")],
                  "notes": ["it has one class"] },
                { "value": null, "samples": 37, "entities": 37, "tasks": [task], "groups": [], "notes": [] },
            ],
        }],
    })
}

#[test]
fn intervals_comparisons_and_segments_are_shown() {
    let page = page_of(judged("moe"));
    for said in [
        "Confidence intervals, 90 %",
        "[0.6100, 0.7300]",
        "DeLong",
        "each entity of moe stands once",
        "Against model=ple",
        "+0.0123",
        "&lt;\u{a0}0.0001",
        "Segments: moe",
        "By country",
        "(none)",
        "moe: it has one class",
    ] {
        assert!(
            page.contains(said) || page.replace("<wbr>", "").contains(said),
            "{said}"
        );
    }
    assert!(!page_of(judged(SCRIPT)).contains(SCRIPT));
}

#[test]
fn very_many_are_cut() {
    let mut judged = judged("moe");
    let segment = judged["segments"][0]["segments"][0].clone();
    judged["segments"][0]["segments"] = Value::Array(vec![segment; 500]);
    let page = page_of(judged);
    assert!(page.contains("240 of 500 rows are shown"));
    assert!(page.contains("24 of 500 notes are shown"));
}

fn experiment(name: &str) -> Value {
    let bucket = |name: &str, users: u64| json!({ "name": name, "users": users, "share": 0.5, "planned_share": 0.5 });
    json!({ "experiment": {
        "control": "control", "confidence": 0.95, "correction": "holm", "rows": 1200, "users": 1200,
        "buckets": [bucket("control", 600), bucket(name, 600)],
        "sample_ratio": { "statistic": 9.0, "degrees_of_freedom": 1, "p_value": 0.0002, "is_as_planned": false },
        "metrics": [{
            "name": name, "kind": "mean", "is_adjusted": true,
            "estimates": [{ "value": 4.0, "standard_error": 0.1 }, null],
            "lifts": [{
                "bucket": name, "difference": 0.4, "lift": 0.1, "lift_interval": { "low": 0.02, "high": 0.18 },
                "p_value": 0.0123, "p_adjusted": 0.0246, "variance_reduction": 0.4,
            }],
            "notes": ["something is not defined"],
        }],
    } })
}

#[test]
fn the_lifts_of_an_experiment_are_shown() {
    let page = page_of(experiment("moe"));
    for said in [
        "Lifts over control, intervals of 95 %",
        "+10.00 %",
        "[+2.00 %, +18.00 %]",
        "0.0246",
        "-40.00 %",
        "not as planned",
        "moe: something is not defined",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page_of(experiment(SCRIPT)).contains(SCRIPT));
}
