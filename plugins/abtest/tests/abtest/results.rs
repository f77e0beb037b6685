//! Numbers against scipy, rows of a user added up, shares, several files, Parquet.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::stage::{Stage, page_views};

const LOG: &str = "user,bucket,pv,orders,before\n\
    a,control,10.3,2,11.9\nb,control,3.7,5,4.5\nc,control,3.1,3,2.3\nd,control,2.4,1,0.4\ne,control,2.2,5,1.6\n\
    f,control,4.6,4,4.0\ng,control,3.3,5,2.7\nh,control,1.8,2,1.3\ni,control,5.5,6,4.7\n\
    j,new,6.1,2,6.5\nk,new,5.3,3,3.4\nl,new,8.9,3,4.9\nm,new,3.0,2,2.9\nn,new,11.8,2,11.2\no,new,3.4,4,2.7\n\
    p,new,2.2,2,1.5\nq,new,5.7,5,6.2\n";

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
}

/// Welch's test by scipy's `ttest_ind`, the delta method and the regression of CUPED in numpy, as in the
/// tests of `supermoe-metrics`.
#[test]
fn numbers_are_those_of_scipy_and_numpy() {
    let params = json!({ "metrics": {
        "pv": { "mean": "pv" },
        "adjusted": { "mean": "pv", "pre": "before" },
        "views_by_order": { "ratio": { "numerator": "pv", "denominator": "orders" } },
    } });
    let run = Stage::new(params).log(LOG).run();
    let metrics = run.experiment()["metrics"].clone();
    let lift = &metrics[0]["lifts"][0];
    assert_eq!(lift["bucket"], "new");
    close(&lift["p_value"], 0.255_367_309_842_249_53);
    close(&lift["p_adjusted"], 0.255_367_309_842_249_53);
    close(
        &lift["difference_interval"]["low"],
        -1.380_051_594_338_002_7,
    );
    close(&lift["lift"], 0.414_634_146_341_463_56);
    close(&lift["lift_interval"]["high"], 1.293_356_161_808_656_2);
    assert_eq!(lift["unadjusted"], Value::Null);
    let lift = &metrics[1]["lifts"][0];
    close(&lift["difference"], 0.710_672_704_596_074_8);
    close(&lift["unadjusted"]["difference"], 1.7);
    assert!(lift["variance_reduction"].as_f64().expect("a share") > 0.8);
    close(
        &metrics[2]["estimates"][0]["value"],
        1.118_181_818_181_818_2,
    );
    close(
        &metrics[2]["estimates"][1]["standard_error"],
        0.256_499_124_247_595_74_f64.sqrt(),
    );
    assert!(
        run.metrics()
            .contains(&"abtest/new/pv/lift 0.4146".to_owned()),
        "{:?}",
        run.metrics()
    );
}

#[test]
fn rows_of_a_user_are_one_user() {
    let by_row = "user,bucket,pv,before\na,control,1,7\nb,control,3,\nc,new,2,1\nd,new,6,2\na,control,4,7\nc,new,2,1\n";
    let by_user = "user,bucket,pv,before\na,control,5,7\nb,control,3,\nc,new,4,1\nd,new,6,2\n";
    let params = json!({ "metrics": { "pv": { "mean": "pv", "pre": "before" } } });
    let experiment = |log: &str| Stage::new(params.clone()).log(log).run().experiment();
    let (by_row, by_user) = (experiment(by_row), experiment(by_user));
    assert_eq!((&by_row["rows"], &by_row["users"]), (&json!(6), &json!(4)));
    assert_eq!(by_row["metrics"], by_user["metrics"]);
    assert_eq!(by_row["metrics"][0]["users_without_pre"], 1);
}

#[test]
fn several_files_are_one_log_and_parquet_is_as_good() {
    let half = LOG.find("j,new").expect("it is there");
    let (head, first) = LOG.split_at(LOG.find('\n').expect("a head") + 1);
    let second = format!("{head}{}", &LOG[half..]);
    let first = format!("{head}{}", &first[..half - head.len()]);
    let experiment = |stage: Stage| stage.run().experiment();
    let whole = experiment(Stage::new(page_views()).log(LOG));
    assert_eq!(
        experiment(Stage::new(page_views()).log(&first).log(&second)),
        whole
    );
    assert_eq!(experiment(Stage::new(page_views()).file(&parquet())), whole);
    let semicolons = json!({ "metrics": { "pv": { "mean": "pv" } }, "delimiter": ";" });
    assert_eq!(
        experiment(Stage::new(semicolons).log(&LOG.replace(',', ";"))),
        whole
    );
}

/// The log with users as whole numbers.
fn parquet() -> Vec<u8> {
    let rows: Vec<Vec<&str>> = LOG
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let columns: [(&str, ArrayRef); 3] = [
        (
            "user",
            Arc::new(Int64Array::from_iter_values(0..rows.len() as i64)),
        ),
        (
            "bucket",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[1]))),
        ),
        (
            "pv",
            Arc::new(Float64Array::from_iter_values(
                rows.iter()
                    .map(|row| row[2].parse::<f64>().expect("a number")),
            )),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    bytes
}

#[test]
fn shares_that_are_not_as_planned_are_a_warning() {
    let params = |shares: Value| json!({ "metrics": { "pv": { "mean": "pv" } }, "shares": shares, "sample_ratio_alpha": 0.01 });
    let run = Stage::new(params(json!({ "control": 50, "new": 50 })))
        .log(LOG)
        .run();
    assert_eq!(run.experiment()["sample_ratio"]["is_as_planned"], true);
    let run = Stage::new(params(json!({ "control": 1, "new": 9 })))
        .log(LOG)
        .run();
    // scipy.stats.chisquare([9, 8], [1.7, 15.3])
    close(
        &run.experiment()["sample_ratio"]["statistic"],
        34.830_065_359_477_125,
    );
    assert_eq!(run.experiment()["sample_ratio"]["is_as_planned"], false);
    assert!(
        run.warnings()[0].starts_with("users are not shared out as planned"),
        "{:?}",
        run.warnings()
    );
    assert!(run.text("report.md").contains("**not as planned**"));
}

#[test]
fn p_values_are_corrected_for_the_number_of_buckets() {
    let third = LOG
        .replace("n,new", "n,newer")
        .replace("o,new", "o,newer")
        .replace("p,new", "p,newer");
    let lifts = |correction: &str| {
        let params = json!({ "metrics": { "pv": { "mean": "pv" } }, "correction": correction });
        let experiment = Stage::new(params).log(&third).run().experiment();
        let lifts = experiment["metrics"][0]["lifts"]
            .as_array()
            .expect("a list")
            .clone();
        let number = |value: &Value| value.as_f64().expect("a number");
        let of = |key: &str| {
            lifts
                .iter()
                .map(|lift| number(&lift[key]))
                .collect::<Vec<f64>>()
        };
        (of("p_value"), of("p_adjusted"))
    };
    let (p, none) = lifts("none");
    assert_eq!(p, none);
    let (_, bonferroni) = lifts("bonferroni");
    assert_eq!(
        bonferroni,
        p.iter().map(|p| (2.0 * p).min(1.0)).collect::<Vec<_>>()
    );
    let (_, holm) = lifts("holm");
    let (small, large) = if p[0] < p[1] { (0, 1) } else { (1, 0) };
    assert_eq!(holm[small], (2.0 * p[small]).min(1.0));
    assert_eq!(holm[large], holm[small].max(p[large]));
}

#[test]
fn what_is_not_defined_is_said() {
    let log = "user,bucket,pv,orders,before\na,control,0,0,2\nb,control,0,0,2\nc,new,1,1,2\nd,new,3,1,2\n";
    let params = json!({ "metrics": {
        "pv": { "mean": "pv" },
        "by_order": { "ratio": { "numerator": "pv", "denominator": "orders" } },
        "orders": { "mean": "orders", "pre": "before" },
    } });
    let run = Stage::new(params).log(log).run();
    let metrics = run.experiment()["metrics"].clone();
    assert_eq!(metrics[0]["lifts"][0]["lift"], Value::Null);
    assert!(metrics[0]["lifts"][0]["p_value"].is_f64());
    assert_eq!(metrics[1]["lifts"], json!([]));
    assert_eq!(metrics[1]["estimates"][0], Value::Null);
    // Neither bucket varies: there is a difference, and no way to judge it.
    assert_eq!(metrics[2]["lifts"][0]["p_value"], Value::Null);
    assert_eq!(
        run.warnings(),
        [
            "metric `pv`: all users of bucket `control` have the same value, 0: it has no variance",
            "metric `by_order`: `orders` of bucket `control` sums to 0: its ratio is not defined",
            "metric `orders`: all users of bucket `control` have the same value, 0: it has no variance",
            "metric `orders`: all users of bucket `new` have the same value, 1: it has no variance",
            "metric `orders`: the numbers from before the experiment do not vary: the lifts are not adjusted by them",
        ]
    );
    for file in ["report.json", "report.md"] {
        assert!(!run.text(file).contains("NaN") && !run.text(file).contains("inf"));
    }
}

#[test]
fn a_metric_adjusted_by_itself_is_told() {
    let params = json!({ "metrics": { "pv": { "mean": "before", "pre": "before" } } });
    let run = Stage::new(params).log(LOG).run();
    let told = |warning: &&str| warning.ends_with("is `pre` the metric itself?");
    assert!(run.warnings().iter().any(told), "{:?}", run.warnings());
    let other = json!({ "metrics": { "pv": { "mean": "pv", "pre": "before" } } });
    assert!(!Stage::new(other).log(LOG).run().warnings().iter().any(told));
}

#[test]
fn names_are_only_ever_text_in_the_report() {
    let params = json!({ "metrics": { "<b>|": { "mean": "pv" } } });
    let log = "user,bucket,pv\na,control,1\nb,control,2\nc,<img src=x>`|`,3\nd,<img src=x>`|`,5\n";
    let text = Stage::new(params).log(log).run().text("report.md");
    assert!(!text.contains("<img") && !text.contains("<b>"), "{text}");
    assert!(
        text.contains("| &lt;b\\>\\| (mean) | &lt;img src=x\\>\\`\\|\\` |"),
        "{text}"
    );
}
