//! MMoE holds to what every model must do, and to its definition.

use serde_json::{Value, json};
use supermoe_channels::{Dataset, SampleId};
use supermoe_model_conformance::golden::{self, Golden};
use supermoe_model_conformance::plain::{PlainModel, PlainWeights, assert_close, assert_scores};
use supermoe_model_conformance::{
    Listener, ModelUnderTest, TimesNoticed, conform, order_matters, times_noticed, tiny_retail,
    with,
};

const EXPERTS: usize = 3;
const WIDTH: usize = 6;

fn params() -> Value {
    json!({ "experts": EXPERTS, "d_ff": 16, "id_width": 8, "category_width": 4 })
}

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_mmoe::factory(),
        params: params(),
    }
}

/// The model and some samples.
fn built() -> (PlainModel, Vec<SampleId>) {
    let dataset = tiny_retail::dataset(20);
    let tasks = &dataset.schema().tasks;
    let factory = supermoe_model_mmoe::factory();
    let model = PlainModel::build(&factory, &params(), &dataset, WIDTH, tasks);
    (model, (0..30).map(SampleId).collect())
}

const GOLDEN: Golden = Golden {
    revisions: ["1", "6", "6"],
    digests: &[(
        "avx512",
        "fedacc1e5363df955b50867ee8b20f59cd733871e524dd4fe4f75e5c3155d943",
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
    let x = weights.pooled_features(dataset, sample);
    let expert = |e: usize| weights.mlp(&format!("expert.{e}"), 2, &x);
    let experts: Vec<Vec<f64>> = (0..EXPERTS).map(expert).collect();
    let tasks = dataset.schema().tasks.iter();
    tasks
        .map(|task| {
            let mixed = weights.gated(&format!("gate.{}", task.name), &x, &experts);
            weights.mlp(&format!("tower.{}", task.name), 1, &mixed)
        })
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

#[test]
fn each_task_has_a_gate_of_its_own_and_shares_the_experts() {
    let dataset = tiny_retail::dataset(20);
    let (mut model, samples) = built();
    let before = model.task_representations(&dataset, &samples);
    model.double("gate.buys");
    let after = model.task_representations(&dataset, &samples);
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    model.double("expert.0");
    let shared = model.task_representations(&dataset, &samples);
    assert_ne!(after[0], shared[0]);
    assert_ne!(after[1], shared[1]);
}

#[test]
fn no_expert_and_nothing_to_learn_from_are_told() {
    let finetune = |params: Value, keep: fn(&str) -> bool| {
        let dataset = tiny_retail::dataset_of(20, keep);
        let stage = model().stage();
        let error = stage
            .finetune(&dataset, &params, None, &mut Listener::default())
            .unwrap_err();
        error.to_string()
    };
    let params = model().finetune_params();
    assert_eq!(
        finetune(with(params.clone(), "models.mmoe.experts", 0), |_| true),
        "`models.mmoe`: `experts` must be at least 1"
    );
    assert_eq!(
        finetune(params, |_| false),
        "dataset: it has no channels and no aggregates: there is nothing to learn from; name some in \
         `with.channels` or `with.aggregates` of the `prepare` stage that made it"
    );
}

#[test]
fn an_encoder_of_another_model_is_refused() {
    let stage = model().stage();
    std::fs::write(stage.path("encoder/config.json"), "{}").unwrap();
    let error = stage.finetune(
        &tiny_retail::dataset(20),
        &model().finetune_params(),
        Some(&stage.path("encoder")),
        &mut Listener::default(),
    );
    assert!(error.unwrap_err().to_string().starts_with("encoder: "));
}
