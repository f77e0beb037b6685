//! What every model must do, as one suite that a model's crate runs in its tests:
//!
//! ```no_run
//! # fn factory() -> supermoe_trainer::ModelFactory { panic!() }
//! use supermoe_model_conformance::{ModelUnderTest, conform};
//!
//! let params = serde_json::json!({ "layers": 1 });
//! conform(&ModelUnderTest { factory: factory(), params });
//! ```
//!
//! Beside it stands what a model's own tests need: a made-up shop with every kind of channel
//! ([`tiny_retail`]), a folder in which jobs run ([`Stage`]), and plain f64 code to compare with
//! ([`plain`]). Everything here panics where something
//! does not hold, as tests do.

mod conform;
pub mod golden;
mod order;
pub mod plain;
mod stage;
#[path = "../../trainer/tests/tiny_retail/mod.rs"]
pub mod tiny_retail;

pub use conform::conform;
pub use order::{TimesNoticed, order_matters, times_noticed};
pub use stage::{Listener, ModelUnderTest, Prediction, Stage, on_threads, tensors, with};
