//! `compare`: rows of runs side by side, from predictions through the built-in `evaluate`.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use crate::evaluated;
use crate::harness::{Outcome, Project};
use crate::run::CHAIN;

/// Gives the predictions that lie in its folder under the name of a file.
const SCORE: &str = r#"#!/bin/sh
set -eu
here=$(dirname "$0")
value() { tr ',{}' '\n\n\n' < "$SUPERMOE_REQUEST" | grep "\"$1\":\"" | cut -d'"' -f4; }
mkdir -p "$(value predictions)"
cp "$here/$(value file).parquet" "$(value predictions)/predictions.parquet"
"#;

const MANIFEST: &str = r#"{
  "protocol": 1, "name": "score", "launch": { "command": ["sh", "./main.sh"] },
  "outputs": { "predictions": { "type": "predictions" } },
  "params": { "type": "object", "properties": { "file": { "type": "string" } } }
}"#;

const WORKFLOW: &str = r#"name: retail
stages:
  score:
    uses: score
    matrix: { model: [moe, ple], seed: [0, 1, 2] }
    with: { file: "${{ matrix.model }}-${{ matrix.seed }}" }
  evaluate:
    uses: evaluate
    inputs: { predictions: "score.*.predictions" }
"#;

/// What a seed scores eight entities, of which every second buys; `churn` has the labels turned.
const SCORES: [(&str, [f64; 8]); 6] = [
    ("moe-0", [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.35]),
    ("moe-1", [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.6, 0.5]),
    ("moe-2", [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6]),
    ("ple-0", [0.1, 0.9, 0.2, 0.8, 0.75, 0.7, 0.4, 0.35]),
    ("ple-1", [0.1, 0.9, 0.2, 0.8, 0.85, 0.7, 0.6, 0.5]),
    ("ple-2", [0.1, 0.9, 0.2, 0.8, 0.75, 0.7, 0.4, 0.6]),
];

fn project() -> Project {
    let project = Project::with(WORKFLOW)
        .file("plugins/score/plugin.json", MANIFEST)
        .file("plugins/score/main.sh", SCORE);
    write_predictions(&project, "u", [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    project
}

/// Of all seeds: entities that begin with `prefix`, and whether they buy.
fn write_predictions(project: &Project, prefix: &str, buys: [f32; 8]) {
    for (name, scores) in SCORES {
        let of_tasks = |of: fn(f64) -> f64| scores.map(of).to_vec();
        let entities = (0..8).map(|i| format!("{prefix}{i}"));
        let entities: Vec<String> = entities.clone().chain(entities).collect();
        let texts = |text: &str| Arc::new(StringArray::from(vec![text; 16])) as ArrayRef;
        let labels = buys.into_iter().chain(buys.map(|label| 1.0 - label));
        let tasks = ["buy"; 8].into_iter().chain(["churn"; 8]);
        let columns: [(&str, ArrayRef); 7] = [
            ("entity", Arc::new(StringArray::from(entities))),
            (
                "snapshot",
                Arc::new(TimestampMillisecondArray::from(vec![0; 16])),
            ),
            ("split", texts("test")),
            ("task", Arc::new(StringArray::from_iter_values(tasks))),
            ("class", Arc::new(StringArray::new_null(16))),
            ("label", Arc::new(Float32Array::from_iter_values(labels))),
            (
                "score",
                Arc::new(Float64Array::from(
                    [of_tasks(|score| score), of_tasks(|score| 1.0 - score)].concat(),
                )),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("equal lengths");
        let file = project.path(&format!("plugins/score/{name}.parquet"));
        let file = File::create(file).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("a footer");
    }
}

fn ran() -> Project {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    project
}

#[track_caller]
fn assert_refused(outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert_eq!(outcome.stdout, "", "{outcome}");
    // Long lines are broken where the terminal ends.
    let text: Vec<&str> = outcome
        .stderr
        .split_whitespace()
        .filter(|word| *word != "│")
        .collect();
    let text = text.join(" ");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{outcome}");
    }
}

#[test]
fn a_run_is_compared_as_it_is() {
    let project = ran();
    insta::assert_snapshot!(project.ok(&["compare", "latest"]).stdout);
}

#[test]
fn a_row_can_be_compared_with_the_others() {
    let project = ran();
    let arguments = [
        "compare",
        "latest",
        "--rows",
        "model",
        "--columns",
        "task",
        "--metric",
        "auc",
        "--against",
        "model=moe",
    ];
    insta::assert_snapshot!(project.ok(&arguments).stdout);
    let mut json = arguments.to_vec();
    json.push("--json");
    let document = project.ok(&json).json();
    assert_eq!(document["runs"][0], project.latest()["run"]);
    let difference = &document["rows"][1]["cells"][0]["difference"];
    assert_eq!(difference["pairs"], 3);
    assert!(
        difference["p_holm"].is_number() || difference["no_test"].is_string(),
        "{difference}"
    );
}

#[test]
fn results_that_a_second_run_took_from_the_cache_count_once() {
    let project = project();
    project.write("workflow.yaml", &WORKFLOW.replace("[moe, ple]", "[moe]"));
    project.ok(&["run", "workflow.yaml"]);
    let first = project.latest()["run"].clone();
    project.write("workflow.yaml", WORKFLOW);
    project.ok(&["run", "workflow.yaml"]);
    let second = project.latest()["run"].clone();
    let (first, second) = (
        first.as_str().expect("an id"),
        second.as_str().expect("an id"),
    );
    let arguments = [
        "compare",
        first,
        second,
        "--over",
        "seed,run",
        "--against",
        "model=moe",
        "--json",
    ];
    let document = project.ok(&arguments).json();
    for row in document["rows"].as_array().expect("rows") {
        assert_eq!(row["cells"][0]["n"], 3, "{row}");
    }
    assert_eq!(document["rows"][1]["cells"][0]["difference"]["pairs"], 3);
    let note = document["notes"].to_string();
    assert!(note.contains("each counts once"), "{note}");
}

#[test]
fn the_best_is_bold_where_there_are_colours() {
    let project = ran().variable("CLICOLOR_FORCE", "1");
    let text = project.ok(&["compare", "latest"]).stdout;
    let moe = text
        .lines()
        .find(|line| line.starts_with("moe"))
        .expect("a row");
    let ple = text
        .lines()
        .find(|line| line.starts_with("ple"))
        .expect("a row");
    assert!(moe.contains("\u{1b}[1m0."), "{text}");
    assert!(!ple.contains('\u{1b}'), "{text}");
}

#[test]
fn a_file_is_written_in_the_format_of_its_name() {
    let project = ran();
    for (file, part) in [
        ("table.md", "**0."),
        ("table.tex", "\\textbf{0."),
        ("table.html", "<strong>0."),
        ("table.csv", "model,task,metric,mean,deviation,n,best"),
        ("table.txt", "AUC on the test split"),
    ] {
        let outcome = project.ok(&["compare", "latest", "--to", file]);
        assert_eq!(outcome.stdout, "", "{outcome}");
        assert!(project.read(file).contains(part), "{}", project.read(file));
    }
    project.ok(&["compare", "latest", "--to", "table.md", "--format", "csv"]);
    assert_eq!(project.read("table.md"), project.read("table.csv"));
    let nowhere = project.supermoe(&["compare", "latest", "--to", "no/where.md"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere}");
}

#[test]
fn the_latest_run_of_a_workflow_that_succeeded_is_found() {
    let project = project();
    let none = project.supermoe(&["compare", "--workflow", "workflow.yaml"]);
    assert_refused(
        &none,
        &["`retail` has no run", "supermoe run workflow.yaml"],
    );
    project.ok(&["run", "workflow.yaml"]);
    let first = project.latest()["run"].clone();
    project.write("other.yaml", CHAIN);
    project.ok(&["run", "other.yaml"]);
    project.change("workflow.yaml", "seed: [0, 1, 2]", "seed: [0, 1, 2, 3]");
    let failed = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(failed.code, Some(1), "there is no file of seed 3: {failed}");
    let found = project.ok(&["compare", "--workflow", "workflow.yaml", "--json"]);
    assert_eq!(found.json()["runs"], serde_json::json!([first]));
    let both = project.supermoe(&["compare", "latest", "--workflow", "workflow.yaml"]);
    assert_eq!(both.code, Some(2), "{both}");
}

#[test]
fn runs_with_the_same_test_set_share_a_table_and_others_are_refused() {
    let project = ran();
    let first = project.latest()["run"].as_str().expect("an id").to_owned();
    project.change("workflow.yaml", "model: [moe, ple]", "model: [ple]");
    project.ok(&["run", "workflow.yaml"]);
    let same = project.ok(&["compare", &first, "latest"]).stdout;
    assert_eq!(
        same,
        project.ok(&["compare", &first]).stdout,
        "measured once"
    );

    write_predictions(&project, "other", [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    project.ok(&["run", "workflow.yaml"]);
    let latest = project.latest()["run"].as_str().expect("an id").to_owned();
    let split = project.supermoe(&["compare", &first, "latest"]);
    assert_refused(
        &split,
        &[
            &format!("(evaluate of run {first})"),
            &format!("(evaluate of run {latest})"),
            "cannot stand in one table: task `buy`: the second has another test split",
            "Evaluate both with this program on one dataset",
        ],
    );
    write_predictions(&project, "u", [1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    project.ok(&["run", "workflow.yaml"]);
    let labels = project.supermoe(&["compare", &first, "latest"]);
    assert_refused(
        &labels,
        &[
            "the second has other labels on the same test split: 5 positives of 8, the other's 4 positives of 8",
        ],
    );
}

#[test]
fn stages_with_the_same_matrix_are_rows_by_their_names() {
    let project = project();
    let stage = |name: &str, model: &str| {
        format!(
            "  {name}:\n    uses: score\n    matrix: {{ seed: [0, 1] }}\n    \
             with: {{ file: \"{model}-${{{{ matrix.seed }}}}\" }}\n"
        )
    };
    let evaluate = "  evaluate:\n    uses: evaluate\n    \
                    inputs: { predictions: [\"first.*.predictions\", \"second.*.predictions\"] }\n";
    let (first, second) = (stage("first", "ple"), stage("second", "moe"));
    project.write(
        "workflow.yaml",
        &format!("name: retail\nstages:\n{first}{second}{evaluate}"),
    );
    project.ok(&["run", "workflow.yaml"]);
    let document = project.ok(&["compare", "latest", "--json"]).json();
    assert_eq!(document["row_axes"], serde_json::json!(["stage"]));
    let row = |row: usize| &document["rows"][row];
    assert_eq!(row(0)["levels"], serde_json::json!(["first"]));
    assert_eq!(row(1)["levels"], serde_json::json!(["second"]));
    assert_eq!(row(1)["cells"][0]["best"], true, "{document}");
}

#[test]
fn what_cannot_be_compared_is_told_with_what_to_do() {
    let project = ran();
    for (arguments, parts) in [
        (
            &["compare", "01ZZZZ"][..],
            &["No run is named `01ZZZZ`"][..],
        ),
        (
            &["compare", "latest", "--rows", "modle"],
            &["--rows: there is no axis `modle`", "Did you mean `model`?"],
        ),
        (
            &["compare", "latest", "--metric", "log_loss"],
            &[
                "nothing was measured by `log_loss`",
                "Did you mean `logloss`?",
            ],
        ),
        (
            &["compare", "latest", "--against", "model=mo"],
            &["model=mo names no row", "`model=moe`"],
        ),
        (
            &["compare", "latest", "--against", "moe"],
            &["expected an axis, `=` and a value"],
        ),
        (
            &["compare", "latest", "--rows", "seed", "--metric", "auc"],
            &[
                "would hold several values",
                "they differ in model (moe, ple)",
                "--where model=moe",
            ],
        ),
    ] {
        assert_refused(&project.supermoe(arguments), parts);
    }
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    assert_refused(
        &project.supermoe(&["compare", "latest"]),
        &["evaluated nothing", "uses: evaluate"],
    );
    project.change("workflow.yaml", "for i in", "exit 3; for i in");
    let failed = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    assert_refused(
        &project.supermoe(&["compare", "latest"]),
        &["failed and evaluated nothing", "supermoe show"],
    );
}

#[test]
fn a_run_that_failed_later_is_compared_with_a_warning() {
    let project = project();
    let more = "  after:\n    uses: shell\n    needs: [evaluate]\n    with: { command: exit 3 }\n";
    project.write("workflow.yaml", &format!("{WORKFLOW}{more}"));
    let failed = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    let outcome = project.ok(&["compare", "latest"]);
    assert!(outcome.stdout.contains("moe"), "{outcome}");
    assert!(outcome.stderr.contains("failed"), "{outcome}");
}

#[test]
fn an_evaluation_that_is_gone_is_told() {
    let project = evaluated::project();
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["compare", "latest"]);
    for tree in project.files_below(".supermoe/store/trees") {
        std::fs::remove_file(tree).expect("it is there");
    }
    let outcome = project.supermoe(&["compare", "latest"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("supermoe run workflow.yaml"),
        "{outcome}"
    );
}
