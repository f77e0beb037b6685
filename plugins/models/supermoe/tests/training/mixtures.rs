//! Mixtures of experts in whole trainings: attention's, capacity, more than one expert a step, what gates are taught.

use serde_json::{Value, json};

use crate::stage::{Stage, pretrain_params, with};
use crate::tiny_retail;

/// A pre-training of five steps with these params of the model.
fn trained(params: &[(&str, Value)]) -> Stage {
    let stage = Stage::new();
    let five_steps = with(pretrain_params(), "max_steps", 5);
    let params = params.iter().fold(five_steps, |all, (name, value)| {
        with(all, &format!("models.supermoe.{name}"), value.clone())
    });
    let dataset = tiny_retail::dataset(40);
    stage
        .pretrain(&dataset, &params, &mut stage.listener())
        .unwrap();
    stage
}

#[test]
fn attention_may_be_a_mixture_too() {
    let stage = trained(&[("attention_experts", json!(2))]);
    assert!(!stage.curve("experts/block.0.attention.q/load/1").is_empty());
}

#[test]
fn experts_with_a_capacity_tell_what_they_drop() {
    let (ffn, attention) = (
        "experts/block.0.ffn.0/dropped",
        "experts/block.0.attention.k/dropped",
    );
    let of_capacity = |factor: Value| {
        let stage = trained(&[("attention_experts", json!(2)), ("capacity_factor", factor)]);
        [ffn, attention].map(|name| stage.curve(name))
    };
    for dropped in of_capacity(json!(0.25)) {
        // Experts take a quarter of an equal share, rounded up to whole steps.
        assert!(
            !dropped.is_empty() && dropped.iter().all(|share| (0.5..0.76).contains(share)),
            "{dropped:?}"
        );
    }
    for dropped in of_capacity(json!(100.0)) {
        assert!(
            !dropped.is_empty() && dropped.iter().all(|share| *share == 0.0),
            "{dropped:?}"
        );
    }
    for dropped in of_capacity(json!(null)) {
        assert!(dropped.is_empty(), "{dropped:?}");
    }
}

#[test]
fn what_gates_are_taught_changes_what_is_learned() {
    let last_loss = |params: &[(&str, Value)]| {
        let curve = trained(params).curve("train/loss");
        let last = *curve.last().unwrap();
        assert!(last.is_finite(), "{params:?}: {curve:?}");
        last
    };
    let plain = last_loss(&[]);
    for params in [
        [("top_k", json!(2))],
        [("jitter", json!(0.3))],
        [("balance_weight", json!(0.0))],
        [("z_weight", json!(0.1))],
    ] {
        assert_ne!(last_loss(&params), plain, "{params:?}");
    }
    let with_z = trained(&[("z_weight", json!(0.1))]);
    assert!(!with_z.curve("train/auxiliary/router_z/loss").is_empty());
}
