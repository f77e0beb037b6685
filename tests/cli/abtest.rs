//! An experiment, from its log to the report.

use serde_json::Value;

use crate::learning::project;

#[test]
fn an_experiment_is_compared_and_stands_in_the_report() {
    let project = project("abtest.yaml");
    project.ok(&["run", "workflows/abtest.yaml"]);
    project.ok(&["get", "latest", "compare.report", "--to", "found"]);
    let report: Value = serde_json::from_str(&project.read("found/report.json")).expect("JSON");
    let experiment = &report["experiment"];
    assert_eq!(experiment["users"], 4000);
    assert_eq!(experiment["sample_ratio"]["is_as_planned"], true);
    // The lifts that examples/data/experiment-synthetic.SOURCE.md tells of one bucket; the other has none.
    for (metric, truth) in [("pv", 0.12), ("pvcvr", 0.15), ("gmv", 1.12 * 1.15 - 1.0)] {
        let metrics = experiment["metrics"].as_array().expect("a list");
        let found = metrics
            .iter()
            .find(|found| found["name"] == metric)
            .expect("it is there");
        for (bucket, truth) in [("supermoe", truth), ("placebo", 0.0)] {
            let lifts = found["lifts"].as_array().expect("a list");
            let lift = lifts.iter().find(|lift| lift["bucket"] == bucket);
            let interval = &lift.expect("it is there")["lift_interval"];
            let [low, high] = ["low", "high"].map(|end| interval[end].as_f64().expect("a number"));
            assert!(
                low <= truth && truth <= high,
                "{metric} {bucket}: {low} {high}"
            );
        }
    }
    project.ok(&["report", "latest", "--to", "page"]);
    let page = project.read("page/report.html");
    for said in ["Lifts over control", "pvcvr", "as planned"] {
        assert!(page.contains(said), "{said}");
    }
    project.ok(&["run", "workflows/abtest.yaml"]);
    assert_eq!(project.states(), ["compare: cached"]);
}

#[test]
fn a_metric_that_is_neither_mean_nor_ratio_is_found_before_it_runs() {
    let project = project("abtest.yaml");
    project.change("workflows/abtest.yaml", "pv: { mean: pv,", "pv: {");
    let outcome = project.supermoe(&["check", "workflows/abtest.yaml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("metrics.pv"), "{outcome}");
    project.change(
        "workflows/abtest.yaml",
        "pv: { pre:",
        "pv: { mean: views, pre:",
    );
    let outcome = project.supermoe(&["run", "workflows/abtest.yaml"]);
    assert_ne!(outcome.code, Some(0), "{outcome}");
    let told = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(told.contains("the log: it has no column `views`"), "{told}");
}
