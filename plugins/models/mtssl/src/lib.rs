//! MTSSL: self-supervised pre-training on two augmented views of each user (Yao et al. 2021, *Self-supervised
//! Learning for Large-scale Item Recommendations*), then towers.
//!
//! One view hides a set of features that belong together, the other view hides all the others (correlated
//! feature masking), and each view leaves out some of the user's steps by itself (dropout). The network must
//! tell, by the cosine of what it makes of the views, which two are of one user: InfoNCE over the batch.
//! Which features belong together is measured by their mutual information on training samples. Were they
//! hidden by chance, a hidden feature could be read off a visible one that says the same.
//!
//! The network is a multi-layer perceptron on the mean embeddings of the steps' channels, numbers of the
//! steps, and the aggregates. The paper trains items and queries in two towers, with this loss beside the
//! main one; here users are what is represented, and the loss comes first.

mod augmentation;
mod correlation;
mod model;
mod params;

pub use model::Mtssl;
pub use params::{FeatureMasking, MtsslParams};

use supermoe_trainer::ModelFactory;

/// The model as a value for lists.
pub fn factory() -> ModelFactory {
    ModelFactory::of::<Mtssl>()
}
