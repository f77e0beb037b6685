//! No event at or after a snapshot changes an input of that snapshot, whatever else stands in the table.

use std::fmt::Write as _;

use crate::support::{Prepared, files_of, prepare_csv, prepare_with_threads};
use proptest::prelude::*;
use serde_json::{Value, json};
use supermoe_channels::{DenseSource, PackedBatch};

#[derive(Debug, Clone)]
struct Event {
    user: u8,
    /// Hours from 2020-01-01.
    hour: u32,
    item: u8,
    amount: i32,
}

fn event(hours: std::ops::Range<u32>) -> impl Strategy<Value = Event> {
    (0u8..4, hours, 0u8..5, -3i32..20).prop_map(|(user, hour, item, amount)| Event {
        user,
        hour,
        item,
        amount,
    })
}

/// 2020-02-01, in hours.
const TRAIN: u32 = 31 * 24;

fn csv(events: &[Event]) -> String {
    let mut text = "user,at,item,amount\n".to_owned();
    for Event {
        user,
        hour,
        item,
        amount,
    } in events
    {
        let at = jiff::civil::date(2020, 1, 1).at(0, 0, 0, 0)
            + jiff::Span::new().hours(i64::from(*hour));
        writeln!(text, "u{user},{at},i{item},{amount}").expect("a string");
    }
    text
}

fn params() -> Value {
    json!({
        "entity": "user", "time": "at", "order": ["item"], "history": "14d", "length": 4,
        "channels": {
            "item": { "kind": "id" },
            "hour": { "kind": "category", "expr": "date_part('hour', at)" },
            "hashed": { "kind": "id", "expr": "item", "hash": 50 },
            "late": { "kind": "category", "expr": "days_to_snapshot < 3" },
            "month": { "kind": "category", "expr": "date_part('month', snapshot)" },
            "amount": { "kind": "dense" },
            "gap": { "kind": "dense", "expr": "ln(1 + days_since_previous)" },
            "recency": { "kind": "dense", "expr": "ln(1 + days_to_snapshot)" },
            "age": { "kind": "dense", "expr": "days_since_first" },
            "known_for_a_week": { "kind": "category", "expr": "days_since_first > 7" },
            "mean": { "kind": "dense", "expr": "ln(1 + spent / visits)" },
            "rate": { "kind": "dense", "expr": "visits / greatest(days_since_first + days_to_snapshot, 1)" },
            "returned": { "kind": "dense", "expr": "returns / rows_before" },
        },
        "totals": {
            "steps": { "count": "rows" }, "visits": { "count": "times" },
            "spent": { "sum": "abs(amount)", "source": ["amount"] },
            "returns": { "sum": "CAST(amount < 0 AS INT)", "channel": false },
            "rows_before": { "sum": "1 + 0 * days_since_first", "channel": false },
            "recent": { "sum": "abs(amount) / (1 + days_to_snapshot)", "source": ["amount"] },
            "means": { "sum": "recent / visits + days_since_previous" },
        },
        "aggregates": {
            "sum_7d": "coalesce(sum(amount) FILTER (WHERE days_to_snapshot < 7), 0)",
            "days": "count(DISTINCT date_trunc('day', at))",
            "mean_gap": "avg(days_since_previous)",
            "span": "max(days_since_first)",
        },
        "splits": { "by": "time", "train": ["2020-01-20", "2020-02-01"], "test": ["2020-02-10"] },
        "tasks": { "buys": { "kind": "binary", "within": "5d", "label": "count(*) > 0" } },
    })
}

/// Everything that a model is given for a training sample, labels and ids of the dataset left out.
fn inputs(prepared: &Prepared) -> Vec<(String, i64, PackedBatch)> {
    let dataset = &prepared.dataset;
    let training = dataset.split(supermoe_channels::Split::Train).into_iter();
    let inputs = training.map(|sample| {
        let mut batch = dataset.pack(&[sample]);
        batch.labels.clear();
        batch.samples.clear();
        (
            dataset.entity(sample).to_owned(),
            dataset.snapshot_ms(sample),
            batch,
        )
    });
    inputs.collect()
}

/// The inputs of the earlier snapshot before codes and scales, which come from the whole training period.
fn raw_inputs(prepared: &Prepared, date: &str) -> Vec<(String, Vec<Vec<String>>)> {
    let dataset = &prepared.dataset;
    let schema = dataset.schema();
    let training = dataset.split(supermoe_channels::Split::Train).into_iter();
    let of_date =
        training.filter(|&sample| crate::support::day(dataset.snapshot_ms(sample)) == date);
    let inputs = of_date.map(|sample| {
        let batch = dataset.pack(&[sample]);
        let codes = schema
            .code_channels()
            .into_iter()
            .filter(|&i| schema.channels[i].has_vocabulary())
            .map(|i| prepared.values(&batch, &schema.channels[i].name));
        let mut columns: Vec<Vec<String>> = codes.collect();
        for column in schema.dense_columns() {
            let numbers = prepared.numbers(&batch, &column.name);
            // Elsewhere a column stands at 0 standardised, the mean of all samples.
            let steps = numbers.len() - 1;
            let meaning = match column.source {
                DenseSource::Channel(_) => &numbers[..steps],
                DenseSource::Aggregate(_) => &numbers[steps..],
            };
            columns.push(meaning.iter().map(|x| format!("{x:.2}")).collect());
        }
        (dataset.entity(sample).to_owned(), columns)
    });
    inputs.collect()
}

/// A user whose events are there in every run, so that no split is empty and time goes on.
fn fixed() -> Vec<Event> {
    let hours = [300, 420, TRAIN - 1, TRAIN + 200, TRAIN + 600];
    hours
        .into_iter()
        .map(|hour| Event {
            user: 9,
            hour,
            item: 0,
            amount: 1,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn later_events_change_no_input(
        past in prop::collection::vec(event(0..TRAIN), 1..40),
        future in prop::collection::vec(event(TRAIN..TRAIN + 700), 0..30),
        other in prop::collection::vec(event(TRAIN..TRAIN + 700), 0..30),
    ) {
        let with = |future: &[Event]| {
            let events: Vec<Event> = [fixed(), past.clone(), future.to_vec()].concat();
            prepare_csv(&params(), &csv(&events)).expect("good data")
        };
        let (one, two) = (with(&future), with(&other));
        prop_assert_eq!(inputs(&one), inputs(&two));
        prop_assert!(!inputs(&one).is_empty());
        // Nothing is fitted to what comes after the training period.
        let fitted = |prepared: &Prepared| {
            let schema = prepared.dataset.schema();
            let names = schema.channels.iter().map(|channel| channel.name.as_str());
            let vocabularies: Vec<_> = names
                .map(|name| prepared.dataset.vocabulary(name).cloned())
                .collect();
            (schema.channels.clone(), schema.aggregates.clone(), vocabularies)
        };
        prop_assert_eq!(fitted(&one), fitted(&two));
    }

    #[test]
    fn events_after_an_earlier_snapshot_change_nothing_of_it(
        past in prop::collection::vec(event(0..19 * 24), 1..40),
        future in prop::collection::vec(event(19 * 24..TRAIN + 700), 0..30),
        other in prop::collection::vec(event(19 * 24..TRAIN + 700), 0..30),
    ) {
        let with = |future: &[Event]| {
            let mut events: Vec<Event> = [past.clone(), future.to_vec()].concat();
            // Every value is in the vocabulary, so that codes can be read back.
            for (hour, item) in (0..24).zip((0..5).cycle()) {
                events.push(Event { user: 8, hour: 17 * 24 + hour, item, amount: 3 });
            }
            events.extend(fixed());
            prepare_csv(&params(), &csv(&events)).expect("good data")
        };
        let (one, two) = (with(&future), with(&other));
        prop_assert_eq!(raw_inputs(&one, "2020-01-20"), raw_inputs(&two, "2020-01-20"));
    }

    #[test]
    fn events_older_than_the_history_change_no_total(
        older in prop::collection::vec(event(0..5 * 24), 0..20),
        past in prop::collection::vec(event(19 * 24..TRAIN), 1..40),
    ) {
        // The last training snapshot looks back to 2020-01-18, test to 2020-01-27.
        let with = |older: &[Event]| {
            let events: Vec<Event> = [fixed(), past.clone(), older.to_vec()].concat();
            let mut params = params();
            params["splits"]["train"] = json!(["2020-02-01"]);
            prepare_csv(&params, &csv(&events)).expect("good data")
        };
        prop_assert_eq!(inputs(&with(&older)), inputs(&with(&[])));
    }
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_the_order_of_rows() {
    let mut events = fixed();
    for i in 0..400u32 {
        let user = (i * 7 % 23) as u8;
        events.push(Event {
            user,
            hour: i * 37 % (TRAIN + 500),
            item: (i % 5) as u8,
            amount: (i % 11) as i32 - 2,
        });
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.csv");
    let write = |events: &[Event]| std::fs::write(&file, csv(events)).expect("a file");
    let bytes = |threads| {
        let prepared = prepare_with_threads(&params(), std::slice::from_ref(&file), threads)
            .expect("good data");
        files_of(prepared.folder.path())
    };
    write(&events);
    let one = bytes(1);
    let names: Vec<String> = one
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "card.json",
            "definitions.json",
            "samples/part-00000.parquet",
            "schema.json",
            "steps/part-00000.parquet",
            "vocabularies/hour.parquet",
            "vocabularies/item.parquet",
            "vocabularies/known_for_a_week.parquet",
            "vocabularies/late.parquet",
            "vocabularies/month.parquet"
        ]
    );
    assert_eq!(one, bytes(2));
    assert_eq!(one, bytes(5));
    events.reverse();
    write(&events);
    assert_eq!(one, bytes(2));
}
