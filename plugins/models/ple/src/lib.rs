//! PLE, progressive layered extraction (Tang et al. 2020, *Progressive Layered Extraction (PLE): A Novel
//! Multi-Task Learning (MTL) Model for Personalized Recommendations*).
//!
//! Levels of customised gate control. At a level each task has experts of its own, and there are shared
//! ones. A task's softmax gate mixes its own and the shared experts, never those of other tasks; a shared
//! gate mixes all. What a level gives for a task (and for all) is what its experts and gates see at the
//! next; the last level has no shared gate. A tower stands on each task's last mixture. There is no
//! sequence model: the first level sees the mean embeddings of the steps' channels, numbers of the steps,
//! and the aggregates. There is no pre-training.

mod level;
mod model;
mod params;

pub use model::Ple;
pub use params::PleParams;

use supermoe_trainer::ModelFactory;

/// The model as a value for lists.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<Ple>()
}
