//! How id tables are split, kept and updated: what changes nothing that is learned, and what does.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use supermoe_channels::Dataset;
use supermoe_nn::Cpu;
use supermoe_nn::tables::TablePlace;
use supermoe_trainer::{InputLayout, Job, PretrainParams};

use crate::stage::{Stage, finetune_params, on_threads, pretrain_params, with};
use crate::tiny_retail;

/// Tables of an id channel, and of a head with sampled softmax.
fn pretraining(tables: Value) -> Value {
    let params = with(pretrain_params(), "predict", json!(["product"]));
    let sampled = json!({ "above": 8, "samples": 4 });
    let params = with(params, "sampled_softmax", sampled);
    with(params, "tables", tables)
}

/// Digests of all that both trainings put out.
fn outputs(dataset: &Dataset, tables: &Value) -> [BTreeMap<String, String>; 2] {
    let (pretrained, tuned) = (Stage::new(), Stage::new());
    let params = pretraining(tables.clone());
    pretrained
        .pretrain(dataset, &params, &mut pretrained.listener())
        .unwrap();
    let params = with(finetune_params(), "tables", tables.clone());
    let encoder = pretrained.path("encoder");
    tuned
        .finetune(dataset, &params, Some(&encoder), &mut tuned.listener())
        .unwrap();
    [pretrained.digests(), tuned.digests()]
}

#[test]
fn shards_and_files_change_no_output() {
    let dataset = tiny_retail::dataset(60);
    let expected = outputs(&dataset, &json!({}));
    for tables in [
        json!({ "shards": 2 }),
        json!({ "shards": 15 }),
        json!({ "memory": "1KiB" }),
        json!({ "shards": 3, "memory": "1B" }),
    ] {
        assert_eq!(outputs(&dataset, &tables), expected, "{tables}");
    }
}

/// Outputs do not tell whether a limit is heeded: it changes none.
#[test]
fn tables_beyond_the_limit_of_memory_lie_in_files_of_the_jobs_folder() {
    let dataset = tiny_retail::dataset(20);
    let stage = Stage::new();
    let work = stage.path("checkpoint");
    let place = |tables: Value| {
        let params: PretrainParams = serde_json::from_value(pretraining(tables)).unwrap();
        let factories = [supermoe_model_supermoe::factory()];
        let job = Job::new(&factories, params, 0, &dataset).unwrap();
        let layout = InputLayout::new(dataset.schema());
        let job = job.in_folder(&work);
        let built = job.build(Cpu::default(), &layout, &[], |_| Ok(()));
        let (network, ()) = built.unwrap();
        let [products] = network.tables()[..] else {
            panic!("one id channel, so one table");
        };
        products.place().clone()
    };
    // 15 rows of 8 values, each with two moments, take 1440 bytes.
    let in_file = TablePlace::File(work.clone());
    assert_eq!(place(json!({ "memory": "1B" })), in_file);
    assert_eq!(place(json!({ "memory": "1439B" })), in_file);
    assert_eq!(place(json!({ "memory": "1440B" })), TablePlace::Memory);
    assert_eq!(place(json!({})), TablePlace::Memory);
}

#[test]
fn updates_that_come_late_give_the_same_bytes_each_time() {
    let dataset = tiny_retail::dataset(60);
    let late = |steps: u64| json!({ "updates": { "staleness": steps } });
    let expected = outputs(&dataset, &late(2));
    for threads in [1, 3] {
        let sharded = json!({ "updates": { "staleness": 2 }, "shards": 4, "memory": "1B" });
        let found = on_threads(threads, || outputs(&dataset, &sharded));
        assert_eq!(found, expected, "{threads} threads");
    }
    for other in [json!({}), late(1)] {
        assert_ne!(outputs(&dataset, &other), expected, "{other}");
    }
}

#[test]
fn more_shards_than_rows_are_refused() {
    let dataset = tiny_retail::dataset(40);
    let stage = Stage::new();
    let params = with(finetune_params(), "tables", json!({ "shards": 16 }));
    let error = stage.finetune(&dataset, &params, None, &mut stage.listener());
    let told = error.unwrap_err().to_string();
    assert!(
        told.starts_with("the id table \"mfp.table.product\" has 15 rows"),
        "{told}"
    );
}
