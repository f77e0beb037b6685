//! SuperMoE (*Learning Large-scale Universal User Representation with Sparse Mixture of Experts*): multi-channel
//! feature projection, learned positions, blocks of (mixture) attention and two mixtures of feed-forward experts,
//! a last normalisation.

mod model;
mod params;

pub use model::SuperMoe;
pub use params::SuperMoeParams;

use supermoe_trainer::ModelFactory;

/// The model as a value for lists.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<SuperMoe>()
}
