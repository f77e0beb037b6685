//! Pre-training and fine-tuning of a small SuperMoE on a made-up shop.

mod golden;
mod heads;
mod kinds;
mod learning;
mod refusals;
mod resume;
mod stage;
#[path = "../../../../../crates/trainer/tests/tiny_retail/mod.rs"]
mod tiny_retail;
