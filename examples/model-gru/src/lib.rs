//! A gated recurrent unit over the steps of a user (Cho et al. 2014; on sessions GRU4Rec, Hidasi et al.
//! 2016): an example of a model that a third party adds, with a program of its own.

mod cell;
mod model;
mod params;

pub use model::GruModel;
pub use params::GruParams;
use supermoe_trainer::ModelFactory;

/// The model, for a list of models.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<GruModel>()
}
