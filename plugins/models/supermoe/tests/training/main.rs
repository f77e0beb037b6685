//! Pre-training and fine-tuning of a small SuperMoE on a made-up shop.

mod channels;
mod conformance;
mod golden;
mod heads;
mod kinds;
mod learning;
mod mixtures;
mod parts;
mod pooling;
mod refusals;
mod resume;
mod stage;
mod tables;
mod warm_start;
mod weightings;

use supermoe_model_conformance::tiny_retail;
