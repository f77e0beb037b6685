//! SuperMoE holds to what every model must do, and sees events in their order and at their times.

use serde_json::json;
use supermoe_model_conformance::{
    ModelUnderTest, TimesNoticed, conform, order_matters, times_noticed,
};

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_supermoe::factory(),
        params: json!({ "layers": 1, "heads": 2, "d_ff": 16, "experts": 2, "id_width": 8, "category_width": 4 }),
    }
}

#[test]
fn it_conforms() {
    conform(&model());
}

#[test]
fn the_order_of_events_matters() {
    assert!(order_matters(&model()));
}

#[test]
fn the_times_of_events_matter() {
    assert_eq!(times_noticed(&model()), TimesNoticed::OF_EACH_EVENT);
}
