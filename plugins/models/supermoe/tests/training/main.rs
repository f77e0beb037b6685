//! Pre-training and fine-tuning of a small SuperMoE on a made-up shop.

mod golden;
mod heads;
mod kinds;
mod learning;
mod refusals;
mod resume;
mod stage;
mod weightings;

use supermoe_model_conformance::tiny_retail;
