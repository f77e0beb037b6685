//! Runs `prepare` on small tables written by a test, and looks into the dataset it makes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use supermoe_channels::{Card, Dataset, PackedBatch, SampleId};
use supermoe_prepare::{Input, Params, Places, PrepareError, Reporter, prepare};
use tempfile::TempDir;

/// Of the shop, see [`shop`].
pub const EVENTS: &str = "\
user,day,item,amount
a,2020-02-10,x,2
a,2020-03-05,y,6
b,2020-02-28,y,7
b,2020-03-20,z,8
a,2020-04-05,x,11
a,2020-04-20,x,11
";

/// Collects what is told.
#[derive(Debug, Default)]
pub struct Told {
    pub warnings: Vec<String>,
    pub last_progress: Option<(u64, u64)>,
}

impl Reporter for Told {
    fn progress(&mut self, done: u64, total: u64, _: &str, _: &str) {
        self.last_progress = Some((done, total));
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }

    fn stop_requested(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub struct Prepared {
    pub folder: TempDir,
    pub dataset: Dataset,
    pub card: Card,
    pub told: Told,
}

/// Prepares files of the table `events`, with two threads.
pub fn prepare_files(params: &Value, files: &[PathBuf]) -> Result<Prepared, String> {
    prepare_with_threads(params, files, 2)
}

pub fn prepare_with_threads(
    params: &Value,
    files: &[PathBuf],
    threads: usize,
) -> Result<Prepared, String> {
    prepare_tables(params, &[("events", files)], None, threads)
}

/// Prepares several tables, by the name of each; `fitted` is a dataset to take vocabularies from.
pub fn prepare_tables(
    params: &Value,
    tables: &[(&str, &[PathBuf])],
    fitted: Option<&Path>,
    threads: usize,
) -> Result<Prepared, String> {
    let params: Params =
        serde_json::from_value(params.clone()).map_err(|error| error.to_string())?;
    let inputs: Vec<Input> = tables
        .iter()
        .map(|(port, paths)| Input {
            port: (*port).to_owned(),
            paths: paths.to_vec(),
        })
        .collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let work = tempfile::tempdir().expect("a temporary folder");
    let mut told = Told::default();
    let places = Places {
        inputs: &inputs,
        fitted,
        output: folder.path(),
        work: work.path(),
    };
    let card = prepare(&params, places, threads, &mut told);
    let card = card.map_err(|error: PrepareError| error.to_string())?;
    let left = fs::read_dir(work.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing is left in the work folder");
    let dataset = Dataset::open(folder.path()).expect("what prepare writes can be read");
    assert_eq!(Card::open(folder.path()).expect("a card"), card);
    Ok(Prepared {
        folder,
        dataset,
        card,
        told,
    })
}

/// Prepares a CSV file with this text.
pub fn prepare_csv(params: &Value, csv: &str) -> Result<Prepared, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("events.csv");
    fs::write(&file, csv).expect("a file can be written");
    let prepared = prepare_files(params, &[file]);
    // Names of temporary folders differ.
    prepared.map_err(|error| error.replace(&format!("{}/", folder.path().display()), ""))
}

impl Prepared {
    /// The sample of an entity at a date.
    pub fn sample(&self, entity: &str, date: &str) -> Option<SampleId> {
        let samples = self.dataset.samples();
        let found = (0..samples.len())
            .find(|&i| samples.entity[i] == entity && day(samples.snapshot_ms[i]) == date);
        found.map(|i| SampleId(i as u32))
    }

    pub fn pack(&self, entity: &str, date: &str) -> PackedBatch {
        self.dataset
            .pack(&[self.sample(entity, date).expect("the sample exists")])
    }

    /// The values of an id or category channel along a sample's tokens; `-` for what is unknown or
    /// hidden.
    pub fn values(&self, batch: &PackedBatch, channel: &str) -> Vec<String> {
        let schema = self.dataset.schema();
        let index = schema.channel(channel).expect("the channel exists");
        let place = schema
            .code_channels()
            .iter()
            .position(|&i| i == index)
            .expect("it has codes");
        let vocabulary = self
            .dataset
            .vocabulary(channel)
            .expect("it has a vocabulary");
        let codes = batch.codes[place].iter();
        codes
            .map(|&code| vocabulary.value(code).unwrap_or("-").to_owned())
            .collect()
    }

    /// The numbers of a dense channel or aggregate along a sample's tokens, before standardising,
    /// rounded; 0 standardised is the mean, which is how a missing value reads.
    pub fn numbers(&self, batch: &PackedBatch, column: &str) -> Vec<f64> {
        let schema = self.dataset.schema();
        let columns = schema.dense_columns();
        let place = columns
            .iter()
            .position(|found| found.name == column)
            .expect("the column exists");
        let (mean, deviation) = match schema.channel(column) {
            Some(channel) => (
                schema.channels[channel].mean,
                schema.channels[channel].deviation,
            ),
            None => {
                let aggregate = schema.aggregates.iter().find(|found| found.name == column);
                let aggregate = aggregate.expect("the aggregate exists");
                (aggregate.mean, aggregate.deviation)
            }
        };
        let tokens = 0..batch.tokens();
        let standardised =
            tokens.map(|token| f64::from(batch.dense[token * batch.dense_width + place]));
        standardised
            .map(|z| ((z * deviation + mean) * 1e4).round() / 1e4 + 0.0)
            .collect()
    }
}

pub fn day(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).expect("a date");
    time.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// Every file below a folder with its bytes, by path.
pub fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file");
                files.push((
                    path.strip_prefix(folder).expect("below it").to_owned(),
                    bytes,
                ));
            }
        }
    }
    files.sort();
    files
}

/// A small shop: snapshots 2020-03-01 (train), 2020-03-15 (valid), 2020-04-01 (test).
pub fn shop() -> Value {
    json!({
        "entity": "user", "time": "day", "history": "30d", "length": 3,
        "channels": { "item": { "kind": "id" }, "amount": { "kind": "dense" } },
        "splits": { "by": "time", "train": ["2020-03-01"], "valid": ["2020-03-15"], "test": ["2020-04-01"] },
        "tasks": { "buys": { "kind": "binary", "within": "7d", "label": "count(*) > 0" } },
    })
}
