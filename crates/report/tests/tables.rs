//! Tables of a made-up run, as a person reads them.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value, json};
use supermoe_engine::{
    CellName, Counts, NotStored, Outcome, ReasonPlace, RerunReason, RunRecord, SkipCause,
    StageFailure, StageReason, StageRecord, StageState,
};
use supermoe_report::{Layout, metric_tables, summary, summary_rows};

fn stage(name: &str, matrix: Value, state: StageState) -> StageRecord {
    let matrix: IndexMap<String, Value> = serde_json::from_value(matrix).expect("a map");
    let cell = CellName {
        stage: Arc::from(name),
        matrix: Arc::new(matrix.clone()),
        label: Arc::default(),
    };
    StageRecord {
        name: Arc::from(name),
        matrix: Arc::new(matrix),
        label: Arc::from(cell.json_spelling()),
        state,
        reason: None,
        key: None,
        seconds: None,
        peak_memory_bytes: None,
        metrics: IndexMap::new(),
        outputs: IndexMap::new(),
        error: None,
        params: Default::default(),
        inputs: IndexMap::new(),
        plugin: String::new(),
        output_types: IndexMap::new(),
    }
}

fn record(stages: Vec<StageRecord>) -> RunRecord {
    let mut counts = Counts::default();
    stages.iter().for_each(|stage| counts.add(stage.state));
    RunRecord {
        run: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("a run"),
        workflow: "retail".into(),
        file: "retail.yaml".into(),
        outcome: Outcome::Failed,
        started: Default::default(),
        seconds: Some(72.4),
        counts,
        stages,
        running: Vec::new(),
        not_stored: Vec::new(),
        published: Vec::new(),
        not_published: Vec::new(),
        inputs: IndexMap::new(),
        params: Default::default(),
        machine: None,
    }
}

fn retail() -> RunRecord {
    let lr = RerunReason::ParamChanged {
        field: "with.lr".into(),
        old: json!(0.001),
        new: json!(0.01),
        place: ReasonPlace {
            file: Some("retail.yaml".into()),
            line: Some(31),
        },
    };
    let mut stages = vec![stage("prepare", json!({}), StageState::Cached)];
    for seed in 1..=3 {
        stages.push(stage(
            "pretrain",
            json!({"model": "supermoe", "seed": seed}),
            StageState::Cached,
        ));
    }
    for seed in 1..=2 {
        let mut cell = stage(
            "finetune",
            json!({"model": "ple", "seed": seed}),
            StageState::Ran,
        );
        cell.reason = Some(StageReason::Ran(lr.clone()));
        cell.seconds = Some(30.0 + f64::from(seed));
        for (task, auc) in [("churn", 0.71), ("gift", 0.75)] {
            cell.metrics
                .insert(format!("test/{task}/auc"), auc + f64::from(seed) / 1000.0);
        }
        if seed == 1 {
            cell.metrics.insert("test/repeat/auc".into(), 0.5);
        }
        cell.metrics.insert("train/loss".into(), 0.4321);
        cell.metrics.insert("sequences_per_second".into(), 1234.5);
        stages.push(cell);
    }
    let mut failed = stage("evaluate", json!({}), StageState::Failed);
    failed.error = Some(StageFailure {
        message: "exited with code 3".into(),
        log_tail: Vec::new(),
        attempts: 2,
    });
    failed.seconds = Some(0.25);
    stages.push(failed);
    let mut skipped = stage("page", json!({}), StageState::Skipped);
    skipped.reason = Some(StageReason::Skipped(SkipCause::UpstreamFailed {
        stage: "evaluate".into(),
    }));
    stages.push(skipped);
    let mut record = record(stages);
    record.not_stored = vec![NotStored {
        what: "finetune[model=ple,seed=2]".into(),
        why: "the disk is full".into(),
    }];
    record
}

#[test]
fn the_summary_in_a_terminal() {
    insta::assert_snapshot!(summary(&retail(), Layout::Terminal { width: 100 }));
}

#[test]
fn the_summary_in_a_narrow_terminal() {
    let text = summary(&retail(), Layout::Terminal { width: 60 });
    insta::assert_snapshot!(text);
}

#[test]
fn the_summary_as_markdown() {
    insta::assert_snapshot!(summary(&retail(), Layout::Markdown));
}

#[test]
fn metrics_by_task_with_their_mean() {
    let tables: Vec<String> = metric_tables(&retail())
        .iter()
        .map(|table| table.render(Layout::Terminal { width: 100 }))
        .collect();
    insta::assert_snapshot!(tables.join("\n"));
}

#[test]
fn columns_of_names_can_be_cut_and_those_of_tasks_stay() {
    let mut cell = stage("evaluate", json!({}), StageState::Ran);
    for index in 0..1000 {
        cell.metrics.insert(format!("metric_{index}"), 0.5);
    }
    for task in 0..20 {
        cell.metrics.insert(format!("test/{task}/auc"), 0.5);
    }
    let mut tables = metric_tables(&record(vec![cell]));
    let hidden: Vec<usize> = tables
        .iter_mut()
        .map(|table| table.cut_columns(12))
        .collect();
    assert_eq!(hidden, [0, 988]);
    let names = &tables[1];
    assert_eq!((names.columns.len(), names.rows[0].values.len()), (12, 12));
    assert!(names.render(Layout::Terminal { width: 80 }).lines().count() < 12);
}

#[test]
fn many_columns_stand_in_further_blocks() {
    let mut cell = stage("evaluate", json!({}), StageState::Ran);
    for task in 0..12 {
        cell.metrics.insert(
            format!("test/a_task_with_a_name_{task}/auc"),
            0.5 + f64::from(task) / 100.0,
        );
    }
    let tables = metric_tables(&record(vec![cell]));
    let text = tables[0].render(Layout::Terminal { width: 80 });
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    for task in 0..12 {
        assert!(
            text.contains(&format!("a_task_with_a_name_{task}")),
            "{text}"
        );
    }
    assert!(text.contains("mean"), "{text}");
}

#[test]
fn ten_thousand_cached_stages_make_a_short_summary() {
    let mut stages: Vec<StageRecord> = (0..10_000)
        .map(|number| stage(&format!("s{number}"), json!({}), StageState::Cached))
        .collect();
    stages[5_000].state = StageState::Failed;
    let text = summary(&record(stages), Layout::Terminal { width: 80 });
    assert!(text.lines().count() < 10, "{text}");
    assert!(
        text.contains("s5000") && text.contains("9999 cached, 1 failed"),
        "{text}"
    );
}

#[test]
fn rows_and_tables_are_json_too() {
    let record = retail();
    let rows = serde_json::to_value(summary_rows(&record)).expect("JSON");
    assert_eq!(rows[2]["cells"], 2);
    let tables = serde_json::to_value(metric_tables(&record)).expect("JSON");
    assert_eq!(tables[0]["columns"], json!(["churn", "gift", "repeat"]));
    assert_eq!(tables[0]["rows"][1]["values"][2], Value::Null);
}
