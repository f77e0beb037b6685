//! The learning chain on real transactions, from Parquet files to embeddings and a report.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type};
use nix::sys::signal::Signal;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use supermoe_plugin::ports::PortType;

use crate::harness::{Project, eventually, plain};
use crate::python::has_python;
use crate::signals::processes_of;

const TASKS: [&str; 4] = ["buy30", "return60", "spend60", "xmas60"];

/// The workflow of this repository, with its data.
pub fn project(workflow: &str) -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("workflows").join(workflow)).expect("a workflow");
    let project = Project::new().file(&format!("workflows/{workflow}"), &text);
    std::fs::create_dir(project.path("examples")).expect("a folder");
    let data = root.join("examples/data").canonicalize().expect("the data");
    std::os::unix::fs::symlink(data, project.path("examples/data")).expect("a link");
    project
}

/// `tiny.yaml`, and its test samples again as users whose future is not known: prepared with the
/// vocabularies of the training, and scored.
fn tiny() -> Project {
    let project = project("tiny.yaml");
    let text = project.read("workflows/tiny.yaml");
    let (_, prepare) = text.split_once("  prepare:\n").expect("a stage");
    let (prepare, _) = prepare.split_once("\n  pretrain:").expect("another");
    let is_known = |line: &str| {
        ["train:", "valid:"]
            .iter()
            .any(|split| line.trim_start().starts_with(split))
    };
    let tomorrow: String = prepare
        .lines()
        .filter(|line| !is_known(line))
        .map(|line| line.replace("inputs: { ", "inputs: { fitted: prepare.dataset, "))
        .map(|line| line.replace("test: [", "predict: [") + "\n")
        .collect();
    let predict = "  predict:\n    uses: predict\n    inputs: { dataset: tomorrow.dataset, model: finetune.model }\n";
    project.write(
        "workflows/tiny.yaml",
        &format!("{text}\n  tomorrow:\n{tomorrow}\n{predict}"),
    );
    project
}

/// Fetches an output of the last run into the folder `stage.port`.
fn get(project: &Project, output: &str) {
    project.ok(&["get", "latest", output, "--to", output]);
}

fn rows(project: &Project, path: &str) -> RecordBatch {
    let file = File::open(project.path(path)).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(1 << 20).build())
        .expect("a reader");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("rows")).collect();
    let schema = batches[0].schema();
    arrow::compute::concat_batches(&schema, &batches).expect("one table")
}

/// A row of predictions by (split, task, entity, snapshot): label and score.
type Scores = BTreeMap<(String, String, String, i64), (Option<f32>, f64)>;

fn scores(project: &Project, path: &str) -> Scores {
    let rows = rows(project, path);
    let column = |name: &str| rows.column_by_name(name).expect("a column");
    let text = |name: &str, row: usize| column(name).as_string::<i32>().value(row).to_owned();
    let snapshots = column("snapshot").as_primitive::<arrow::datatypes::TimestampMillisecondType>();
    let labels = column("label").as_primitive::<Float32Type>();
    let scores = column("score").as_primitive::<Float64Type>();
    (0..rows.num_rows())
        .map(|row| {
            let sample = (
                text("split", row),
                text("task", row),
                text("entity", row),
                snapshots.value(row),
            );
            let label = labels.is_valid(row).then(|| labels.value(row));
            (sample, (label, scores.value(row)))
        })
        .collect()
}

/// The numbers of a .npy file of f32 with two axes.
fn npy(project: &Project, path: &str) -> (usize, Vec<f32>) {
    let bytes = std::fs::read(project.path(path)).expect("a file");
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_end]).expect("ASCII");
    let shape = header.split(['(', ')']).nth(1).expect("a shape");
    let width = shape
        .split(", ")
        .nth(1)
        .expect("two axes")
        .parse()
        .expect("a number");
    let (numbers, _) = bytes[header_end..].as_chunks::<4>();
    (
        width,
        numbers
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect(),
    )
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_chain_ends_with_embeddings_and_a_report() {
    let project = tiny();
    project.ok(&["run", "workflows/tiny.yaml"]);
    for (output, port) in [
        ("prepare.dataset", PortType::Dataset),
        ("pretrain.encoder", PortType::Encoder),
        ("finetune.model", PortType::Model),
        ("finetune.predictions", PortType::Predictions),
        ("predict.predictions", PortType::Predictions),
        ("export.embeddings", PortType::Embeddings),
        ("export.encoder", PortType::Encoder),
        ("evaluate.report", PortType::Report),
    ] {
        get(&project, output);
        for file in port.files() {
            assert!(
                project.exists(&format!("{output}/{file}")),
                "{output}: {file}"
            );
        }
    }

    // Embeddings: the same rows in both files, one for each sample of the dataset.
    let table = rows(&project, "export.embeddings/embeddings.parquet");
    let (width, numbers) = npy(&project, "export.embeddings/embeddings.npy");
    let lists = table
        .column_by_name("embedding")
        .expect("a column")
        .as_fixed_size_list();
    assert_eq!(
        lists
            .values()
            .as_primitive::<Float32Type>()
            .values()
            .as_ref(),
        numbers
    );
    assert_eq!((width, numbers.len()), (16, table.num_rows() * 16));
    let latest = project.latest();
    let stage = |name: &str| {
        let stages = latest["stages"].as_array().expect("stages");
        let found = stages.iter().find(|stage| stage["name"] == name);
        found.unwrap_or_else(|| panic!("no stage {name}")).clone()
    };
    let samples: f64 = ["train", "valid", "test"]
        .iter()
        .map(|split| number(&stage("prepare")["metrics"][format!("{split}/samples")]))
        .sum();
    assert_eq!(table.num_rows() as f64, samples);

    // Of users whose future is not known the model says what it said of them in the test split.
    let told = scores(&project, "finetune.predictions/predictions.parquet");
    let again = scores(&project, "predict.predictions/predictions.parquet");
    let tests = told.iter().filter(|(sample, _)| sample.0 == "test");
    assert_eq!(tests.clone().count(), again.len());
    for ((_, task, entity, snapshot), (_, score)) in tests {
        let sample = (
            "predict".to_owned(),
            task.clone(),
            entity.clone(),
            *snapshot,
        );
        assert_eq!(again[&sample], (None, *score), "{sample:?}");
    }

    // The report: predictions and the probe of embeddings, with the curves of each.
    let report: Value =
        serde_json::from_str(&project.read("evaluate.report/report.json")).expect("JSON");
    let cells = report["cells"].as_array().expect("cells");
    let sources: Vec<String> = cells.iter().map(|cell| plain(&cell["source"])).collect();
    assert_eq!(sources, ["predictions", "embeddings"]);
    for task in TASKS {
        let of_task = told
            .iter()
            .filter(|(sample, _)| sample.0 == "test" && sample.1 == task);
        let (found, labels): (Vec<f64>, Vec<bool>) = of_task
            .map(|(_, (label, score))| (*score, *label == Some(1.0)))
            .unzip();
        let auc = supermoe_metrics::auc(&found, &labels).expect("two classes");
        assert_eq!(number(&cells[0]["tasks"][task]["auc"]), auc, "{task}");
        for name in [format!("test/{task}/auc"), format!("probe/{task}/auc")] {
            assert!(
                (0.0..=1.0).contains(&number(&stage("evaluate")["metrics"][&name])),
                "{name}"
            );
        }
        let trained = number(&stage("finetune")["metrics"][format!("test/{task}/auc")]);
        assert!((trained - auc).abs() < 1e-12, "{task}: {trained} {auc}");
    }
    for cell in cells {
        let curves = cell["curves"].as_array().expect("curves");
        assert_eq!(curves.len(), TASKS.len());
        for curve in curves {
            for kind in ["roc", "precision_recall", "calibration"] {
                let points = curve[kind].as_array().expect("points").len();
                assert!((2..=200).contains(&points), "{kind} has {points} points");
            }
        }
    }
    let text = project.read("evaluate.report/report.md");
    assert!(
        text.contains("| predictions |") && text.contains("| probe of embeddings |"),
        "{text}"
    );

    project.ok(&["run", "workflows/tiny.yaml"]);
    let states = project.states();
    assert!(
        states.iter().all(|state| state.ends_with(": cached")),
        "{states:?}"
    );
}

#[test]
fn fresh_stores_and_one_job_at_a_time_give_the_same_digests() {
    let digests = |options: &[&str]| -> BTreeMap<String, String> {
        let project = tiny();
        project.ok(&[&["run", "workflows/tiny.yaml"], options].concat());
        digests(&project.latest())
    };
    let (one, two) = (digests(&["--jobs", "1"]), digests(&["--jobs", "2"]));
    assert_eq!(one.len(), 11, "{one:?}");
    assert_eq!(one, two);
}

/// The digests of all outputs of a run, by `stage.port`, and `stage[model=ple].port` of a cell of a matrix.
pub fn digests(document: &Value) -> BTreeMap<String, String> {
    let stages = document["stages"].as_array().expect("stages").iter();
    let outputs = stages.flat_map(|stage| {
        let outputs = stage["outputs"].as_object().expect("outputs");
        outputs
            .iter()
            .map(|(port, digest)| (format!("{}.{port}", plain(&stage["label"])), plain(digest)))
    });
    outputs.collect()
}

#[test]
fn killed_in_pretraining_and_in_finetuning_it_ends_in_the_same_digests() {
    let longer = || {
        let project = project("tiny.yaml");
        let text = project.read("workflows/tiny.yaml");
        let text = text
            .replace(
                "max_steps: 20\n",
                "max_steps: 200\n      checkpoint_every: 7\n",
            )
            .replace("epochs: 2\n", "epochs: 8\n      checkpoint_every: 7\n");
        assert_eq!(text.matches("checkpoint_every: 7").count(), 2);
        project.write("workflows/tiny.yaml", &text);
        project
    };
    let whole = longer();
    whole.ok(&["run", "workflows/tiny.yaml"]);

    let project = longer();
    for (stage, step) in [("pretrain", 11), ("finetune", 23)] {
        kill_at(&project, stage, step);
    }
    project.ok(&["run", "workflows/tiny.yaml"]);
    let document = project.latest();
    let cached = |name: &str| {
        let mut stages = document["stages"].as_array().expect("stages").iter();
        stages.any(|stage| stage["name"] == name && stage["state"] == "cached")
    };
    assert!(cached("prepare") && cached("pretrain") && !cached("finetune"));
    assert_eq!(digests(&document), digests(&whole.latest()));
}

/// Kills a run with signal 9 when a stage tells that it has done so many steps.
fn kill_at(project: &Project, stage: &str, step: u64) {
    let mut run = project.start(&["run", "workflows/tiny.yaml", "--json"]);
    for line in BufReader::new(run.stdout()).lines() {
        let event: Value = serde_json::from_str(&line.expect("a line")).expect("an event");
        assert_ne!(
            event["event"], "run_finished",
            "{stage} never told of step {step}"
        );
        let is_there = event["event"] == "stage_progress"
            && event["stage"] == stage
            && event["progress"]["done"]
                .as_u64()
                .is_some_and(|done| done >= step);
        if is_there {
            break;
        }
    }
    run.signal(Signal::SIGKILL);
    assert_eq!(run.wait().code, Some(-9));
    eventually("no process of the run is left", || {
        processes_of(project).is_empty()
    });
}

/// Fails where numpy, pyarrow or scikit-learn see the outputs otherwise.
const LOOK: &str = r#"
import json
import numpy as np
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

table = pq.read_table("export.embeddings/embeddings.parquet")
kinds = {field.name: str(field.type) for field in table.schema}
assert kinds["entity"] == "string" and kinds["snapshot"] == "timestamp[ms]" and kinds["split"] == "string", kinds
assert kinds["embedding"] == "fixed_size_list<item: float not null>[16]", kinds
values = np.load("export.embeddings/embeddings.npy")
assert values.dtype == np.float32 and values.flags["C_CONTIGUOUS"]
assert np.array_equal(values, np.stack(table["embedding"].to_numpy()))

report = json.load(open("evaluate.report/report.json"))
rows = pq.read_table("finetune.predictions/predictions.parquet").to_pylist()
test = [row for row in rows if row["split"] == "test"]
keys = list(zip(table["entity"].to_pylist(), table["snapshot"].to_pylist()))
place = {key: i for i, key in enumerate(keys)}
labels = pq.read_table("prepare.dataset/samples").to_pylist()
for task, metrics in report["cells"][0]["tasks"].items():
    of_task = [row for row in test if row["task"] == task and row["label"] is not None]
    y, p = np.array([row["label"] for row in of_task]), np.array([row["score"] for row in of_task])
    assert abs(roc_auc_score(y, p) - metrics["auc"]) < 1e-6, task
    assert abs(log_loss(y, p) - metrics["logloss"]) < 1e-6, task
    train = [row for row in labels if row["split"] == "train" and row["label_" + task] is not None]
    x = values[[place[(row["entity"], row["snapshot"].replace(tzinfo=None))] for row in train]].astype(np.float64)
    z = values[[place[(row["entity"], row["snapshot"])] for row in of_task]].astype(np.float64)
    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation == 0] = 1
    model = LogisticRegression(C=1.0, max_iter=10000, tol=1e-10)
    model.fit((x - mean) / deviation, [row["label_" + task] for row in train])
    found = model.predict_proba((z - mean) / deviation)[:, 1]
    probe = report["cells"][1]["tasks"][task]
    assert abs(roc_auc_score(y, found) - probe["auc"]) < 1e-3, (task, roc_auc_score(y, found), probe["auc"])
    assert abs(log_loss(y, found) - probe["logloss"]) < 1e-4, (task, log_loss(y, found), probe["logloss"])
print("the same")
"#;

#[test]
fn python_reads_the_outputs_and_scikit_learn_agrees() {
    if !has_python("numpy, pyarrow, sklearn") {
        return;
    }
    let project = project("tiny.yaml");
    project.ok(&["run", "workflows/tiny.yaml"]);
    for output in [
        "finetune.predictions",
        "export.embeddings",
        "evaluate.report",
        "prepare.dataset",
    ] {
        get(&project, output);
    }
    let outcome = Command::new("python3")
        .args(["-c", LOOK])
        .current_dir(project.path("."))
        .output()
        .expect("python3 runs");
    let told = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&outcome.stdout).trim(), "the same");
}
