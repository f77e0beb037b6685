//! What stands in the embeddings, and that the encoder is the one that made them.

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Float64Type, TimestampMillisecondType};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use supermoe_channels::{SampleId, Split};
use supermoe_trainer::plugins;

use crate::stage::{Artifacts, models, parquet_rows};
use crate::tiny_retail;

/// Shape and numbers of a .npy file of f32 in C order, read as NumPy's format says.
fn read_npy(bytes: &[u8]) -> ((usize, usize), Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_end]).expect("ASCII");
    assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': ("));
    let (_, shape) = header.split_once("'shape': (").expect("a shape");
    let (shape, _) = shape.split_once(')').expect("its end");
    let (rows, width) = shape.split_once(", ").expect("two numbers");
    let shape = (
        rows.parse().expect("a number"),
        width.parse().expect("a number"),
    );
    let (numbers, rest) = bytes[header_end..].as_chunks::<4>();
    assert!(rest.is_empty());
    (
        shape,
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    )
}

/// Exports into `<name>` and `<name>_encoder`.
fn export(
    artifacts: &Artifacts,
    port: &str,
    artifact: &str,
    params: Value,
    name: &str,
    threads: u32,
) {
    let outputs = [
        ("embeddings", name.to_owned()),
        ("encoder", format!("{name}_encoder")),
    ];
    let inputs = [("dataset", "dataset"), (port, artifact)];
    let run = artifacts.run_into(
        &plugins::export(models()),
        params,
        &inputs,
        &outputs,
        threads,
    );
    run.outcome.as_ref().expect("it exports");
    assert_eq!(run.warnings(), [""; 0]);
}

fn npy(artifacts: &Artifacts, name: &str) -> ((usize, usize), Vec<f32>) {
    read_npy(&artifacts.read(&format!("{name}/embeddings.npy")))
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn both_files_hold_the_samples_in_the_order_of_the_dataset() {
    let dataset = tiny_retail::dataset(20);
    let artifacts = Artifacts::trained(&dataset);
    export(&artifacts, "encoder", "encoder", json!({}), "all", 1);
    let (shape, numbers) = npy(&artifacts, "all");
    assert_eq!(shape, (80, 16));
    let rows = parquet_rows(&artifacts.path("all/embeddings.parquet"));
    assert_eq!(rows.num_rows(), 80);
    let column = |name: &str| rows.column_by_name(name).expect("a column");
    let lists = column("embedding").as_fixed_size_list();
    assert_eq!(lists.value_length(), 16);
    assert_eq!(
        lists
            .values()
            .as_primitive::<Float32Type>()
            .values()
            .as_ref(),
        numbers
    );
    let (entities, splits) = (
        column("entity").as_string::<i32>(),
        column("split").as_string::<i32>(),
    );
    let snapshots = column("snapshot").as_primitive::<TimestampMillisecondType>();
    for row in 0..80 {
        let id = SampleId(row as u32);
        assert_eq!(entities.value(row), dataset.entity(id));
        assert_eq!(snapshots.value(row), dataset.snapshot_ms(id));
        assert_eq!(splits.value(row), dataset.samples().split[row].name());
    }
    assert_eq!(
        artifacts.json("all/config.json"),
        json!({ "model": "supermoe", "revision": models()[0].revision, "d": 16, "pooling": "max", "rows": 80 })
    );
}

#[test]
fn the_towers_of_the_model_on_its_embeddings_are_its_predictions() {
    let dataset = tiny_retail::dataset(20);
    let artifacts = Artifacts::trained(&dataset);
    export(
        &artifacts,
        "model",
        "model",
        json!({ "splits": ["test"] }),
        "test",
        1,
    );
    let ((rows, width), embeddings) = npy(&artifacts, "test");
    assert_eq!((rows, width), (20, 16));

    let bytes = artifacts.read("model/weights.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("a file of tensors");
    let numbers = |name: &str| -> Vec<f32> {
        let (numbers, _) = tensors
            .tensor(name)
            .expect("a tensor")
            .data()
            .as_chunks::<4>();
        numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    };
    let (weights, bias) = (numbers("towers.buys.weight"), numbers("towers.buys.bias"));
    let predictions = parquet_rows(&artifacts.path("predictions/predictions.parquet"));
    let column = |name: &str| predictions.column_by_name(name).expect("a column");
    let (splits, tasks) = (
        column("split").as_string::<i32>(),
        column("task").as_string::<i32>(),
    );
    let scores = column("score").as_primitive::<Float64Type>();
    let scores: Vec<f64> = (0..predictions.num_rows())
        .filter(|&row| splits.value(row) == "test" && tasks.value(row) == "buys")
        .map(|row| scores.value(row))
        .collect();
    assert_eq!(scores.len(), 20);
    for (embedding, score) in embeddings.chunks_exact(width).zip(scores) {
        let logit: f32 = embedding
            .iter()
            .zip(&weights)
            .map(|(x, w)| x * w)
            .sum::<f32>()
            + bias[0];
        let expected = 1.0 / (1.0 + (-f64::from(logit)).exp());
        assert!((score - expected).abs() < 1e-5, "{score} {expected}");
    }
}

#[test]
fn the_encoder_alone_makes_the_same_embeddings() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(20));
    export(&artifacts, "encoder", "encoder", json!({}), "first", 1);
    for file in ["weights.safetensors", "config.json"] {
        let (before, after) = (format!("encoder/{file}"), format!("first_encoder/{file}"));
        assert_eq!(artifacts.read(&before), artifacts.read(&after), "{file}");
    }
    export(&artifacts, "model", "model", json!({}), "second", 1);
    export(
        &artifacts,
        "encoder",
        "second_encoder",
        json!({}),
        "third",
        1,
    );
    for file in ["embeddings.npy", "embeddings.parquet"] {
        let (second, third) = (format!("second/{file}"), format!("third/{file}"));
        assert_eq!(artifacts.read(&second), artifacts.read(&third));
    }
    assert_ne!(
        artifacts.read("first/embeddings.npy"),
        artifacts.read("second/embeddings.npy")
    );
    // The towers are not in it, and it is an encoder that `finetune` takes.
    assert!(
        !artifacts
            .read("second_encoder/weights.safetensors")
            .windows(6)
            .any(|six| six == b"towers")
    );
    let mut params = artifacts.json("second_encoder/config.json")["params"].clone();
    params = json!({ "model": "supermoe", "d_model": 16, "epochs": 1, "models": { "supermoe": params } });
    let inputs = [("dataset", "dataset"), ("encoder", "second_encoder")];
    let run = artifacts.run(&plugins::finetune(models()), params, &inputs, &[], 1);
    run.outcome.expect("it goes on from there");
}

#[test]
fn pooling_takes_the_steps_together() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(10));
    let pooled = ["max", "mean", "last"].map(|pooling| {
        let params = json!({ "pooling": pooling });
        export(&artifacts, "encoder", "encoder", params, pooling, 1);
        assert_eq!(
            artifacts.json(&format!("{pooling}/config.json"))["pooling"],
            pooling
        );
        npy(&artifacts, pooling).1
    });
    let [max, mean, last] = pooled;
    let mut is_last = 0;
    for ((max, mean), last) in max.iter().zip(&mean).zip(&last) {
        assert!(max >= last && *max >= mean - 1e-5, "{max} {mean} {last}");
        is_last += usize::from(max == last);
    }
    assert!(
        is_last > 0 && is_last < max.len(),
        "the snapshot step and the others have their say: {is_last}"
    );
    assert_ne!(mean, last);
}

#[test]
fn splits_are_chosen_and_batches_do_not_matter() {
    let dataset = tiny_retail::dataset(20);
    let artifacts = Artifacts::trained(&dataset);
    let two = json!({ "splits": ["valid", "test"], "batch_size": 1 });
    export(&artifacts, "encoder", "encoder", two, "two", 1);
    export(&artifacts, "encoder", "encoder", json!({}), "all", 1);
    let (shape, two) = npy(&artifacts, "two");
    assert_eq!(shape, (40, 16));
    let all = npy(&artifacts, "all").1;
    let rows = |split: Split| dataset.split(split).into_iter();
    let wanted: Vec<f32> = rows(Split::Valid)
        .chain(rows(Split::Test))
        .flat_map(|id| all[id.index() * 16..][..16].to_vec())
        .collect();
    assert_close(&two, &wanted);
}

#[test]
fn threads_change_no_bit() {
    let artifacts = Artifacts::trained(&tiny_retail::dataset(40));
    export(&artifacts, "model", "model", json!({}), "one", 1);
    export(&artifacts, "model", "model", json!({}), "three", 3);
    for file in ["embeddings.npy", "embeddings.parquet", "config.json"] {
        let (one, three) = (format!("one/{file}"), format!("three/{file}"));
        assert_eq!(artifacts.read(&one), artifacts.read(&three), "{file}");
    }
}
