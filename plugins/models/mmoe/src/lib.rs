//! MMoE, multi-gate mixture of experts (Ma et al. 2018, *Modeling Task Relationships in Multi-task Learning
//! with Multi-gate Mixture-of-Experts*).
//!
//! Experts that all tasks share, f_i(x); for each task k a softmax gate g^k(x) over all of them; a tower
//! h^k on the task's own mixture: y_k = h^k(sum_i g^k(x)_i f_i(x)). There is no sequence model: x is made
//! of the mean embeddings of the steps' channels, of numbers of the steps, and of the aggregates. There is
//! no pre-training.

mod model;
mod params;

pub use model::Mmoe;
pub use params::MmoeParams;

use supermoe_trainer::ModelFactory;

/// The model as a value for lists.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<Mmoe>()
}
