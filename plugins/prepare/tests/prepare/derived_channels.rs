//! Channels and totals that are made of running totals.

use crate::support::{Prepared, prepare_csv, shop};
use serde_json::{Value, json};
use supermoe_channels::{PackedBatch, Per};

/// The history of a at 2020-03-01 is 2, 3, 4, 5, cut to 3, 4, 5; at 2020-04-01 it is 6.
const EVENTS: &str = "\
user,day,item,amount
a,2020-01-15,x,1
a,2020-02-10,x,2
a,2020-02-20,y,3
a,2020-02-20,z,4
a,2020-02-25,x,5
a,2020-03-05,y,6
b,2020-02-28,y,7
b,2020-03-20,z,8
a,2020-04-20,x,11
";

fn params(channels: Value, totals: Value) -> Value {
    let mut params = shop();
    for (name, channel) in channels.as_object().expect("a map") {
        params["channels"][name] = channel.clone();
    }
    params["totals"] = totals;
    params
}

fn prepared() -> Prepared {
    let dense = |expr: &str| json!({ "kind": "dense", "expr": expr });
    let channels = json!({
        "mean": dense("spent / visits"),
        "rate": dense("10 * visits / greatest(days_since_first + days_to_snapshot, 1)"),
        "before": dense("ln(steps)"),
        "age": dense("days_since_first"),
        "share": dense("amount / spent"),
        "of_means": dense("means + 100 * amount"),
        "month": { "kind": "dense", "expr": "date_part('month', day)" },
    });
    let totals = json!({
        "steps": { "count": "rows", "channel": false },
        "spent": { "sum": "amount", "source": ["amount"] },
        "visits": { "count": "times" },
        "late": { "sum": "amount * days_to_snapshot" },
        "means": { "sum": "spent / visits", "source": ["item"], "channel": false },
        "means_of_late": { "sum": "late / means" },
        // The events have a column of this name, so it is the column that SQL means.
        "day": { "count": "rows" },
    });
    prepare_csv(&params(channels, totals), EVENTS).expect("good data")
}

fn assert_numbers(prepared: &Prepared, batch: &PackedBatch, column: &str, expected: &[f64]) {
    let found = &prepared.numbers(batch, column)[..expected.len()];
    let near = found
        .iter()
        .zip(expected)
        .all(|(found, expected)| (found - expected).abs() < 2e-4 * expected.abs().max(1.0));
    assert!(near, "{column}: {found:?}, expected {expected:?}");
}

#[test]
fn running_values_are_those_of_the_history_before_the_cut() {
    let prepared = prepared();
    let batch = prepared.pack("a", "2020-03-01");
    let assert = |column: &str, expected: [f64; 3]| {
        assert_numbers(&prepared, &batch, column, &expected);
    };
    assert("mean", [5.0 / 2.0, 9.0 / 2.0, 14.0 / 3.0]);
    assert("rate", [1.0, 1.0, 1.5]);
    assert("before", [2.0, 3.0, 4.0].map(f64::ln));
    assert("age", [10.0, 10.0, 15.0]);
    assert("share", [3.0 / 5.0, 4.0 / 9.0, 5.0 / 14.0]);
    assert("late", [70.0, 110.0, 135.0].map(f64::ln_1p));
    let means = [4.5, 9.0, 9.0 + 14.0 / 3.0];
    assert(
        "of_means",
        [300.0 + means[0], 400.0 + means[1], 500.0 + means[2]],
    );
    let first = 40.0 / 2.0;
    let second = first + 70.0 / means[0];
    let third = second + 110.0 / means[1];
    let sums = [second, third, third + 135.0 / means[2]];
    assert("means_of_late", sums.map(f64::ln_1p));
    assert("month", [2.0, 2.0, 2.0]);
    let batch = prepared.pack("a", "2020-04-01");
    assert_numbers(&prepared, &batch, "mean", &[6.0]);
    assert_numbers(&prepared, &batch, "age", &[0.0]);
    assert_numbers(&prepared, &batch, "before", &[0.0]);
    assert_numbers(&prepared, &batch, "rate", &[10.0 / 27.0]);
}

#[test]
fn what_is_made_of_totals_is_hidden_with_all_that_they_add_up() {
    let prepared = prepared();
    let schema = prepared.dataset.schema();
    let source = |name: &str| {
        let channel = schema.channel(name).expect("a channel");
        let total = schema.channels[channel].total.as_ref();
        total.map(|total| total.source.clone())
    };
    let betrays = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(source("mean"), betrays(&["amount"]));
    assert_eq!(source("share"), betrays(&["amount"]));
    assert_eq!(source("rate"), betrays(&[]));
    assert_eq!(source("of_means"), betrays(&["item", "amount"]));
    assert_eq!(source("means_of_late"), betrays(&["item", "amount"]));
    assert_eq!(source("spent"), betrays(&["amount"]));
    assert_eq!(source("age"), None);
    assert_eq!(source("month"), None);
    let per = |name: &str| schema.channels[schema.channel(name).expect("a channel")].per;
    assert_eq!(per("mean"), Per::SampleStep);
    assert_eq!(per("late"), Per::SampleStep);
    assert_eq!(per("spent"), Per::Step);
    assert_eq!(per("month"), Per::Step);
    for name in ["steps", "means"] {
        assert_eq!(schema.channel(name), None, "{name} only serves other SQL");
    }
}

#[test]
fn what_cannot_be_made_of_totals_says_so() {
    let error = |channels: Value, totals: Value| {
        let prepared = prepare_csv(&params(channels, totals), EVENTS);
        prepared.expect_err("it was taken")
    };
    let spent = json!({ "spent": { "sum": "amount" } });
    assert_eq!(
        error(
            json!({ "mean": { "kind": "dense", "expr": "ln(spnt)" } }),
            spent.clone()
        ),
        "with.channels.mean.expr: there is no column `spnt`; did you mean `spent`? (there are user, day, item, \
         amount, spent, days_since_previous, days_since_first, days_to_snapshot, snapshot) (in `ln(spnt)`)"
    );
    assert_eq!(
        error(
            json!({ "level": { "kind": "category", "expr": "spent > 10" } }),
            spent.clone()
        ),
        "with.channels.level.expr: a total stands in a dense channel only"
    );
    let none = || json!({});
    let circle = json!({
        "a": { "sum": "amount + b" }, "b": { "sum": "c" }, "c": { "sum": "b / 2" },
    });
    assert_eq!(
        error(none(), circle),
        "with.totals.b.sum: it is made of itself: b of c of b"
    );
    assert_eq!(
        error(none(), json!({ "a": { "sum": "a + 1" } })),
        "with.totals.a.sum: it is made of itself: a of a"
    );
    assert_eq!(
        error(
            json!({ "mean": { "kind": "dense", "expr": "spent / 2" } }),
            json!({ "spent": { "sum": "amount", "source": ["mean"] } })
        ),
        "with.totals.spent.source: `mean` is made of totals; name the channels of the events that they add up"
    );
    assert_eq!(
        error(none(), json!({ "late": { "sum": "ln(days_since_first)" } })),
        "with.totals.late.sum: its sum is -inf for entity a; guard the expression"
    );
    let mut of_all = params(none(), spent);
    of_all["aggregates"] = json!({ "last": "max(spent)" });
    assert_eq!(
        prepare_csv(&of_all, EVENTS).expect_err("it was taken"),
        "with.aggregates.last: there is no column `spent` (there are user, day, item, amount, days_since_previous, \
         days_since_first, days_to_snapshot, snapshot) (in `max(spent)`)"
    );
}
