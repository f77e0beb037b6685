//! How a comparison reads, and that names can only ever be text.

use serde_json::json;
use supermoe_report::{Comparison, ComparisonRequest};

use crate::made_up::{Made, RUN, levels, made, request, run, three_models};

fn comparison() -> Comparison {
    let request = ComparisonRequest {
        against: levels(&[("model", "supermoe")]),
        ..request()
    };
    made(&three_models(), &request)
}

fn in_brackets(text: &str) -> String {
    format!("[{text}]")
}

#[test]
fn in_a_terminal() {
    // What sets the best off has no width for the columns.
    let text = comparison().terminal(100, in_brackets);
    insta::assert_snapshot!(text);
}

#[test]
fn a_narrow_terminal_has_further_blocks() {
    let text = comparison().terminal(40, str::to_owned);
    assert!(
        text.lines().all(|line| line.chars().count() <= 40),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn as_markdown() {
    insta::assert_snapshot!(comparison().markdown());
}

#[test]
fn as_latex() {
    insta::assert_snapshot!(comparison().latex());
}

#[test]
fn as_csv() {
    let text = comparison().csv().expect("text");
    // The last digits of p are those of the machine's logarithm.
    let steady = text.lines().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        fields[..fields.len() - 2].join(",")
    });
    insta::assert_snapshot!(steady.collect::<Vec<_>>().join("\n"));
    let last = text.lines().next_back().expect("a line");
    let p: Vec<f64> = last
        .split(',')
        .skip(10)
        .map(|field| field.parse().expect("a number"))
        .collect();
    assert!((p[0] - 9.070_165_327e-6).abs() < 1e-12, "{p:?}");
    assert!((p[1] - 4.535_082_664e-5).abs() < 1e-12, "{p:?}");
}

#[test]
fn as_html() {
    let text = comparison().html();
    let body = text.split("<body>").nth(1).expect("a body");
    insta::assert_snapshot!(body);
    assert!(text.contains("<meta charset=\"utf-8\">"), "{text}");
}

#[test]
fn as_json() {
    let document = serde_json::to_value(comparison()).expect("JSON");
    assert_eq!(document["metric"], "auc");
    assert_eq!(document["row_axes"], json!(["model"]));
    assert_eq!(document["columns"], json!([["buy"], ["churn"], ["mean"]]));
    let cell = &document["rows"][2]["cells"][1];
    assert_eq!(cell["n"], 5);
    assert_eq!(cell["best"], false);
    assert_eq!(
        cell["values"][4],
        json!({ "levels": ["4"], "value": 0.655 })
    );
    assert_eq!(cell["difference"]["pairs"], 5);
    assert_eq!(document["against"]["test"], "students_t");
}

#[test]
fn names_are_only_ever_text() {
    let hostile = "a|b*_<i>&\"{}\\\n$%#^~[x],1 --`é";
    let cell = |model: &str, auc: f64| {
        (
            json!({ "model": model }),
            json!({ "50%_off|<b>": { "auc": auc } }),
        )
    };
    let (first, second) = (cell(hostile, 0.7), cell("[*]", 0.6));
    let evaluation = Made::new("evaluate")
        .cell(first.0, first.1)
        .cell(second.0, second.1);
    let comparison = made(&[run(RUN, [evaluation])], &request());
    insta::assert_snapshot!("hostile_terminal", comparison.terminal(100, str::to_owned));
    insta::assert_snapshot!("hostile_markdown", comparison.markdown());
    insta::assert_snapshot!("hostile_latex", comparison.latex());
    let html = comparison.html();
    assert!(!html.contains("<i>") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&lt;i&gt;&amp;&quot;"), "{html}");
    let csv = comparison.csv().expect("text");
    assert!(
        csv.contains("\"a|b*_<i>&\"\"{}\\\n$%#^~[x],1 --`é\",50%_off|<b>,auc,0.7"),
        "{csv}"
    );
}

#[test]
fn counts_that_differ_within_a_row_are_told() {
    let evaluation = Made::new("evaluate")
        .seeds("a", &[("buy", &[0.7, 0.8]), ("churn", &[0.5])])
        .seeds("b", &[("buy", &[0.6, 0.7])]);
    let comparison = made(&[run(RUN, [evaluation])], &request());
    insta::assert_snapshot!(comparison.terminal(100, str::to_owned));
}
