//! Tomorrow's users with yesterday's vocabularies and scales.

use std::path::Path;

use crate::support::{Prepared, prepare_csv, prepare_tables, shop};
use serde_json::{Value, json};
use supermoe_channels::Split;

const EVENTS: &str = "\
user,day,item,amount
a,2020-02-10,x,2
b,2020-02-12,y,4
c,2020-02-14,z,9
a,2020-03-04,x,5
b,2020-04-20,x,7
";

const LATER: &str = "\
user,day,item,amount
n,2020-05-10,y,100
n,2020-05-11,new,200
m,2020-05-12,z,300
";

fn params() -> Value {
    let mut params = shop();
    params["aggregates"] = json!({ "spent": "sum(amount)" });
    params["tasks"] = json!({
        "buys": { "kind": "binary", "within": "7d", "label": "count(*) > 0" },
        "what": { "kind": "multiclass", "within": "7d", "label": "max(item)" },
        "worth": { "kind": "regression", "within": "7d", "label": "coalesce(sum(amount), 0)" },
    });
    params
}

fn predicted(params: &Value, fitted: &Path) -> Result<Prepared, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.csv");
    std::fs::write(&file, LATER).expect("a file");
    prepare_tables(params, &[("events", &[file])], Some(fitted), 1)
}

#[test]
fn what_was_fitted_is_taken_over_and_samples_to_predict_have_no_labels() {
    let fitted = prepare_csv(&params(), EVENTS).expect("good data");
    let mut later = params();
    later["splits"] = json!({ "predict": ["2020-06-01"] });
    for tasks in [later["tasks"].clone(), json!({})] {
        later["tasks"] = tasks;
        let prepared = predicted(&later, fitted.folder.path()).expect("good data");
        let (here, there) = (prepared.dataset.schema(), fitted.dataset.schema());
        assert_eq!(here.channels, there.channels);
        assert_eq!(here.aggregates, there.aggregates);
        assert_eq!(here.tasks, there.tasks);
        assert_eq!(
            prepared.dataset.vocabulary("item"),
            fitted.dataset.vocabulary("item")
        );
        assert_eq!(prepared.dataset.split(Split::Predict).len(), 2);
        assert_eq!(here.splits.predict, 2);
        let batch = prepared.pack("n", "2020-06-01");
        assert_eq!(prepared.values(&batch, "item"), ["y", "-", "-"]);
        assert_eq!(prepared.numbers(&batch, "amount")[..2], [100.0, 200.0]);
        assert!(batch.labels.iter().all(|label| label.is_nan()));
        assert_eq!(batch.labels.len(), 3);
        assert_eq!(prepared.card.splits["predict"].samples, 2);
    }
}

#[test]
fn definitions_that_differ_are_named_with_both() {
    let fitted = prepare_csv(&params(), EVENTS).expect("good data");
    let of = |pointer: &str, value: Value| {
        let mut params = params();
        params["splits"] = json!({ "predict": ["2020-06-01"] });
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        params.pointer_mut(parent).expect("it exists")[key] = value;
        predicted(&params, fitted.folder.path()).expect_err("they differ")
    };
    assert!(
        of("/length", json!(9))
            .starts_with("with.length: it is 9 here and 3 in the fitted dataset")
    );
    assert!(of("/history", json!("5d")).starts_with("with.history: it is \"5d\" here and \"30d\""));
    let expr = of(
        "/channels/amount",
        json!({ "kind": "dense", "expr": "2 * amount" }),
    );
    assert!(
        expr.starts_with("with.channels.amount: it is {\"kind\":\"dense\""),
        "{expr}"
    );
    assert!(
        expr.contains("2 * amount") && expr.contains("in the fitted dataset"),
        "{expr}"
    );
    let more = of("/channels/other", json!({ "kind": "id", "expr": "item" }));
    assert_eq!(
        more,
        "with.channels: `other` is not in the fitted dataset, so there is nothing to code it by"
    );
    assert_eq!(
        of("/aggregates", json!({})),
        "with.aggregates: it lacks `spent`, which the fitted dataset has"
    );
    let order = json!({ "amount": { "kind": "dense" }, "item": { "kind": "id" } });
    assert!(
        of("/channels", order).contains("they stand in another order than in the fitted dataset")
    );
    let tasks = json!({ "buys": { "kind": "binary", "within": "9d", "label": "count(*) > 0" } });
    assert!(of("/tasks", tasks).starts_with("with.tasks: it lacks `what`"));
    assert_eq!(
        of("/splits", json!({ "by": "time" })),
        "with.splits.predict: there is no snapshot at all"
    );
}

#[test]
fn a_folder_that_is_no_dataset_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut params = params();
    params["splits"] = json!({ "predict": ["2020-06-01"] });
    let error = predicted(&params, folder.path()).expect_err("it is empty");
    assert!(
        error.starts_with("input `fitted`: its definitions.json cannot be read"),
        "{error}"
    );
}
