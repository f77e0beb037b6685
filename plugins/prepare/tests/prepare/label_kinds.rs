//! Tasks of every kind, splits by entity, and samples to predict.

use std::collections::HashMap;

use crate::support::{day, prepare_csv, shop};
use serde_json::{Value, json};
use supermoe_channels::Split;

const EVENTS: &str = "\
user,day,item,amount
a,2020-02-10,x,2
b,2020-02-11,y,3
c,2020-02-12,x,4
d,2020-02-13,x,4
a,2020-03-03,book,10
b,2020-03-04,pen,20
c,2020-03-05,book,30
a,2020-03-20,ink,5
b,2020-04-02,pen,7
c,2020-04-03,ink,9
a,2020-04-20,x,1
";

fn with(task: Value, splits: Value) -> Value {
    let mut params = shop();
    params["tasks"] = json!({ "next": task });
    params["splits"] = splits;
    params
}

fn by_time() -> Value {
    json!({ "by": "time", "train": ["2020-03-01"], "test": ["2020-04-01"] })
}

#[test]
fn classes_are_those_of_the_training_labels() {
    let task =
        json!({ "kind": "multiclass", "within": "7d", "label": "first_value(item ORDER BY day)" });
    let prepared = prepare_csv(&with(task, by_time()), EVENTS).expect("good data");
    let task = &prepared.dataset.schema().tasks[0];
    assert_eq!(task.classes, ["book", "pen"]);
    assert_eq!((task.mean, task.deviation), (0.0, 1.0));
    let label = |entity, date| {
        prepared
            .dataset
            .label(prepared.sample(entity, date).expect("a sample"), 0)
    };
    let train = ["a", "b", "c"].map(|entity| label(entity, "2020-03-01"));
    assert_eq!(train, [0.0, 1.0, 0.0]);
    assert!(
        label("d", "2020-03-01").is_nan(),
        "nothing happens in its window"
    );
    assert_eq!(label("b", "2020-04-01"), 1.0);
    assert!(label("c", "2020-04-01").is_nan(), "ink is no class");
    let card = &prepared.card.tasks["next"];
    assert_eq!(card.unseen_labels, 1);
    assert_eq!(card.class_rate["book"]["train"], Some(2.0 / 3.0));
    assert_eq!(card.class_rate["pen"]["test"], Some(1.0));
    assert_eq!(card.label_rate["train"], None);
    let warnings = &prepared.told.warnings;
    let warned = |text: &str| warnings.iter().any(|warning| warning.contains(text));
    assert!(
        warned("1 labels are of classes that no training sample has"),
        "{warnings:?}"
    );
    assert!(
        warned("has one class in test: all labels are `pen`"),
        "{warnings:?}"
    );
}

#[test]
fn regression_labels_are_raw_and_their_scale_is_that_of_training() {
    let task = json!({ "kind": "regression", "within": "7d", "label": "sum(amount)" });
    let prepared = prepare_csv(&with(task, by_time()), EVENTS).expect("good data");
    let task = &prepared.dataset.schema().tasks[0];
    assert_eq!(task.mean, 20.0);
    assert!((task.deviation - (200.0f64 / 3.0).sqrt()).abs() < 1e-9);
    assert!(task.classes.is_empty());
    let sample = prepared.sample("c", "2020-03-01").expect("a sample");
    assert_eq!(prepared.dataset.label(sample, 0), 30.0);
    assert_eq!(prepared.card.tasks["next"].label_rate["train"], Some(20.0));
}

#[test]
fn a_multiclass_task_with_one_class_is_a_warning() {
    let task = json!({ "kind": "multiclass", "within": "7d", "label": "max('only')" });
    let prepared = prepare_csv(&with(task, by_time()), EVENTS).expect("it is no error");
    let first = &prepared.told.warnings[0];
    assert!(
        first.starts_with("task `next` has one class in train: all labels are `only`"),
        "{first}"
    );
}

/// 200 users with events on the same days.
fn many() -> String {
    let mut csv = "user,day,item,amount\n".to_owned();
    for user in 0..200 {
        for day in ["2020-02-10", "2020-03-03", "2020-03-20", "2020-04-20"] {
            csv += &format!("u{user},{day},x{},{}\n", user % 7, user % 5);
        }
    }
    csv
}

#[test]
fn by_entity_no_entity_is_in_two_splits_and_all_snapshots_are_in_each() {
    let task = json!({ "kind": "binary", "within": "7d", "label": "count(*) > 0" });
    let splits = json!({
        "by": "entity", "snapshots": { "from": "2020-03-01", "to": "2020-04-01", "every": "month" },
        "valid": 0.2, "test": 0.3,
    });
    let prepared = prepare_csv(&with(task, splits), &many()).expect("good data");
    let samples = prepared.dataset.samples();
    let mut split_of: HashMap<&str, Split> = HashMap::new();
    for (entity, &split) in samples.entity.iter().zip(&samples.split) {
        assert_eq!(*split_of.entry(entity).or_insert(split), split, "{entity}");
    }
    assert_eq!(split_of.len(), 200);
    let share = |split| split_of.values().filter(|of| **of == split).count();
    assert!(
        (45..75).contains(&share(Split::Test)),
        "{}",
        share(Split::Test)
    );
    assert!(
        (25..55).contains(&share(Split::Valid)),
        "{}",
        share(Split::Valid)
    );
    for split in Split::ALL {
        let ids = prepared.dataset.split(split);
        let mut days: Vec<String> = ids
            .iter()
            .map(|id| day(samples.snapshot_ms[id.index()]))
            .collect();
        days.sort();
        days.dedup();
        assert_eq!(days, ["2020-03-01", "2020-04-01"]);
    }
    let again = with(
        json!({ "kind": "binary", "within": "7d", "label": "count(*) > 0" }),
        json!({ "by": "entity", "snapshots": ["2020-03-01"], "valid": 0.2, "test": 0.3 }),
    );
    let again = prepare_csv(&again, &many()).expect("good data");
    let others = again.dataset.samples();
    for (entity, split) in others.entity.iter().zip(&others.split) {
        assert_eq!(split_of[entity.as_str()], *split, "the hash is stable");
    }
}

#[test]
fn by_entity_nothing_of_other_splits_is_fitted_on() {
    let task = json!({ "kind": "multiclass", "within": "7d", "label": "max(item)" });
    let splits = json!({ "by": "entity", "snapshots": ["2020-03-01"], "test": 0.5 });
    let prepared = prepare_csv(&with(task.clone(), splits.clone()), &many()).expect("good data");
    let samples = prepared.dataset.samples();
    let in_test: Vec<&str> = samples
        .entity
        .iter()
        .zip(&samples.split)
        .filter(|(_, split)| **split == Split::Test)
        .map(|(entity, _)| entity.as_str())
        .collect();
    let mut changed = String::new();
    for line in many().lines() {
        let user = line.split(',').next().expect("a field");
        match in_test.contains(&user) {
            true => {
                changed += &format!(
                    "{user},{},strange,777\n",
                    line.split(',').nth(1).expect("a day")
                )
            }
            false => changed += &format!("{line}\n"),
        }
    }
    let other = prepare_csv(&with(task, splits), &changed).expect("good data");
    assert_eq!(other.dataset.schema(), prepared.dataset.schema());
    assert_eq!(
        other.dataset.vocabulary("item"),
        prepared.dataset.vocabulary("item")
    );
    assert_ne!(other.dataset, prepared.dataset);
}
