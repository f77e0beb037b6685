//! `export` as a stage runs it: dataset and encoder or model in, embeddings and encoder out.

mod embeddings;
mod golden;
mod refusals;
mod stage;
#[path = "../../../../crates/trainer/tests/tiny_retail/mod.rs"]
mod tiny_retail;
