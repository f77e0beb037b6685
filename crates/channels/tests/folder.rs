//! A dataset through its folder and back, packed, and damaged in many ways.

use std::path::Path;

use indexmap::IndexMap;
use proptest::prelude::*;
use supermoe_channels::{
    Aggregate, Channel, ChannelKind, ChannelValues, Dataset, DatasetError, Per, SCHEMA_VERSION,
    SampleId, Samples, Schema, Split, SplitCounts, Steps, Task, TaskKind, Total, Vocabulary,
};

/// One channel of each kind that there is, over entities with these numbers of steps.
fn toy(lengths: &[usize]) -> Dataset {
    let length = 3;
    let mut steps = Steps::default();
    let mut samples = Samples {
        aggregates: vec![Vec::new()],
        labels: vec![Vec::new()],
        ..Samples::default()
    };
    for (entity, &count) in (0..).zip(lengths) {
        let first = steps.entity.len();
        steps.entity.extend(vec![entity; count]);
        steps.visit.extend((0..count as u32).map(|step| step / 2));
        samples.entity_index.push(entity);
        samples.entity.push(format!("user {entity}"));
        samples.snapshot_ms.push(1_000 * i64::from(entity));
        samples.split.push(Split::ALL[entity as usize % 3]);
        samples
            .first_step
            .push((first + count.saturating_sub(length)) as u64);
        samples.steps.push(count.min(length) as u32);
        samples.window_first.push(first as u64);
        samples.aggregates[0].push(if entity == 1 { f32::NAN } else { entity as f32 });
        samples.labels[0].push([0.0, 1.0, f32::NAN][entity as usize % 3]);
    }
    let all = steps.entity.len();
    let of_samples: usize = samples.steps.iter().map(|&steps| steps as usize).sum();
    let numbers = |count: usize| {
        (0..count)
            .map(|i| if i % 5 == 4 { f32::NAN } else { i as f32 })
            .collect()
    };
    let codes = |count: usize| {
        (0..count as u32)
            .map(|i| [1, 3, 4][i as usize % 3])
            .collect()
    };
    let values = vec![
        ChannelValues::Codes {
            values: codes(all),
            first_of_window: Some(vec![1; all]),
        },
        ChannelValues::Numbers {
            values: numbers(all),
            first_of_window: Some(vec![0.0; all]),
        },
        ChannelValues::SampleStepCodes(codes(of_samples)),
        ChannelValues::SampleStepNumbers(numbers(of_samples)),
        ChannelValues::SnapshotCodes(codes(lengths.len())),
        ChannelValues::SnapshotNumbers(numbers(lengths.len())),
        ChannelValues::Total((0..all).map(|i| i as f64).collect()),
    ];
    let channel = |name: &str, kind, per, total| Channel {
        name: name.to_owned(),
        kind,
        per,
        vocabulary: if kind == ChannelKind::Dense { 0 } else { 5 },
        mean: 0.0,
        deviation: 1.0,
        quantiles: Vec::new(),
        total,
        hash_buckets: 0,
    };
    let total = Some(Total {
        source: vec!["amount".to_owned()],
    });
    let channels = vec![
        channel("item", ChannelKind::Id, Per::Step, None),
        channel("amount", ChannelKind::Dense, Per::Step, None),
        channel("late", ChannelKind::Category, Per::SampleStep, None),
        channel("recency", ChannelKind::Dense, Per::SampleStep, None),
        channel("month", ChannelKind::Category, Per::Snapshot, None),
        channel("phase", ChannelKind::Dense, Per::Snapshot, None),
        channel("spent", ChannelKind::Dense, Per::Step, total),
    ];
    let vocabulary = || Vocabulary::from_counts([("a".to_owned(), 2), ("b".to_owned(), 1)], 1);
    let vocabularies: IndexMap<String, Vocabulary> = ["item", "late", "month"]
        .into_iter()
        .map(|name| (name.to_owned(), vocabulary()))
        .collect();
    let schema = Schema {
        version: SCHEMA_VERSION,
        entity: "user".to_owned(),
        time: "at".to_owned(),
        length: length as u32,
        history_seconds: 86_400,
        channels,
        aggregates: vec![Aggregate {
            name: "sum".to_owned(),
            mean: 0.0,
            deviation: 1.0,
        }],
        tasks: vec![Task {
            name: "buys".to_owned(),
            kind: TaskKind::Binary,
            classes: Vec::new(),
            mean: 0.0,
            deviation: 1.0,
            within_seconds: 86_400,
        }],
        splits: SplitCounts::of(&samples.split),
        snapshots: vec!["1970-01-01".to_owned()],
    };
    Dataset::new(schema, vocabularies, steps, values, samples).expect("its parts fit together")
}

fn folder_of(dataset: &Dataset) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    dataset.write(folder.path()).expect("it can be written");
    folder
}

fn all(dataset: &Dataset) -> Vec<SampleId> {
    (0..dataset.len() as u32).map(SampleId).collect()
}

/// Bit patterns, so that NaN equals itself.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_folder_gives_back_what_was_written(lengths in prop::collection::vec(1usize..7, 1..6)) {
        let mut dataset = toy(&lengths);
        dataset.fit_scales();
        let folder = folder_of(&dataset);
        let read = Dataset::open(folder.path()).expect("it can be read");
        prop_assert_eq!(read.schema(), dataset.schema());
        let (one, two) = (dataset.pack(&all(&dataset)), read.pack(&all(&read)));
        prop_assert_eq!(&one.codes, &two.codes);
        prop_assert_eq!(bits(&one.dense), bits(&two.dense));
        prop_assert_eq!(bits(&one.labels), bits(&two.labels));
        prop_assert_eq!((one.offsets, one.position, one.visit), (two.offsets, two.position, two.visit));
    }

    #[test]
    fn a_batch_is_its_samples_one_after_another(lengths in prop::collection::vec(1usize..7, 1..6)) {
        let mut dataset = toy(&lengths);
        dataset.fit_scales();
        let batch = dataset.pack(&all(&dataset));
        prop_assert_eq!(batch.len(), lengths.len());
        for (i, sample) in all(&dataset).into_iter().enumerate() {
            let alone = dataset.pack(&[sample]);
            let tokens = batch.sequence(i);
            prop_assert_eq!(tokens.len(), dataset.tokens(sample));
            prop_assert_eq!(&batch.position[tokens.clone()], &alone.position[..]);
            prop_assert_eq!(&batch.is_snapshot[tokens.clone()], &alone.is_snapshot[..]);
            for (codes, of_alone) in batch.codes.iter().zip(&alone.codes) {
                prop_assert_eq!(&codes[tokens.clone()], &of_alone[..]);
            }
            let width = batch.dense_width;
            let dense = &batch.dense[tokens.start * width..tokens.end * width];
            prop_assert_eq!(bits(dense), bits(&alone.dense));
            prop_assert!(dense.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn cut_or_changed_files_are_errors_and_never_panics() {
    let folder = folder_of(&toy(&[4, 1, 2]));
    let files = [
        "schema.json",
        "steps/part-00000.parquet",
        "samples/part-00000.parquet",
        "vocabularies/item.parquet",
    ];
    for file in files {
        let path = folder.path().join(file);
        let whole = std::fs::read(&path).expect("a file");
        for part in 0..16 {
            std::fs::write(&path, &whole[..whole.len() * part / 16]).expect("a file");
            Dataset::open(folder.path()).expect_err("its end is missing");
        }
        for place in (0..whole.len()).step_by(whole.len() / 48) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&path, bytes).expect("a file");
            if let Ok(dataset) = Dataset::open(folder.path()) {
                // A change that leaves a valid dataset, such as one in a name.
                dataset.pack(&all(&dataset));
            }
        }
        std::fs::write(&path, whole).expect("a file");
    }
    Dataset::open(folder.path()).expect("all files are whole again");
}

#[test]
fn the_snapshot_step_carries_what_belongs_to_the_sample() {
    let dataset = toy(&[5, 2]);
    let batch = dataset.pack(&[SampleId(0)]);
    // item, late and month of the three newest steps and the snapshot step.
    assert_eq!(
        batch.codes,
        [vec![4, 1, 3, 2], vec![1, 3, 4, 2], vec![1, 1, 1, 1]]
    );
    let column =
        |k: usize| -> Vec<f32> { (0..4).map(|token| batch.dense[token * 5 + k]).collect() };
    assert_eq!(
        column(0),
        [2.0, 3.0, 0.0, 0.0],
        "amount; the last step has no value"
    );
    assert_eq!(column(1), [0.0, 1.0, 2.0, 0.0], "recency");
    assert_eq!(column(2), [0.0, 0.0, 0.0, 0.0], "phase");
    assert_eq!(column(3)[3], 0.0, "a total is of events");
    assert_eq!(column(4), [0.0, 0.0, 0.0, 0.0], "the aggregate is 0 here");
    let batch = dataset.pack(&[SampleId(1)]);
    assert_eq!(
        batch.codes[0],
        [1, 1, 2],
        "the first step of a history has its own value"
    );
    assert_eq!(batch.dense[4], 0.0);
    assert_eq!(
        (batch.visit, batch.position),
        (vec![0, 0, 1], vec![2, 1, 0])
    );
}

#[test]
fn totals_begin_with_the_window_and_not_with_the_entity_before() {
    let dataset = toy(&[2, 5]);
    let batch = dataset.pack(&[SampleId(1)]);
    // Sums run 2, 3, 4, 5, 6 over the second entity, whose window begins with its first step.
    let spent: Vec<f32> = (0..3).map(|token| batch.dense[token * 5 + 3]).collect();
    assert_eq!(spent, [4.0f64, 5.0, 6.0].map(|x| x.ln_1p() as f32));
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let rewritten = |file: &str, from: &str, to: &str| {
        let folder = folder_of(&toy(&[4, 1]));
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).expect("a file");
        let error = Dataset::open(folder.path()).expect_err("it does not fit");
        error
            .to_string()
            .replace(&folder.path().display().to_string(), "FOLDER")
    };
    let schema = |from: &str, to: &str| rewritten("schema.json", from, to);
    assert_eq!(
        schema("\"version\": 2", "\"version\": 9"),
        "dataset: schema.json has version 9, this build reads version 2"
    );
    assert_eq!(
        schema("\"name\": \"item\"", "\"name\": \"thing\""),
        "dataset: FOLDER/steps/part-00000.parquet is not what was expected: it has no column `channel_thing`"
    );
    assert_eq!(
        schema("\"vocabulary\": 5", "\"vocabulary\": 4"),
        "dataset: channel `item`: code 4 at row 2; codes are 0..4"
    );
    assert_eq!(
        schema("\"length\": 3", "\"length\": 2"),
        "dataset: sample 0 (`user 0`): 3 steps; expected 1 to 2"
    );
    assert!(
        schema("\"deviation\": 1.0", "\"deviation\": 0.0")
            .contains("expected finite numbers, deviation above 0")
    );
    assert!(
        schema("\"per\": \"step\"", "\"per\": \"snapshot\"")
            .contains("it has no column `channel_item`")
    );
    assert!(
        schema("\"kind\": \"binary\"", "\"kind\": \"ranking\"")
            .starts_with("dataset: FOLDER/schema.json is not valid JSON")
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = Dataset::open(Path::new("no/such/folder")).expect_err("it is not there");
    assert!(
        matches!(error, DatasetError::Io { action: "read", .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("dataset: cannot read no/such/folder/schema.json: ")
    );
}
