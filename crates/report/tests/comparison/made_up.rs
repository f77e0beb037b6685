//! Runs that evaluated something, without running anything.

use serde_json::{Map, Value, json};
use supermoe_report::{
    Comparison, ComparisonError, ComparisonRequest, EvaluatedRun, EvaluatedStage, Found,
    Observations, SourcedEvaluation, compare,
};
use supermoe_store::{Digest, StageKey};

pub const RUN: &str = "01JDH7Z0000000000000000001";
pub const OTHER_RUN: &str = "01JDH8AAAA0000000000000002";

/// One evaluation in the making.
#[derive(Clone)]
pub struct Made {
    name: String,
    matrix: Value,
    version: u64,
    tasks: Vec<Value>,
    cells: Vec<Value>,
    stages: Vec<Option<EvaluatedStage>>,
}

impl Made {
    pub fn new(name: &str) -> Made {
        Made {
            name: name.to_owned(),
            matrix: json!({}),
            version: 2,
            tasks: Vec::new(),
            cells: Vec::new(),
            stages: Vec::new(),
        }
    }

    pub fn of_cell(mut self, matrix: Value) -> Made {
        self.matrix = matrix;
        self
    }

    pub fn version(mut self, version: u64) -> Made {
        self.version = version;
        self
    }

    /// A task whose test set is known by the two digests.
    pub fn task(mut self, name: &str, split: &str, labels: &str) -> Made {
        self.tasks.push(json!({
            "name": name, "kind": "binary", "samples": 100, "unlabelled": 3, "positives": 40,
            "split_digest": split, "labels_digest": labels,
        }));
        self
    }

    pub fn cell(self, matrix: Value, tasks: Value) -> Made {
        self.cell_of("finetune", matrix, tasks)
    }

    pub fn cell_of(mut self, stage: &str, matrix: Value, tasks: Value) -> Made {
        self.cells
            .push(json!({ "source": "predictions", "matrix": matrix, "tasks": tasks }));
        self.stages.push(Some(EvaluatedStage {
            name: stage.to_owned(),
            key: None,
        }));
        self
    }

    /// That the last cell measured the result with a key made of `text`.
    pub fn of_result(mut self, text: &str) -> Made {
        let stage = self.stages.last_mut().and_then(Option::as_mut);
        stage.expect("a cell of a stage").key = Some(key(text));
        self
    }

    pub fn whole_cell(mut self, cell: Value) -> Made {
        self.cells.push(cell);
        self.stages.push(None);
        self
    }

    /// AUCs of one model by task and seed: `[("buy", &[0.8, 0.81])]`, seeds from 0.
    pub fn seeds(mut self, model: &str, aucs: &[(&str, &[f64])]) -> Made {
        let count = aucs
            .iter()
            .map(|(_, values)| values.len())
            .max()
            .unwrap_or(0);
        for seed in 0..count {
            let tasks = aucs.iter().filter_map(|(task, values)| {
                let auc = values.get(seed)?;
                Some((
                    (*task).to_owned(),
                    json!({ "auc": auc, "logloss": 1.0 - auc }),
                ))
            });
            let tasks: Map<String, Value> = tasks.collect();
            self = self.cell(json!({ "model": model, "seed": seed }), tasks.into());
        }
        self
    }

    fn evaluation(self) -> SourcedEvaluation {
        let content =
            json!({ "metric_version": self.version, "tasks": self.tasks, "cells": self.cells });
        let text = format!("{}{}{content}", self.name, self.matrix);
        SourcedEvaluation {
            found: Found {
                cell: self.name.clone(),
                stage: self.name,
                matrix: serde_json::from_value(self.matrix).expect("a matrix"),
                port: "report".to_owned(),
                digest: Digest::of(text.as_bytes()),
                content: serde_json::from_value(content).expect("an evaluation"),
            },
            stages: self.stages,
        }
    }
}

fn key(text: &str) -> StageKey {
    let digest = Digest::of(text.as_bytes()).to_string();
    serde_json::from_value(digest.into()).expect("a key")
}

pub fn run(id: &str, evaluations: impl IntoIterator<Item = Made>) -> EvaluatedRun {
    EvaluatedRun {
        run: id.parse().expect("a run"),
        evaluations: evaluations.into_iter().map(Made::evaluation).collect(),
    }
}

/// Three models, two tasks, five seeds.
pub fn three_models() -> Vec<EvaluatedRun> {
    let evaluation = Made::new("evaluate")
        .seeds(
            "supermoe",
            &[
                ("buy", &[0.80, 0.81, 0.79, 0.805, 0.795]),
                ("churn", &[0.70, 0.71, 0.72, 0.705, 0.69]),
            ],
        )
        .seeds(
            "ple",
            &[
                ("buy", &[0.78, 0.79, 0.785, 0.79, 0.77]),
                ("churn", &[0.70, 0.705, 0.715, 0.71, 0.69]),
            ],
        )
        .seeds(
            "bert",
            &[
                ("buy", &[0.79, 0.805, 0.785, 0.80, 0.785]),
                ("churn", &[0.66, 0.675, 0.68, 0.665, 0.655]),
            ],
        );
    vec![run(RUN, [evaluation])]
}

pub fn request() -> ComparisonRequest {
    ComparisonRequest::default()
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn levels(levels: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(axis, level): &(&str, &str)| ((*axis).to_owned(), (*level).to_owned());
    levels.iter().map(owned).collect()
}

#[track_caller]
pub fn made(runs: &[EvaluatedRun], request: &ComparisonRequest) -> Comparison {
    compare(&Observations::of(runs), request).expect("a comparison")
}

#[track_caller]
pub fn refused(runs: &[EvaluatedRun], request: &ComparisonRequest) -> ComparisonError {
    compare(&Observations::of(runs), request).expect_err("no comparison")
}

/// `row: column value, column value` by line; the best in `*`, with n where it is not 1.
pub fn lines(comparison: &Comparison) -> Vec<String> {
    let text = |levels: &[supermoe_report::Level]| {
        let texts: Vec<String> = levels.iter().map(ToString::to_string).collect();
        texts.join("/")
    };
    let rows = comparison.rows.iter().map(|row| {
        let cells = comparison
            .columns
            .iter()
            .zip(&row.cells)
            .map(|(column, cell)| {
                let value = match cell {
                    None => "-".to_owned(),
                    Some(cell) => {
                        let star = if cell.best { "*" } else { "" };
                        let n = if cell.n == 1 {
                            String::new()
                        } else {
                            format!(" n={}", cell.n)
                        };
                        format!("{star}{:.4}{star}{n}", cell.mean)
                    }
                };
                format!("{} {value}", text(column))
            });
        format!(
            "{}: {}",
            text(&row.levels),
            cells.collect::<Vec<_>>().join(", ")
        )
    });
    rows.collect()
}

/// The axes of rows and columns.
pub fn axes(comparison: &Comparison) -> (Vec<&str>, Vec<&str>) {
    (
        comparison.row_axes.iter().map(|axis| &**axis).collect(),
        comparison.column_axes.iter().map(|axis| &**axis).collect(),
    )
}
