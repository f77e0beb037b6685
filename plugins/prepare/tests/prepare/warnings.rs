//! Data that can be prepared and looks wrong is told by a warning that names it.

use serde_json::json;

use crate::support::{EVENTS, prepare_csv, shop};

#[test]
fn a_task_with_one_class_is_a_warning_by_name() {
    let mut params = shop();
    params["tasks"]["buys"]["label"] = json!("count(*) >= 0");
    let prepared = prepare_csv(&params, EVENTS).expect("it is no error");
    let warnings = &prepared.told.warnings;
    assert!(
        warnings[0].starts_with("task `buys` has one class in train: all labels are 1"),
        "{warnings:?}"
    );
}

#[test]
fn a_channel_of_which_no_value_is_known_is_a_warning() {
    let mut params = shop();
    params["channels"]["item"]["min_count"] = json!(1000);
    let warnings = prepare_csv(&params, EVENTS)
        .expect("it is no error")
        .told
        .warnings;
    assert!(
        warnings
            .iter()
            .any(|warning| warning.starts_with("channel `item` has no known value")),
        "{warnings:?}"
    );
}

#[test]
fn what_may_leak_is_a_warning() {
    let mut params = shop();
    params["events"] =
        json!("SELECT *, lead(amount) OVER (PARTITION BY user ORDER BY day) AS next FROM events");
    let prepared = prepare_csv(&params, EVENTS).expect("it is no error");
    assert!(
        prepared
            .told
            .warnings
            .iter()
            .any(|warning| warning.contains("uses a window function"))
    );
    params = shop();
    params["splits"]["valid"] = json!(["2020-03-05"]);
    let prepared = prepare_csv(&params, EVENTS).expect("it is no error");
    assert!(prepared.told.warnings[0].starts_with("label windows of train and valid overlap"));
}

#[test]
fn a_planted_leak_is_a_warning_by_name() {
    // `fate` was filled in later: it says whether the user buys after the snapshot.
    let mut csv = "user,day,fate,noise\n".to_owned();
    for user in 0..80 {
        let buys = user % 3 == 0;
        csv += &format!(
            "u{user},2020-02-20,{},{}\n",
            if buys { "yes" } else { "no" },
            user % 5
        );
        if buys {
            csv += &format!("u{user},2020-03-03,,0\n");
        }
    }
    csv += "u0,2020-05-01,,0\n";
    let mut params = shop();
    params["channels"] = json!({
        "fate": { "kind": "category" }, "noise": { "kind": "category" },
        "score": { "kind": "dense", "expr": "CASE WHEN fate = 'yes' THEN -1.0 ELSE 2.0 END" },
    });
    params["aggregates"] =
        json!({ "told": "count(*) FILTER (WHERE fate = 'yes')", "rows": "count(*)" });
    params["splits"] = json!({ "by": "time", "train": ["2020-03-01"] });
    let prepared = prepare_csv(&params, &csv).expect("it is no error");
    let warned: Vec<&str> = prepared
        .told
        .warnings
        .iter()
        .filter_map(|warning| warning.split(" alone tells").next())
        .collect();
    assert_eq!(
        warned,
        ["`fate`", "`score`", "`told`"],
        "{:?}",
        prepared.told.warnings
    );
}

#[test]
fn a_planted_leak_of_a_class_or_a_number_is_a_warning_by_name() {
    let mut csv = "user,day,item,told,noise\n".to_owned();
    for user in 0..90 {
        let (class, noise) = (user % 3, (user * 7) % 5);
        csv += &format!("u{user},2020-02-20,x,{},{noise}\n", 10 * class);
        csv += &format!("u{user},2020-03-03,class {class},{class},{noise}\n");
    }
    csv += "u0,2020-05-01,x,0,0\n";
    let mut params = shop();
    params["channels"] = json!({ "told": { "kind": "category" }, "noise": { "kind": "category" } });
    params["aggregates"] = json!({ "sum": "sum(told)", "other": "sum(noise)" });
    params["splits"] = json!({ "by": "time", "train": ["2020-03-01"] });
    params["tasks"] = json!({
        "what": { "kind": "multiclass", "within": "7d", "label": "max(item)" },
        "much": { "kind": "regression", "within": "7d", "label": "sum(told)" },
    });
    let prepared = prepare_csv(&params, &csv).expect("it is no error");
    let warned: Vec<&str> = prepared
        .told
        .warnings
        .iter()
        .filter_map(|warning| {
            warning
                .split(" (AUC")
                .next()
                .filter(|_| warning.contains("alone tells"))
        })
        .collect();
    let expected = [
        "`told` alone tells the label of task `what`",
        "`told` alone tells the label of task `much`",
        "`sum` alone tells the label of task `much`",
    ];
    assert_eq!(warned, expected, "{:?}", prepared.told.warnings);
}
