//! `export` as a stage runs it: dataset and encoder or model in, embeddings and encoder out.

mod embeddings;
mod golden;
mod refusals;
mod stage;

use supermoe_model_conformance::tiny_retail;
