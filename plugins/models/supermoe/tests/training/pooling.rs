//! How the steps of a sample become what towers see.

use serde_json::json;

use crate::stage::{Listener, Prediction, Stage, finetune_params, with};
use crate::tiny_retail;

#[test]
fn a_pooling_changes_the_scores_and_is_kept_in_the_model() {
    let dataset = tiny_retail::dataset(40);
    let scores = |pooling: &str| {
        let stage = Stage::new();
        let params = with(finetune_params(), "pooling", json!(pooling));
        let params = with(params, "epochs", 1);
        stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap();
        stage.predict(&dataset, &mut Listener::default()).unwrap();
        let score = |row: &Prediction| row.score;
        let test = stage
            .predictions()
            .into_iter()
            .filter(|row| row.split == "test");
        let of_training: Vec<f64> = test.map(|row| score(&row)).collect();
        let of_model: Vec<f64> = stage
            .predictions_in("predicted")
            .iter()
            .map(score)
            .collect();
        assert_eq!(
            of_training, of_model,
            "{pooling}: `predict` pools as the training did"
        );
        of_training
    };
    let [max, mean, last] = ["max", "mean", "last"].map(scores);
    assert!(!max.is_empty());
    assert!(max != mean && mean != last && last != max);
}
