//! Whether a model tells events from the same ones in another order.

use supermoe_channels::Dataset;

use crate::stage::{Listener, ModelUnderTest, with};
use crate::tiny_retail;

/// What a score may differ by where only the order of a sum has changed.
const ROUNDING: f64 = 1e-5;

/// Whether the scores of a model that has been trained for some steps change where the two oldest events of each
/// entity exchange a value.
pub fn order_matters(model: &ModelUnderTest) -> bool {
    let stage = model.stage();
    let params = with(model.finetune_params(), "max_steps", 10);
    let mut listener = Listener::default();
    let dataset = tiny_retail::dataset(30);
    stage
        .finetune(&dataset, &params, None, &mut listener)
        .unwrap();
    let mut scores = |dataset: &Dataset| -> Vec<f64> {
        stage.predict(dataset, &mut listener).unwrap();
        let rows = stage.predictions_in("predicted");
        rows.iter().map(|row| row.score).collect()
    };
    let first = scores(&dataset);
    let second = scores(&tiny_retail::reordered(30));
    assert!(!first.is_empty() && first.len() == second.len());
    let mut pairs = first.iter().zip(&second);
    pairs.any(|(first, second)| (first - second).abs() > ROUNDING)
}
