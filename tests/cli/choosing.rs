//! `select`: several trainings, the best of them as a choice, and trainings that take it.

use serde_json::Value;

use crate::harness::Project;
use crate::learning;

/// `prepare` of `tiny.yaml`, a trial of each model at two learning rates, a choice for each model, and a
/// training that takes it.
fn project(set: &str) -> Project {
    let project = learning::project("tiny.yaml");
    let text = project.read("workflows/tiny.yaml");
    let (prepare, _) = text.split_once("\n  pretrain:").expect("a stage");
    let training = "      models: { mmoe: { experts: 2, d_ff: 16 }, ple: { levels: 1, d_ff: 16 } }
      d_model: 16
      seed: 7
      epochs: 2
      batch_size: 32";
    let stages = format!(
        r#"
  trial:
    uses: finetune
    matrix: {{ model: [mmoe, ple], rate: [0.00001, 0.003] }}
    inputs: {{ dataset: prepare.dataset }}
    with:
      model: "${{{{ matrix.model }}}}"
{training}
      optimizer: {{ learning_rate: "${{{{ matrix.rate }}}}", warmup_steps: 2 }}
  choose:
    uses: select
    matrix: {{ model: [mmoe, ple] }}
    inputs: {{ candidates: "trial.*.history" }}
    with:
      where: {{ model: "${{{{ matrix.model }}}}" }}
      set: {{ {set}: rate }}
  finetune:
    uses: finetune
    matrix: {{ model: [mmoe, ple] }}
    inputs: {{ dataset: prepare.dataset, choice: choose.choice }}
    with:
      model: "${{{{ matrix.model }}}}"
{training}
      optimizer: {{ learning_rate: 0.1, warmup_steps: 2 }}
"#
    );
    project.write("workflows/tiny.yaml", &format!("{prepare}{stages}"));
    project
}

/// The value of a metric, by the values of the cell.
fn metric(document: &Value, stage: &str, cell: &[(&str, Value)], metric: &str) -> f64 {
    let stages = document["stages"].as_array().expect("stages");
    let is_it = |found: &&Value| {
        found["name"] == stage
            && cell
                .iter()
                .all(|(axis, value)| found["matrix"][axis] == *value)
    };
    let found = stages.iter().find(is_it).expect("the cell");
    found["metrics"][metric].as_f64().expect("the metric")
}

#[test]
fn each_model_is_trained_at_the_rate_that_was_best_in_its_trial() {
    let project = project("optimizer.learning_rate");
    project.ok(&["run", "workflows/tiny.yaml"]);
    let latest = project.latest();
    for model in ["mmoe", "ple"] {
        let of = |rate: f64| {
            let cell = [("model", model.into()), ("rate", rate.into())];
            metric(&latest, "trial", &cell, "valid/mean_auc")
        };
        let best = if of(0.003) > of(0.00001) {
            0.003
        } else {
            0.00001
        };
        let output = format!("choose[model={model}].choice");
        project.ok(&["get", "latest", &output, "--to", model]);
        let choice = project.read(&format!("{model}/choice.json"));
        let choice: Value = serde_json::from_str(&choice).expect("JSON");
        assert_eq!(choice["params"]["optimizer.learning_rate"], best);
        let candidates = choice["candidates"].as_array().expect("candidates");
        assert_eq!(
            candidates.len(),
            2,
            "those of the other model are no candidates"
        );
        // Same params, same seed: the same training as the trial, to the bit.
        let cell = [("model", model.into())];
        assert_eq!(
            metric(&latest, "finetune", &cell, "valid/mean_auc"),
            of(best)
        );
    }
    let logs = project
        .ok(&["logs", "latest", "finetune[model=ple]"])
        .stdout;
    assert!(
        logs.contains("choice: optimizer.learning_rate is"),
        "{logs}"
    );
    project.ok(&["run", "workflows/tiny.yaml"]);
    let states = project.states();
    assert!(
        states.iter().all(|state| state.ends_with("cached")),
        "{states:?}"
    );
}

#[test]
fn a_chosen_param_that_the_stage_does_not_have_is_told_by_name() {
    let project = project("optimizer.learning_rat");
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let message = format!("{}{}", outcome.stdout, outcome.stderr);
    let said =
        "choice: this stage has no param `optimizer.learning_rat` (did you mean `learning_rate`?)";
    assert!(message.contains(said), "{message}");
}

#[test]
fn a_history_is_no_choice_and_the_test_split_chooses_nothing() {
    let project = project("optimizer.learning_rate");
    project.change(
        "workflows/tiny.yaml",
        "choice: choose.choice",
        "choice: prepare.dataset",
    );
    let outcome = project.supermoe(&["check", "workflows/tiny.yaml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    let message = outcome.steady_stderr();
    assert!(message.contains("takes a choice"), "{message}");
    assert!(message.contains("`choose.choice`"), "{message}");
    project.change(
        "workflows/tiny.yaml",
        "choice: prepare.dataset",
        "choice: choose.choice",
    );
    project.change(
        "workflows/tiny.yaml",
        "      where:",
        "      metric: test/buy30/auc\n      where:",
    );
    let outcome = project.supermoe(&["run", "workflows/tiny.yaml"]);
    let message = format!("{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        message.contains("choose by a metric of `valid/`"),
        "{message}"
    );
}
