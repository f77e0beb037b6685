//! Optimizers.

mod adamw;
mod state;

pub use adamw::{AdamW, AdamWConfig, LearningRates, Step};
