//! PLE holds to what every model must do, and to its definition.

use serde_json::{Value, json};
use supermoe_channels::{Dataset, SampleId};
use supermoe_model_conformance::golden::{self, Golden};
use supermoe_model_conformance::plain::{PlainModel, PlainWeights, assert_close, assert_scores};
use supermoe_model_conformance::{
    Listener, ModelUnderTest, TimesNoticed, conform, order_matters, times_noticed, tiny_retail,
    with,
};

const LEVELS: usize = 2;
const SHARED: usize = 2;
const OWN: usize = 3;
const WIDTH: usize = 6;

fn params() -> Value {
    json!({
        "levels": LEVELS, "shared_experts": SHARED, "task_experts": OWN, "d_ff": 16, "id_width": 8,
        "category_width": 4,
    })
}

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_ple::factory(),
        params: params(),
    }
}

/// The model and some samples.
fn built() -> (PlainModel, Vec<SampleId>) {
    let dataset = tiny_retail::dataset(20);
    let tasks = &dataset.schema().tasks;
    let factory = supermoe_model_ple::factory();
    let model = PlainModel::build(&factory, &params(), &dataset, WIDTH, tasks);
    (model, (0..30).map(SampleId).collect())
}

const GOLDEN: Golden = Golden {
    revisions: ["1", "6", "6"],
    digests: &[(
        "avx512",
        "8a44951e89c2a4de3282512e0d7ab3d27617bd51044d6398fbd1e621f50d2607",
    )],
};

#[test]
fn outputs_change_only_with_a_revision() {
    golden::hold(&model(), &GOLDEN);
}

#[test]
fn the_order_of_events_does_not_matter() {
    assert!(!order_matters(&model()));
}

#[test]
fn the_times_of_events_matter_in_their_mean_alone() {
    assert_eq!(times_noticed(&model()), TimesNoticed::IN_THEIR_MEAN_ALONE);
}

#[test]
fn it_conforms() {
    conform(&model());
}

/// By task, of one sample.
fn expected(weights: &PlainWeights, dataset: &Dataset, sample: SampleId) -> Vec<Vec<f64>> {
    let tasks = &dataset.schema().tasks;
    let x = weights.pooled_features(dataset, sample);
    let (mut of_tasks, mut of_all) = (vec![x.clone(); tasks.len()], x);
    for level in 0..LEVELS {
        let experts = |name: String, count: usize, x: &[f64]| -> Vec<Vec<f64>> {
            let expert = |e: usize| weights.mlp(&format!("{name}.{e}"), 2, x);
            (0..count).map(expert).collect()
        };
        let shared = experts(format!("level.{level}.shared"), SHARED, &of_all);
        let own: Vec<Vec<Vec<f64>>> = tasks
            .iter()
            .zip(&of_tasks)
            .map(|(task, x)| experts(format!("level.{level}.task.{}", task.name), OWN, x))
            .collect();
        for ((task, x), own) in tasks.iter().zip(&mut of_tasks).zip(&own) {
            let mixed = [own.clone(), shared.clone()].concat();
            *x = weights.gated(&format!("level.{level}.gate.{}", task.name), x, &mixed);
        }
        if level + 1 < LEVELS {
            let all = [own.concat(), shared].concat();
            of_all = weights.gated(&format!("level.{level}.shared_gate"), &of_all, &all);
        }
    }
    let towers = tasks.iter().zip(&of_tasks);
    towers
        .map(|(task, x)| weights.mlp(&format!("tower.{}", task.name), 1, x))
        .collect()
}

#[test]
fn the_forward_pass_is_that_of_the_definition() {
    let dataset = tiny_retail::dataset(20);
    let (model, samples) = built();
    let found = model.task_representations(&dataset, &samples);
    assert_eq!(found.len(), 2);
    for (row, &sample) in samples.iter().enumerate() {
        let expected = expected(model.weights(), &dataset, sample);
        let tasks = dataset.schema().tasks.iter();
        for ((task, found), expected) in tasks.zip(&found).zip(expected) {
            assert_close(&found[row * WIDTH..][..WIDTH], &expected, &task.name);
        }
    }
}

#[test]
fn scores_are_those_of_the_definition() {
    assert_scores(&model(), expected);
}

/// Which tasks change when these weights do.
fn moved(prefix: &str) -> [bool; 2] {
    let dataset = tiny_retail::dataset(20);
    let (mut model, samples) = built();
    let before = model.task_representations(&dataset, &samples);
    model.double(prefix);
    let after = model.task_representations(&dataset, &samples);
    [0, 1].map(|task| before[task] != after[task])
}

#[test]
fn experts_of_a_task_serve_it_alone_on_the_last_level() {
    assert_eq!(moved("level.1.task.buys.0"), [true, false]);
    assert_eq!(moved("level.1.task.returns.0"), [false, true]);
    assert_eq!(moved("level.1.gate.returns"), [false, true]);
    assert_eq!(moved("level.1.shared.0"), [true, true]);
}

#[test]
fn experts_of_a_task_reach_others_through_the_shared_gate() {
    assert_eq!(moved("level.0.task.buys.0"), [true, true]);
    assert_eq!(moved("level.0.shared_gate"), [true, true]);
    assert_eq!(moved("level.0.gate.buys"), [true, false]);
}

#[test]
fn no_experts_are_told() {
    for param in ["levels", "shared_experts", "task_experts"] {
        let stage = model().stage();
        let path = format!("models.ple.{param}");
        let params = with(model().finetune_params(), &path, 0);
        let error = stage
            .finetune(
                &tiny_retail::dataset(20),
                &params,
                None,
                &mut Listener::default(),
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`models.ple`: `{param}` must be at least 1")
        );
    }
}
