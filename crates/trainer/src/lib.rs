//! Training of sequence models on packed batches, resumable to the bit.
//!
//! A model crate implements [`ModelKind`]; [`plugins`] turns a list of [`ModelFactory`] into the
//! `pretrain` and `finetune` plugins. Nothing here knows a model by name.

mod atomic_file;
mod batch_order;
mod channel_fingerprint;
mod checkpoint;
mod class_sampler;
mod early_stopping;
mod embeddings;
mod encoder_artifact;
mod error;
mod evaluation;
pub mod export;
mod export_params;
pub mod finetune;
mod finetune_params;
mod fit;
mod history;
mod job;
mod labels;
mod mask_targets;
mod masking;
mod mcp;
mod mcp_head;
mod mcp_tally;
mod model;
mod model_input;
mod monitor;
mod multi_task;
mod network;
mod objective;
mod optimizer_params;
pub mod plugins;
pub mod predict;
mod predicted_channel;
mod predictions;
mod prefetch;
pub mod pretrain;
mod pretrain_params;
mod random;
mod schedule;
mod task_scores;
mod task_towers;
mod trained;
mod training_params;

#[cfg(test)]
#[path = "../tests/tiny_retail/mod.rs"]
mod tiny_retail;

pub use encoder_artifact::{ArtifactConfig, CONFIG_FILE, WEIGHTS_FILE};
pub use error::TrainError;
pub use export_params::{ExportParams, Pooling, PredictParams};
pub use finetune_params::{FinetuneParams, Freeze, RegressionLoss, Weighting};
pub use history::{History, HistoryRecord};
pub use job::{Job, Training};

pub use model::{Encoded, Encoder, InputShape, Model, ModelFactory, ModelKind, TrainingDevice};
pub use model_input::{InputLayout, ModelInput};
pub use monitor::Monitor;
pub use network::{NetworkBuilder, NetworkValues};
pub use optimizer_params::{GroupRates, IdRows, OptimizerParams};
pub use predictions::PREDICTIONS_FILE;
pub use pretrain_params::{DenseTarget, MaskMode, PretrainParams, SampledSoftmax};
pub use schedule::Decay;
pub use trained::Artifact;
pub use training_params::TrainingParams;
