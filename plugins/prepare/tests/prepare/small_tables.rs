//! Tables small enough to work out samples, labels, totals and codes by hand.

use crate::support::{prepare_csv, prepare_files, shop};
use serde_json::{Value, json};
use supermoe_channels::{MASK_CODE, Split};

/// 2020-02-20 has a tie; c's first event stands at a snapshot; nothing happens after 2020-04-20.
const EVENTS: &str = "\
user,day,item,amount
b,2020-03-20,z,8
a,2020-01-15,x,1
a,2020-02-10,x,2
a,2020-02-20,z,4
a,2020-02-20,y,3
a,2020-02-25,x,5
a,2020-03-05,y,6
b,2020-02-28,y,7
c,2020-03-01,x,9
c,2020-03-10,q,10
a,2020-04-05,x,11
b,2020-04-20,x,12
";

fn with(changes: Value) -> Value {
    let mut params = shop();
    for (section, values) in changes.as_object().expect("a map") {
        match (params[section].as_object_mut(), values.as_object()) {
            (Some(section), Some(values)) => section.extend(values.clone()),
            _ => params[section] = values.clone(),
        }
    }
    params
}

#[test]
fn a_sample_sees_the_newest_steps_of_its_history_and_nothing_else() {
    let prepared = prepare_csv(&shop(), EVENTS).expect("good data");
    let samples = prepared.dataset.samples();
    let found: Vec<(&str, String, Split)> = (0..samples.len())
        .map(|i| {
            (
                samples.entity[i].as_str(),
                crate::support::day(samples.snapshot_ms[i]),
                samples.split[i],
            )
        })
        .collect();
    let expected = [
        ("a", "2020-03-01", Split::Train),
        ("b", "2020-03-01", Split::Train),
        ("a", "2020-03-15", Split::Valid),
        ("b", "2020-03-15", Split::Valid),
        ("c", "2020-03-15", Split::Valid),
        ("a", "2020-04-01", Split::Test),
        ("b", "2020-04-01", Split::Test),
        ("c", "2020-04-01", Split::Test),
    ];
    assert_eq!(
        found,
        expected.map(|(entity, date, split)| (entity, date.to_owned(), split))
    );

    let batch = prepared.pack("a", "2020-03-01");
    assert_eq!(prepared.values(&batch, "item"), ["y", "z", "x", "-"]);
    assert_eq!(prepared.numbers(&batch, "amount")[..3], [3.0, 4.0, 5.0]);
    assert_eq!(batch.position, [3, 2, 1, 0]);
    assert_eq!(batch.visit, [1, 1, 2, 3]);
    assert_eq!(batch.is_snapshot, [false, false, false, true]);
    assert_eq!(batch.codes[0][3], MASK_CODE);
    let batch = prepared.pack("c", "2020-03-15");
    assert_eq!(
        prepared.values(&batch, "item"),
        ["x", "-", "-"],
        "q is new since the training period"
    );
    assert_eq!(
        prepared.numbers(&prepared.pack("a", "2020-04-01"), "amount")[..1],
        [6.0]
    );
}

#[test]
fn labels_look_at_their_window_alone() {
    let prepared = prepare_csv(&shop(), EVENTS).expect("good data");
    let label = |entity, date| {
        prepared
            .dataset
            .label(prepared.sample(entity, date).expect("a sample"), 0)
    };
    let labels = [
        ("a", "2020-03-01"),
        ("b", "2020-03-01"),
        ("a", "2020-03-15"),
        ("b", "2020-03-15"),
    ];
    assert_eq!(
        labels.map(|(entity, date)| label(entity, date)),
        [1.0, 0.0, 0.0, 1.0]
    );
    let labels = ["a", "b", "c"].map(|entity| label(entity, "2020-04-01"));
    assert_eq!(labels, [1.0, 0.0, 0.0]);
    assert_eq!(prepared.card.tasks["buys"].label_rate["train"], Some(0.5));
}

#[test]
fn a_window_past_the_end_of_the_data_has_no_label() {
    // The last event is on 2020-04-20: 19 days are known after 2020-04-01, with that day 20.
    let task = |within: &str| {
        json!({ "tasks": { "buys": { "kind": "binary", "within": within, "label": "count(*) > 0" } },
                "splits": { "by": "time", "train": ["2020-03-01"], "valid": [], "test": ["2020-04-01"] } })
    };
    let known = prepare_csv(&with(task("20d")), EVENTS).expect("good data");
    assert_eq!(known.card.tasks["buys"].missing_labels["test"], 0);
    assert_eq!(known.card.data_end, "2020-04-21T00:00:00");
    let unknown = prepare_csv(&with(task("21d")), EVENTS).expect("good data");
    assert_eq!(unknown.card.tasks["buys"].missing_labels["test"], 3);
    assert_eq!(unknown.card.tasks["buys"].label_rate["test"], None);
    assert!(
        unknown
            .told
            .warnings
            .iter()
            .any(|warning| warning.contains("no label in test"))
    );
}

#[test]
fn where_takes_the_label_of_samples_and_null_is_no_label() {
    let tasks = json!({ "tasks": {
        "buys": { "kind": "binary", "within": "7d", "label": "count(*) FILTER (WHERE item = 'y') > 0",
                  "where": "count(*) > 0" },
        "sum": { "kind": "binary", "within": "7d", "label": "sum(amount) > 6" },
    } });
    let prepared = prepare_csv(&with(tasks), EVENTS).expect("good data");
    let label = |task, entity, date| {
        prepared
            .dataset
            .label(prepared.sample(entity, date).expect("a sample"), task)
    };
    assert_eq!(label(0, "a", "2020-03-01"), 1.0);
    assert!(label(0, "b", "2020-03-01").is_nan());
    assert_eq!(label(0, "b", "2020-03-15"), 0.0);
    assert_eq!(label(1, "a", "2020-03-01"), 0.0);
    assert!(
        label(1, "b", "2020-03-01").is_nan(),
        "a sum over nothing is NULL"
    );
    let warned = prepared
        .told
        .warnings
        .iter()
        .any(|warning| warning.contains("`sum`: the label of 5 samples is NULL"));
    assert!(warned, "{:?}", prepared.told.warnings);
}

#[test]
fn totals_count_from_the_start_of_the_history_before_the_cut() {
    let totals = json!({ "totals": {
        "steps": { "count": "rows" }, "visits": { "count": "times" },
        "spent": { "sum": "amount", "source": ["amount"] }, "net": { "sum": "-amount" },
    } });
    let prepared = prepare_csv(&with(totals), EVENTS).expect("good data");
    let logs = |numbers: &[f64]| -> Vec<f64> {
        numbers
            .iter()
            .map(|x| (x.abs().ln_1p().copysign(*x) * 1e4).round() / 1e4)
            .collect()
    };
    let batch = prepared.pack("a", "2020-03-01");
    assert_eq!(
        prepared.numbers(&batch, "steps")[..3],
        logs(&[2.0, 3.0, 4.0])
    );
    assert_eq!(
        prepared.numbers(&batch, "visits")[..3],
        logs(&[2.0, 2.0, 3.0])
    );
    assert_eq!(
        prepared.numbers(&batch, "spent")[..3],
        logs(&[5.0, 9.0, 14.0])
    );
    assert_eq!(
        prepared.numbers(&batch, "net")[..3],
        logs(&[-5.0, -9.0, -14.0])
    );
    let spent = prepared
        .dataset
        .schema()
        .channel("spent")
        .expect("a channel");
    let total = prepared.dataset.schema().channels[spent]
        .total
        .clone()
        .expect("a total");
    assert_eq!(total.source, ["amount"]);
    // Nothing older than the history is in them.
    let batch = prepared.pack("a", "2020-04-01");
    assert_eq!(prepared.numbers(&batch, "steps")[..1], logs(&[1.0]));
    assert_eq!(prepared.numbers(&batch, "spent")[..1], logs(&[6.0]));
}

#[test]
fn special_columns_know_the_history_and_the_snapshot() {
    let channels = json!({ "channels": {
        "gap": { "kind": "dense", "expr": "days_since_previous" },
        "recency": { "kind": "dense", "expr": "days_to_snapshot" },
        "both": { "kind": "dense", "expr": "days_to_snapshot + 100 * days_since_previous" },
        "month": { "kind": "category", "expr": "date_part('month', snapshot)" },
        "old": { "kind": "category", "expr": "days_to_snapshot > 7" },
        "new": { "kind": "category", "expr": "days_since_previous = 0" },
        "phase": { "kind": "dense", "expr": "date_part('day', snapshot)" },
    } });
    let prepared = prepare_csv(&with(channels), EVENTS).expect("good data");
    let batch = prepared.pack("a", "2020-03-01");
    assert_eq!(prepared.numbers(&batch, "gap")[..3], [10.0, 0.0, 5.0]);
    assert_eq!(prepared.numbers(&batch, "recency")[..3], [10.0, 10.0, 5.0]);
    assert_eq!(prepared.numbers(&batch, "both")[..3], [1010.0, 10.0, 505.0]);
    assert_eq!(prepared.values(&batch, "month"), ["3", "3", "3", "3"]);
    assert_eq!(
        prepared.values(&batch, "old"),
        ["true", "true", "false", "-"]
    );
    assert_eq!(prepared.numbers(&batch, "phase"), [1.0, 1.0, 1.0, 1.0]);
    // The first row of a history has none before it, though the entity has older ones.
    let batch = prepared.pack("a", "2020-04-01");
    assert_eq!(prepared.numbers(&batch, "gap")[..1], [0.0]);
    assert_eq!(prepared.numbers(&batch, "both")[..1], [27.0]);
    assert_eq!(prepared.values(&batch, "new"), ["true", "-"]);
    assert_eq!(
        prepared.values(&batch, "month"),
        ["-", "-"],
        "no training snapshot is in April"
    );
    // Cut to three steps, the oldest that is left does have one before it.
    let batch = prepared.pack("a", "2020-03-15");
    assert_eq!(prepared.numbers(&batch, "gap")[..3], [0.0, 5.0, 9.0]);
}

#[test]
fn aggregates_stand_in_the_snapshot_step() {
    let aggregates = json!({ "aggregates": {
        "spent": "sum(amount)",
        "visits_7d": "count(DISTINCT day) FILTER (WHERE days_to_snapshot < 7)",
        "of_q": "avg(amount) FILTER (WHERE item = 'q')",
    } });
    let prepared = prepare_csv(&with(aggregates), EVENTS).expect("good data");
    let samples = prepared.dataset.samples();
    assert_eq!(
        samples.aggregates[0],
        [14.0, 7.0, 18.0, 7.0, 19.0, 6.0, 8.0, 10.0]
    );
    assert_eq!(
        samples.aggregates[1],
        [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    );
    assert!(samples.aggregates[2][0].is_nan());
    assert_eq!(prepared.card.missing_aggregates["of_q"], 6);
    let batch = prepared.pack("a", "2020-03-01");
    assert_eq!(prepared.numbers(&batch, "spent")[3], 14.0);
    let schema = prepared.dataset.schema();
    assert_eq!(
        (schema.aggregates[0].mean, schema.aggregates[0].deviation),
        (10.5, 3.5)
    );
    let columns: Vec<String> = schema
        .dense_columns()
        .into_iter()
        .map(|column| column.name)
        .collect();
    assert_eq!(columns, ["amount", "spent", "visits_7d", "of_q"]);
    // Standardised by the two training samples; 0 on every other step.
    let spent: Vec<f32> = (0..4).map(|token| batch.dense[token * 4 + 1]).collect();
    assert_eq!(spent, [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn vocabularies_and_scales_come_from_the_training_period() {
    let prepared = prepare_csv(&shop(), EVENTS).expect("good data");
    let entries = prepared
        .dataset
        .vocabulary("item")
        .expect("a vocabulary")
        .entries();
    let entries: Vec<(&str, u64)> = entries
        .iter()
        .map(|entry| (entry.value.as_str(), entry.count))
        .collect();
    assert_eq!(entries, [("x", 2), ("y", 2), ("z", 1)]);
    let amount = &prepared.dataset.schema().channels[1];
    // Steps of the training samples after the cut: 3, 4, 5 and 7.
    assert_eq!(amount.mean, 4.75);
    assert!((amount.deviation - 2.1875f64.sqrt()).abs() < 1e-9);
    let rare = json!({ "channels": { "item": { "kind": "id", "min_count": 2 } } });
    let prepared = prepare_csv(&with(rare), EVENTS).expect("good data");
    assert_eq!(
        prepared
            .dataset
            .vocabulary("item")
            .expect("a vocabulary")
            .codes(),
        5
    );
}

#[test]
fn csv_json_lines_and_several_files_give_one_dataset() {
    let folder = tempfile::Builder::new()
        .prefix("cell[model=a,b] ?*é")
        .tempdir()
        .expect("a folder");
    let lines: Vec<&str> = EVENTS.lines().collect();
    let (head, rows) = (lines[0], &lines[1..]);
    let parts = [&rows[..5], &rows[5..]].map(|rows| format!("{head}\n{}\n", rows.join("\n")));
    let files: Vec<_> = ["one.csv", "two.csv"]
        .iter()
        .map(|name| folder.path().join(name))
        .collect();
    files
        .iter()
        .zip(parts)
        .for_each(|(file, text)| std::fs::write(file, text).expect("a file"));
    let json: Vec<String> = rows
        .iter()
        .map(|row| {
            let fields: Vec<&str> = row.split(',').collect();
            format!(
                r#"{{"user": "{}", "text": "{}", "item": "{}", "amount": {}}}"#,
                fields[0], fields[1], fields[2], fields[3]
            )
        })
        .collect();
    let json_file = folder.path().join("events.jsonl");
    std::fs::write(&json_file, json.join("\n")).expect("a file");

    let one = prepare_csv(&shop(), EVENTS).expect("good data");
    let several = prepare_files(&shop(), &files).expect("good data");
    assert_eq!(several.dataset, one.dataset);
    let events =
        json!({ "events": "SELECT user, CAST(text AS DATE) AS day, item, amount FROM events" });
    let from_json = prepare_files(&with(events), &[json_file]).expect("good data");
    assert_eq!(from_json.dataset, one.dataset);
    let of_folder = prepare_files(&shop(), &[folder.path().to_owned()]);
    assert!(
        of_folder
            .expect_err("two formats")
            .contains("give each its own port")
    );
}

#[test]
fn the_card_says_what_stands_in_the_dataset() {
    let prepared = prepare_csv(&shop(), EVENTS).expect("good data");
    let card = &prepared.card;
    assert_eq!((card.rows, card.entities), (12, 3));
    assert_eq!(
        (card.first_time.as_str(), card.last_time.as_str()),
        ("2020-01-15T00:00:00", "2020-04-20T00:00:00")
    );
    let samples: Vec<u64> = card.splits.values().map(|split| split.samples).collect();
    assert_eq!(samples, [2, 3, 3]);
    assert_eq!(card.splits["valid"].snapshots["2020-03-15"], 3);
    assert_eq!(card.average_length, 13.0 / 8.0);
    assert_eq!(
        (card.lengths.min, card.lengths.median, card.lengths.max),
        (1, 1, 3)
    );
    assert_eq!(card.cut, 2.0 / 8.0);
    assert_eq!(card.channels["item"].values, 3);
    assert_eq!(prepared.told.last_progress, Some((1, 1)));
    assert_eq!(card.warnings, prepared.told.warnings);
}

#[test]
fn names_keep_their_capitals_and_whole_numbers_sort_as_numbers() {
    let csv = "CustomerID,When,Price\n10,2020-02-28T10:30:00,1.5\n9,2020-02-28T10:30:00,2.5\n10,2020-03-03T00:00:00,1\n";
    let params = json!({
        "entity": "CustomerID", "time": "When", "history": "4w",
        "channels": { "Price": { "kind": "dense" } },
        "splits": { "by": "time", "train": ["2020-03-01"] },
        "tasks": { "any": { "kind": "binary", "within": "48h", "label": "COUNT(Price) > 0" } },
    });
    let prepared = prepare_csv(&params, csv).expect("good data");
    assert_eq!(prepared.dataset.samples().entity, ["9", "10"]);
    assert!(
        prepared
            .dataset
            .label(prepared.sample("9", "2020-03-01").expect("a sample"), 0)
            == 0.0
    );
    // 2020-03-03 00:00 is the end of [2020-03-01, 48 h later).
    assert!(
        prepared
            .dataset
            .label(prepared.sample("10", "2020-03-01").expect("a sample"), 0)
            == 0.0
    );
}
