//! The weightings of tasks in whole trainings: what they tell, keep and leave.

use serde_json::{Value, json};

use crate::stage::{Listener, Stage, finetune_params, pretrain_params, with};
use crate::tiny_retail;

fn tuned(weighting: Value) -> Stage {
    let stage = Stage::new();
    let params = with(finetune_params(), "weighting", weighting);
    let mut listener = Listener::default();
    stage
        .finetune(&tiny_retail::dataset(60), &params, None, &mut listener)
        .unwrap();
    stage
}

/// Weights that change are told for each task, in windows; `K softmax` and GradNorm keep their sum.
#[test]
fn weights_are_told_by_task_and_sum_to_their_number() {
    for weighting in [
        json!({ "gradnorm": { "interval": 2 } }),
        json!({ "dwa": { "window": 4 } }),
        json!({ "bilevel_auc": { "interval": 4, "batch_size": 16, "learning_rate": 0.1 } }),
    ] {
        let stage = tuned(weighting.clone());
        let buys = stage.curve("train/buys/lambda");
        let returns = stage.curve("train/returns/lambda");
        assert!(buys.len() >= 3, "{weighting}");
        for (buys, returns) in buys.iter().zip(&returns) {
            assert!((buys + returns - 2.0).abs() < 1e-6, "{weighting}");
            assert!(*buys > 0.0 && *returns > 0.0);
        }
        assert_ne!(buys.last(), Some(&1.0), "{weighting}");
    }
    let uncertain = tuned(json!("uncertainty")).curve("train/buys/lambda");
    assert!(
        uncertain
            .last()
            .is_some_and(|lambda| *lambda > 0.0 && *lambda != 1.0)
    );
}

#[test]
fn weights_that_stand_still_are_not_told() {
    for weighting in [
        json!("equal"),
        json!({ "fixed": { "buys": 2.0, "returns": 1.0 } }),
    ] {
        let history = tuned(weighting).history();
        assert!(
            !history
                .iter()
                .any(|record| record.name.ends_with("/lambda"))
        );
    }
    let projected = tuned(json!("pcgrad"));
    assert!(projected.curve("train/buys/lambda").is_empty());
    let conflicts = projected.curve("train/gradient_conflicts");
    assert!(!conflicts.is_empty() && conflicts.iter().all(|share| (0.0..=1.0).contains(share)));
}

/// Equal factors are equal weights, whoever names them; the job's name alone is another.
#[test]
fn equal_weights_are_the_mean_of_the_losses() {
    let equal = tuned(json!("equal")).digests();
    let fixed = tuned(json!({ "fixed": { "buys": 0.5, "returns": 0.5 } })).digests();
    assert_eq!(equal, fixed);
    for other in ["uncertainty", "pcgrad"] {
        let name = "model/weights.safetensors";
        assert_ne!(tuned(json!(other)).digests()[name], equal[name], "{other}");
    }
}

/// Half of the validation users choose: the metrics of the others are not told.
#[test]
fn bilevel_weights_learn_on_users_that_do_not_choose() {
    let params = with(finetune_params(), "weighting", "bilevel_auc");
    let dataset = tiny_retail::dataset(60);
    let stage = Stage::new();
    let mut listener = Listener::default();
    stage
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    let scored = stage.predictions();
    let valid = |row: &&crate::stage::Prediction| row.split == "valid" && row.task == "buys";
    let all: Vec<_> = scored.iter().filter(valid).collect();
    assert_eq!(all.len(), 60, "all are scored");
    let auc = |rows: &[&crate::stage::Prediction]| {
        let of = |positive: bool| {
            rows.iter()
                .filter(move |row| (row.label > Some(0.5)) == positive)
                .map(|row| row.score)
        };
        let pairs = || of(true).flat_map(|high| of(false).map(move |low| (high, low)));
        let right = pairs().filter(|(high, low)| high > low).count() as f64;
        let ties = pairs().filter(|(high, low)| high == low).count() as f64;
        (right + 0.5 * ties) / pairs().count() as f64
    };
    let told = listener.metrics["valid/buys/auc"];
    assert!(
        (told - auc(&all)).abs() > 1e-9,
        "measured on all validation users"
    );
    // The best epoch's score is that of the chosen weights on the same users.
    let best = stage.curve("valid/buys/auc");
    assert!(best.contains(&told), "{best:?} {told}");
}

/// The heads of pre-training are tasks too.
#[test]
fn heads_of_pretraining_are_weighted() {
    for (weighting, told) in [
        (json!("uncertainty"), "train/product/lambda"),
        (
            json!({ "gradnorm": { "interval": 2 } }),
            "train/amount/lambda",
        ),
        (json!("dwa"), "train/product/lambda"),
        (json!("pcgrad"), "train/gradient_conflicts"),
    ] {
        let stage = Stage::new();
        let params = with(pretrain_params(), "weighting", weighting.clone());
        let mut listener = Listener::default();
        stage
            .pretrain(&tiny_retail::dataset(40), &params, &mut listener)
            .unwrap();
        assert!(!stage.curve(told).is_empty(), "{weighting}");
        let loss = stage.curve("train/product/loss");
        assert!(loss.last() < loss.first(), "{weighting}: {loss:?}");
    }
    let stage = Stage::new();
    let params = with(
        pretrain_params(),
        "weighting",
        json!({ "fixed": { "product": 1.0 } }),
    );
    let error = stage
        .pretrain(&tiny_retail::dataset(40), &params, &mut Listener::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`weighting.fixed`: `amount` has no weight"
    );
}
