//! BERT over behaviour sequences: a bidirectional transformer encoder, pre-trained by telling masked steps
//! (Devlin et al. 2018, *BERT: Pre-training of Deep Bidirectional Transformers for Language
//! Understanding*; on behaviour sequences Sun et al. 2019, *BERT4Rec: Sequential Recommendation with
//! Bidirectional Encoder Representations from Transformer*).
//!
//! It is made of SuperMoE's layers without their mixtures: the same projection of channels and the same
//! masked channel prediction, plain attention, one feed-forward network in a block. What differs from
//! SuperMoE in a comparison is then the experts and the second feed-forward layer alone.

mod model;
mod params;

pub use model::Bert;
pub use params::BertParams;

use supermoe_trainer::ModelFactory;

/// The model as a value for lists.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<Bert>()
}
