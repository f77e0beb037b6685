//! AETN, an autoencoder-coupled transformer network (Zhang et al. 2020, *General-Purpose User Embeddings based
//! on Mobile App Usage*).
//!
//! A denoising autoencoder tells a user's whole aggregate (which codes occur, what the numbers are) from a
//! corrupted one; its code enters the transformer over the steps at the snapshot step. What the transformer
//! makes of the user must tell the aggregate too. Both losses are added to that of the masked channels in
//! pre-training and to those of the tasks in fine-tuning.
//!
//! The paper has three behaviours of mobile apps (retention, installation, uninstallation) and a transformer
//! decoder that tells the sequences; here all channels stand in for the behaviours, and masked channel
//! prediction for the decoder.

mod aggregate;
mod autoencoder;
mod model;
mod params;

pub use model::Aetn;
pub use params::AetnParams;

use supermoe_trainer::ModelFactory;

/// The model as a value for lists.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<Aetn>()
}
