//! The GRU holds to what every model must do, and is what its paper says.

use serde_json::json;
use supermoe_model_conformance::{ModelUnderTest, conform, order_matters};

fn model() -> ModelUnderTest {
    ModelUnderTest {
        factory: supermoe_model_gru::factory(),
        params: json!({ "layers": 1, "id_width": 8, "category_width": 4 }),
    }
}

#[test]
fn it_conforms() {
    conform(&model());
}

#[test]
fn it_tells_events_from_the_same_ones_in_another_order() {
    assert!(order_matters(&model()));
}
