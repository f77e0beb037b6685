//! The probe of embeddings.

use serde_json::json;
use supermoe_channels::{Dataset, SampleId, Split, TaskKind};

use crate::stage::{AUGUST, Embedding, Run, Stage, row};
use crate::tiny_retail;

/// Embeddings of all samples: the label of `buys` in half of the samples, noise and a constant.
fn embeddings(dataset: &Dataset) -> Vec<Embedding> {
    let splits = [(Split::Train, "train"), (Split::Test, "test")];
    let samples = splits
        .into_iter()
        .flat_map(|(split, name)| dataset.split(split).into_iter().map(move |id| (id, name)));
    samples
        .map(|(id, split)| {
            let noise = (id.0.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0;
            let hint = if noise < 0.5 {
                dataset.label(id, 0)
            } else {
                0.5
            };
            let embedding = vec![3.0 * hint - 40.0, noise, 7.0];
            (
                dataset.entity(id).to_owned(),
                dataset.snapshot_ms(id),
                split,
                embedding,
            )
        })
        .collect()
}

fn run(dataset: &Dataset, embeddings: &[Embedding]) -> Run {
    Stage::new()
        .dataset(dataset)
        .embeddings(json!({}), embeddings)
        .run()
}

#[test]
fn a_probe_finds_what_embeddings_hold() {
    let dataset = tiny_retail::dataset(120);
    let run = run(&dataset, &embeddings(&dataset));
    let json = run.json();
    let auc = |task: &str| {
        json["cells"][0]["tasks"][task]["auc"]
            .as_f64()
            .expect("a number")
    };
    assert_eq!(json["cells"][0]["source"], "embeddings");
    // Half of the pairs can be told apart on either side, so 3/4 or more.
    assert!(auc("buys") > 0.74, "{}", auc("buys"));
    assert!((auc("returns") - 0.5).abs() < 0.15, "{}", auc("returns"));
    assert!(
        run.metrics()
            .iter()
            .any(|metric| metric.starts_with("probe/buys/auc 0."))
    );
    assert_eq!(run.warnings(), [""; 0]);
    assert!(run.text("report.md").contains("| probe of embeddings | "));
}

#[test]
fn each_kind_of_task_has_a_probe() {
    let steps = |dataset: &Dataset, id: SampleId| dataset.tokens(id) as f32;
    let plain = tiny_retail::dataset(60);
    let lengths: Vec<f32> = (0..plain.len() as u32)
        .map(|id| steps(&plain, SampleId(id)))
        .collect();
    let dataset = tiny_retail::dataset_with(60, |schema, samples| {
        let [number, class] = &mut schema.tasks[..] else {
            unreachable!("the shop has two tasks");
        };
        (number.kind, number.mean, number.deviation) = (TaskKind::Regression, 6.0, 3.0);
        class.kind = TaskKind::Multiclass;
        class.classes = ["long", "middle", "short"].map(str::to_owned).into();
        samples.labels[0] = lengths.iter().map(|steps| 100.0 * steps).collect();
        samples.labels[1] = lengths
            .iter()
            .map(|steps| match *steps as u32 {
                0..5 => 2.0,
                5..9 => 1.0,
                _ => 0.0,
            })
            .collect();
    });
    let mut rows = embeddings(&dataset);
    let ids = [Split::Train, Split::Test]
        .into_iter()
        .flat_map(|split| dataset.split(split));
    for (row, id) in rows.iter_mut().zip(ids) {
        row.3[0] = steps(&dataset, id);
    }
    let json = run(&dataset, &rows).json();
    let tasks = &json["cells"][0]["tasks"];
    let number = |task: &str, metric: &str| tasks[task][metric].as_f64().expect("a number");
    assert!(
        number("buys", "r2") > 0.999 && number("buys", "mae") < 10.0,
        "{tasks}"
    );
    assert_eq!(number("buys", "concordance"), 1.0);
    assert!(
        number("returns", "auc") > 0.9 && number("returns", "logloss") < 0.5,
        "{tasks}"
    );
    let classes = json["cells"][0]["classes"]["returns"]
        .as_object()
        .expect("classes");
    assert_eq!(
        classes.keys().collect::<Vec<_>>(),
        ["long", "middle", "short"]
    );
    assert!(classes["long"]["auc"].as_f64().expect("a number") > 0.99);
}

#[test]
fn threads_change_no_bit() {
    let dataset = tiny_retail::dataset(400);
    let on = |threads: u32| {
        let stage = Stage::new()
            .dataset(&dataset)
            .embeddings(json!({}), &embeddings(&dataset));
        let run = stage.threads(threads).run();
        run.outcome.as_ref().expect("a report");
        run.text("report.json")
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn a_probe_stands_beside_predictions_of_the_same_test_set() {
    let dataset = tiny_retail::dataset(30);
    let names: Vec<&'static str> = (0..30).map(|i| &*format!("entity-{i:04}").leak()).collect();
    let day = dataset.snapshot_ms(dataset.split(Split::Test)[0]) / crate::stage::DAY_MS;
    let rows: Vec<_> = dataset
        .split(Split::Test)
        .into_iter()
        .zip(names)
        .map(|(id, name): (SampleId, _)| {
            row(
                name,
                day,
                "buys",
                Some(dataset.label(id, 0)),
                f64::from(id.0 % 7) / 7.0,
            )
        })
        .collect();
    let with = |rows: &[_]| {
        Stage::new()
            .predictions(json!({}), rows)
            .dataset(&dataset)
            .embeddings(json!({}), &embeddings(&dataset))
            .run()
    };
    let both = with(&rows);
    let json = both.json();
    assert_eq!(json["cells"][0]["source"], "predictions");
    assert_eq!(json["cells"][1]["source"], "embeddings");
    // Predictions have `buys` alone, so the probe does too.
    assert_eq!(json["tasks"].as_array().map(Vec::len), Some(1));
    let metrics = both.metrics();
    for name in ["test/buys/auc ", "probe/buys/auc "] {
        assert!(
            metrics.iter().any(|metric| metric.starts_with(name)),
            "{metrics:?}"
        );
    }
    assert!(with(&rows[1..]).error().starts_with(
        "input 2 cannot stand in one table with input 1: task `buys`: its test set has 30 samples"
    ));
}

#[test]
fn several_embeddings_are_compared_by_their_matrix() {
    let dataset = tiny_retail::dataset(60);
    let good = embeddings(&dataset);
    let mut noise = good.clone();
    noise.iter_mut().for_each(|row| row.3[0] = 0.0);
    let stage = Stage::new()
        .dataset(&dataset)
        .embeddings(json!({ "experts": 4 }), &good);
    let run = stage.embeddings(json!({ "experts": 16 }), &noise).run();
    let json = run.json();
    let auc = |group: usize| {
        json["groups"][group]["tasks"]["buys"]["auc"]["mean"]
            .as_f64()
            .expect("a number")
    };
    assert!(auc(0) > auc(1) + 0.1);
    assert!(
        run.metrics()
            .iter()
            .any(|metric| metric.starts_with("probe/buys/auc[experts=16] "))
    );
}

#[test]
fn embeddings_of_something_else_are_refused() {
    let dataset = tiny_retail::dataset(30);
    let told = |change: &dyn Fn(&mut Vec<Embedding>)| {
        let mut rows = embeddings(&dataset);
        change(&mut rows);
        run(&dataset, &rows)
            .error()
            .replace("cannot read FOLDER/embeddings0/embeddings.parquet: ", "")
    };
    let test = |row: &Embedding| row.2 == "test";
    assert_eq!(
        told(&|rows| rows.retain(|row| !test(row))),
        "embeddings: there is no embedding of 30 of the dataset's 30 test samples, for example entity entity-0000 at \
         2019-07-13; take both from one `export` of this dataset with train and test in its `splits`"
    );
    assert!(told(&|rows| rows.retain(test)).contains("of 60 of the dataset's 60 train samples"));
    assert_eq!(
        told(&|rows| rows.push(rows[0].clone())),
        "embeddings: entity entity-0000 stands twice at 2019-04-14"
    );
    assert_eq!(
        told(&|rows| rows[0].3[1] = f32::NAN),
        "the embedding of entity entity-0000 holds NULL, NaN or infinity"
    );
    assert_eq!(told(&Vec::clear), "it has no embeddings");
    let without = Stage::new()
        .embeddings(json!({}), &embeddings(&dataset))
        .run();
    assert!(
        without
            .error()
            .contains("give the stage the input `dataset`")
    );
    let wrong = Stage::new()
        .dataset(&dataset)
        .predictions(json!({}), &[row("a", AUGUST, "other", Some(1.0), 0.5)])
        .embeddings(json!({}), &embeddings(&dataset));
    assert_eq!(
        wrong.run().error(),
        "embeddings: the dataset has none of the tasks"
    );
    let penalty = Stage::new().param("probe_l2", json!(0.0)).run();
    assert_eq!(
        penalty.error(),
        "`probe_l2`: expected a number from 0.000001 to 1000000000, found 0"
    );
}

#[test]
fn equal_training_labels_give_a_warning() {
    let dataset = tiny_retail::dataset_with(30, |_, samples| {
        let splits = samples.split.iter();
        let labels = samples.labels[0].iter_mut().zip(splits);
        labels
            .filter(|(_, split)| **split == Split::Train)
            .for_each(|(label, _)| *label = 1.0);
    });
    let run = run(&dataset, &embeddings(&dataset));
    assert_eq!(
        run.warnings(),
        [
            "embeddings: task `buys`: all training labels are equal: there is nothing for a probe to learn"
        ]
    );
}
