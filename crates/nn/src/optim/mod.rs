//! Optimizers.

mod adamw;
mod gradients;
mod state;

pub use adamw::{AdamW, AdamWConfig, LearningRates, Step};
pub use gradients::HostGradients;
