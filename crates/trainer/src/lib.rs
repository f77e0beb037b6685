//! Training of sequence models on packed batches, resumable to the bit.
//!
//! A model crate implements [`ModelKind`]; [`plugins`] turns a list of [`ModelFactory`] into the
//! `pretrain` and `finetune` plugins. Nothing here knows a model by name.

mod atomic_file;
mod batch_order;
mod channel_fingerprint;
mod checkpoint;
mod early_stopping;
mod encoder_artifact;
mod error;
pub mod finetune;
mod finetune_params;
mod fit;
mod history;
mod mask_targets;
mod masking;
mod mcp;
mod model;
mod model_input;
mod monitor;
mod network;
mod objective;
mod optimizer_params;
pub mod plugins;
mod predicted_channel;
mod predictions;
mod prefetch;
pub mod pretrain;
mod pretrain_params;
mod random;
mod schedule;
mod task_scores;
mod towers;

#[cfg(test)]
#[path = "../tests/tiny_retail/mod.rs"]
mod tiny_retail;

pub use encoder_artifact::{ArtifactConfig, CONFIG_FILE, WEIGHTS_FILE};
pub use error::TrainError;
pub use finetune_params::{FinetuneParams, Freeze, Weighting};
pub use history::{History, HistoryRecord};

pub use model::{Encoded, Encoder, InputShape, Model, ModelFactory, ModelKind, choose};
pub use model_input::{InputLayout, ModelInput};
pub use monitor::Monitor;
pub use network::{NetworkBuilder, NetworkValues};
pub use optimizer_params::OptimizerParams;
pub use predictions::PREDICTIONS_FILE;
pub use pretrain_params::{MaskMode, PretrainParams};
pub use schedule::Decay;
