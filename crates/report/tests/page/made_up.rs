//! Made-up runs for pages.

use indexmap::IndexMap;
use serde_json::{Value, json};
use supermoe_engine::{Counts, Outcome, StageState};
use supermoe_report::{
    DataCard, Evaluation, Found, LeftOut, Problem, REPORT_VERSION, Report, ReportedInput,
    ReportedStage, RunFacts, Training,
};
use supermoe_store::Digest;

pub const SCRIPT: &str = "<script>alert(1)</script>";

pub fn report(workflow: &str) -> Report {
    Report {
        version: REPORT_VERSION,
        run: RunFacts {
            id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("a run"),
            workflow: workflow.to_owned(),
            file: format!("{workflow}.yaml").into(),
            outcome: Outcome::Succeeded,
            started: "2026-03-01T23:59:59Z".parse().expect("a time"),
            seconds: Some(72.4),
            counts: Counts {
                ran: 2,
                ..Counts::default()
            },
            not_stored: Vec::new(),
        },
        evaluations: Vec::new(),
        metrics: Vec::new(),
        training: Vec::new(),
        data: Vec::new(),
        params: serde_json::Map::new(),
        stages: Vec::new(),
        machine: None,
        problems: Vec::new(),
        left_out: Vec::new(),
    }
}

pub fn stage(name: &str, cell: &str) -> ReportedStage {
    ReportedStage {
        stage: name.to_owned(),
        cell: cell.to_owned(),
        matrix: IndexMap::new(),
        plugin: name.to_owned(),
        revision: Some(name.to_owned()),
        state: StageState::Ran,
        reason: Some(name.to_owned()),
        error: None,
        log_tail: Vec::new(),
        seconds: Some(1.5),
        peak_memory_bytes: Some(1 << 30),
        sequences_per_second: Some(1.0),
        tokens_per_second: None,
        key: None,
        params: [(name.to_owned(), json!({ name: [name, 1] }))]
            .into_iter()
            .collect(),
        inputs: [(
            name.to_owned(),
            vec![ReportedInput {
                source: format!("{name}.{name}"),
                stage: None,
                digest: Some(Digest::of(b"x")),
            }],
        )]
        .into(),
        outputs: IndexMap::new(),
    }
}

pub fn found<T>(name: &str, content: T) -> Found<T> {
    Found {
        cell: name.to_owned(),
        stage: name.to_owned(),
        matrix: [("axis".to_owned(), json!(name))].into(),
        port: name.to_owned(),
        digest: Digest::of(name.as_bytes()),
        content,
    }
}

/// An evaluation of `groups` models on `tasks` tasks, with a curve for each.
pub fn evaluation(groups: usize, tasks: usize, name: &str) -> Evaluation {
    let names: Vec<String> = (0..tasks).map(|task| format!("{name}{task}")).collect();
    let by_task = |value: Value| -> Value {
        names
            .iter()
            .map(|task| (task.clone(), json!({ "auc": value, name: value })))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let curves: Vec<Value> = names
        .iter()
        .map(|task| {
            let points: Vec<(f64, f64)> = (0..200)
                .map(|point| (f64::from(point) / 200.0, f64::from(point) / 250.0))
                .collect();
            json!({ "task": task, "roc": points, "precision_recall": points,
                    "calibration": points.iter().map(|(x, y)| (x, y, 10)).collect::<Vec<_>>() })
        })
        .collect();
    // Curves of more models than are drawn would only make the test slow.
    let cells: Vec<Value> = (0..groups)
        .map(|group| {
            json!({ "matrix": { "model": format!("{name}{group}") }, "tasks": by_task(json!(0.5)),
                    "curves": if group < 9 { json!(curves) } else { json!([]) } })
        })
        .collect();
    let groups: Vec<Value> = (0..groups)
        .map(|group| {
            let auc = 0.5 + group as f64 / 1e6;
            let summary = json!({ "mean": auc, "deviation": null });
            json!({ "matrix": { "model": format!("{name}{group}") }, "cells": 1,
                    "tasks": by_task(summary.clone()), "mean_auc": summary,
                    "classes": { name: { name: { name: summary } } } })
        })
        .collect();
    let tasks: Vec<Value> = names
        .iter()
        .map(|task| json!({ "name": task, "kind": "binary", "samples": 100, "positives": 20 }))
        .collect();
    let document = json!({ "metric_version": 2, "tasks": tasks, "cells": cells, "groups": groups,
                           "warnings": [name] });
    serde_json::from_value(document).expect("an evaluation")
}

pub fn training(layers: usize, experts: usize, tasks: usize, name: &str) -> Training {
    let mut training = Training::default();
    let mut add = |series: String| {
        let points: Vec<(f64, f64)> = (0..80).map(|step| (f64::from(step), 1.0 / 64.0)).collect();
        let series_of = supermoe_report::Series {
            recorded: points.len(),
            points,
        };
        training.series.insert(series, series_of);
    };
    add("train/loss".to_owned());
    for layer in 0..layers {
        for expert in 0..experts {
            add(format!("experts/{name}{layer}/load/{expert}"));
        }
    }
    for task in 0..tasks {
        add(format!("train/{name}{task}/loss"));
        add(format!("valid/{name}{task}/auc"));
    }
    training
}

pub fn card(channels: usize, tasks: usize, name: &str) -> DataCard {
    let channels: serde_json::Map<String, Value> = (0..channels)
        .map(|channel| {
            (
                format!("{name}{channel}"),
                json!({ "kind": name, "per": name, "missing": 0.5 }),
            )
        })
        .collect();
    let tasks: serde_json::Map<String, Value> = (0..tasks)
        .map(|task| {
            (
                format!("{name}{task}"),
                json!({ "label_rate": { name: 0.25 } }),
            )
        })
        .collect();
    serde_json::from_value(json!({
        "first_time": name, "last_time": name, "warnings": [name], "channels": channels, "tasks": tasks,
        "splits": { name: { "samples": 3, "snapshots": { name: 3 } } }, "missing_aggregates": { name: 1 },
        "lengths": { "min": 1, "p25": 1, "median": 2, "p75": 3, "p95": 4, "max": 5 },
    }))
    .expect("a card")
}

/// Every text of the report is `name`.
pub fn full(name: &str) -> Report {
    let mut report = report(name);
    report.evaluations = vec![
        found(name, evaluation(2, 2, name)),
        found(name, evaluation(1, 1, name)),
    ];
    report.training = vec![
        found(name, training(1, 2, 2, name)),
        found(name, training(1, 2, 2, name)),
    ];
    report.data = vec![found(name, card(2, 2, name)), found(name, card(1, 1, name))];
    report.params = [(name.to_owned(), json!(name))].into_iter().collect();
    let mut failed = stage(name, name);
    failed.state = StageState::Failed;
    failed.error = Some(name.to_owned());
    failed.log_tail = vec![name.to_owned()];
    report.stages = vec![stage(name, name), failed];
    report.problems = vec![Problem {
        what: name.to_owned(),
        why: name.to_owned(),
    }];
    report.left_out = vec![LeftOut {
        what: name.to_owned(),
        shown: 1,
        of: 2,
    }];
    report.run.not_stored = vec![name.to_owned()];
    report
}
