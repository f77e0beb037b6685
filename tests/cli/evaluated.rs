//! A project whose one stage gives what a learning chain gives: a dataset, a metric stream, an evaluation.

use serde_json::{Value, json};

use crate::harness::Project;

/// A plugin that gives whatever lies in its folder under the name of a port.
const GIVE: &str = r#"#!/bin/sh
set -eu
here=$(dirname "$0")
for port in dataset history report; do
  to=$(tr ',{}' '\n\n\n' < "$SUPERMOE_REQUEST" | grep "\"$port\":\"/" | cut -d'"' -f4)
  if [ -d "$here/$port" ]; then mkdir -p "$to"; cp "$here/$port"/* "$to"; fi
  if [ -f "$here/$port" ]; then cp "$here/$port" "$to"; fi
done
printf '{"event":"metric","name":"sequences_per_second","value":1234.5}\n' >> "$SUPERMOE_EVENTS"
"#;

const MANIFEST: &str = r#"{
  "protocol": 1, "name": "give", "launch": { "command": ["sh", "./main.sh"] },
  "outputs": {
    "dataset": { "type": "dataset", "required": false },
    "history": { "type": "file", "required": false },
    "report": { "type": "report", "required": false }
  },
  "params": { "type": "object", "properties": { "note": { "type": "string" } } }
}"#;

/// One stage that gives a dataset, a metric stream and an evaluation.
pub fn project() -> Project {
    Project::with(
        "name: retail\nstages:\n  judge:\n    uses: give\n    with: { note: as written }\n",
    )
    .file("plugins/give/plugin.json", MANIFEST)
    .file("plugins/give/main.sh", GIVE)
    .file(
        "plugins/give/report/report.json",
        &evaluation("buy").to_string(),
    )
    .file("plugins/give/dataset/card.json", &card("buy").to_string())
    .file("plugins/give/history", &history("buy"))
}

/// Two models with two seeds each, a task with curves, and one with a class.
pub fn evaluation(task: &str) -> Value {
    let metrics =
        |auc: f64| json!({ task: { "auc": auc, "logloss": 0.5 }, "kind": { "auc": auc } });
    let cell = |model: &str, seed: u32, auc: f64| {
        json!({
            "source": "predictions",
            "matrix": { "model": model, "seed": seed },
            "tasks": metrics(auc),
            "classes": { "kind": { task: { "auc": auc } } },
            "mean_auc": auc,
            "curves": [
                { "task": task, "class": null, "roc": [[0, 0], [0.2, 0.7], [1, 1]],
                  "precision_recall": [[0, 1], [1, 0.25]], "calibration": [[0.1, 0.12, 40], [0.6, 0.5, 9]] },
                { "task": "kind", "class": task, "roc": [[0, 0], [1, 1]] }
            ],
        })
    };
    let summary = |mean: f64| json!({ "mean": mean, "deviation": 0.01 });
    let group = |model: &str, mean: f64| {
        json!({
            "source": "predictions",
            "matrix": { "model": model },
            "cells": 2,
            "tasks": { task: { "auc": summary(mean), "logloss": summary(1.0 - mean) }, "kind": { "auc": summary(mean) } },
            "classes": { "kind": { task: { "auc": summary(mean) } } },
            "mean_auc": summary(mean),
        })
    };
    json!({
        "metric_version": 2,
        "tasks": [
            { "name": task, "kind": "binary", "samples": 400, "positives": 100, "unlabelled": 3 },
            { "name": "kind", "kind": "multiclass", "samples": 400, "unlabelled": 0,
              "classes": [{ "name": task, "positives": 7 }] }
        ],
        "cells": [cell("moe", 1, 0.71), cell("moe", 2, 0.73), cell("ple", 1, 0.6), cell("ple", 2, 0.62)],
        "groups": [group("moe", 0.72), group("ple", 0.61)],
        "warnings": [format!("{task} is easy")],
    })
}

/// Of a dataset with one task and one channel.
pub fn card(task: &str) -> Value {
    json!({
        "rows": 123456, "entities": 789, "first_time": "2009-12-01T07:45:00", "last_time": "2011-12-09T12:50:00",
        "data_end": "2011-12-10T00:00:00",
        "splits": { "train": { "samples": 900, "entities": 700, "snapshots": { "2010-04-01": 900 }, "average_length": 20.5 },
                    "test": { "samples": 400, "entities": 400, "snapshots": { "2011-08-01": 400 }, "average_length": 21.5 } },
        "tasks": { task: { "label_rate": { "train": 0.2, "test": null }, "missing_labels": { "test": 3 } } },
        "channels": { task: { "kind": "id", "per": "step", "values": 4005, "missing": 0.0026 } },
        "average_length": 20.9, "lengths": { "min": 1, "p25": 5, "median": 20, "p75": 30, "p95": 60, "max": 64 },
        "cut": 0.125, "missing_aggregates": {}, "warnings": [],
    })
}

/// Losses, scores and expert load of three steps.
pub fn history(task: &str) -> String {
    let mut text = String::new();
    for step in [10, 20, 30] {
        let value = 1.0 / f64::from(step);
        for name in [
            "train/loss".to_owned(),
            "train/gradient_norm".to_owned(),
            format!("train/{task}/loss"),
            "train/other/loss".to_owned(),
            format!("valid/{task}/auc"),
            format!("experts/{task}/load/0"),
            format!("experts/{task}/load/1"),
        ] {
            let line = json!({ "step": step, "epoch": 1, "name": name, "value": value });
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}
