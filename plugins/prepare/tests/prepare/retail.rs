//! The retail transactions of the examples: counts and rates that an independent program gives.

use std::path::PathBuf;

use crate::support::{Prepared, files_of, prepare_with_threads};
use serde_json::{Value, json};
use supermoe_channels::Split;

fn params() -> Value {
    json!({
        "events": "SELECT *, quantity * unit_price AS amount FROM events",
        "entity": "customer_id", "time": "invoice_date",
        "order": ["product", "quantity", "unit_price", "country"],
        "history": "365d", "length": 128,
        "channels": {
            "product": { "kind": "id", "min_count": 5 },
            "country": { "kind": "category" },
            "month": { "kind": "category", "expr": "date_part('month', invoice_date)" },
            "snapshot_month": { "kind": "category", "expr": "date_part('month', snapshot)" },
            "log_amount": { "kind": "dense", "expr": "signum(amount) * ln(1 + abs(amount))" },
            "gap": { "kind": "dense", "expr": "ln(1 + days_since_previous)" },
            "recency": { "kind": "dense", "expr": "ln(1 + days_to_snapshot)" },
        },
        "totals": {
            "steps": { "count": "rows" },
            "visits": { "count": "times" },
            "spent": { "sum": "abs(amount)", "source": ["log_amount"] },
            "returns": { "sum": "CAST(quantity < 0 AS INT)", "source": ["log_amount"] },
        },
        "aggregates": {
            "visits_30d": "count(DISTINCT invoice_date) FILTER (WHERE quantity > 0 AND days_to_snapshot < 30)",
        },
        "splits": {
            "by": "time",
            "train": { "from": "2010-04-01", "to": "2011-05-01", "every": "month" },
            "valid": ["2011-06-01"],
            "test": ["2011-08-01", "2011-09-01", "2011-10-01"],
        },
        "tasks": {
            "buy30": { "kind": "binary", "within": "30d", "label": "count(*) FILTER (WHERE quantity > 0) > 0" },
            "return60": { "kind": "binary", "within": "60d", "label": "count(*) FILTER (WHERE quantity < 0) > 0" },
            "spend60": { "kind": "binary", "within": "60d",
                         "label": "coalesce(sum(amount) FILTER (WHERE quantity > 0), 0) > 300" },
            "xmas60": { "kind": "binary", "within": "60d",
                        "label": "count(*) FILTER (WHERE quantity > 0 AND product LIKE '%CHRISTMAS%') > 0" },
        },
    })
}

#[test]
fn samples_and_label_rates_are_those_of_the_yardstick() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/data");
    let files =
        ["2009-2010", "2010-2011"].map(|years| data.join(format!("transactions-{years}.parquet")));
    let prepared = prepare_with_threads(&params(), &files, 3).expect("the data is good");
    let shards = prepared.folder.path().join("steps");
    let shards = std::fs::read_dir(shards).expect("a folder").count();
    assert!(shards > 2, "{shards} buckets are too few to mix up");
    let alone = prepare_with_threads(&params(), &files, 1).expect("the data is good");
    let bytes = |prepared: &Prepared| files_of(prepared.folder.path());
    assert!(
        bytes(&alone) == bytes(&prepared),
        "the bytes depend on the number of threads"
    );
    assert_eq!(prepared.dataset.split(Split::Train).len(), 50_875);
    assert_eq!(prepared.dataset.split(Split::Test).len(), 13_138);
    let rates: Vec<String> = prepared
        .card
        .tasks
        .values()
        .map(|task| format!("{:.3}", task.label_rate["test"].expect("labels")))
        .collect();
    assert_eq!(rates, ["0.221", "0.093", "0.269", "0.218"]);
}
