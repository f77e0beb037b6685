//! Training of sequence models on packed batches, resumable to the bit.
//!
//! A model crate implements [`ModelKind`]; [`plugins`] turns a list of [`ModelFactory`] into the
//! `pretrain`, `finetune`, `export` and `predict` plugins. Nothing here knows a model by name. What several models are made
//! of stands here too: [`SequenceEncoder`] and [`ChannelTables`] for those that look at steps,
//! [`PooledFeatures`] for those that do not.

mod atomic_file;
mod batch_order;
mod channel_fingerprint;
mod channel_tables;
mod checkpoint;
pub mod choice;
mod chosen_params;
mod class_sampler;
mod early_stopping;
mod embedding_features;
mod embeddings;
mod encoder_artifact;
mod error;
mod evaluation;
pub mod export;
mod export_params;
pub mod finetune;
mod finetune_params;
mod fit;
mod future;
mod future_heads;
mod history;
mod job;
mod labels;
mod mask_targets;
mod masking;
mod mcp;
mod mcp_head;
mod mcp_tally;
mod memory_check;
mod model;
mod model_factory;
mod model_input;
mod monitor;
mod multi_task;
mod name_difference;
mod network;
mod objective;
mod optimizer_params;
mod own_pretraining;
pub mod plugins;
mod pooled_features;
mod pooled_numbers;
mod pooling;
pub mod predict;
mod predicted_channel;
mod predictions;
mod prefetch;
pub mod pretrain;
mod pretrain_params;
pub mod random;
mod scale_shift;
mod schedule;
mod sequence_encoder;
pub mod size_checks;
mod table_params;
mod table_plan;
mod task_scores;
mod task_towers;
mod trained;
mod training_params;
mod warm_start;
mod weighting;

#[cfg(test)]
#[path = "../tests/tiny_retail/mod.rs"]
mod tiny_retail;

pub use channel_tables::{ChannelTables, EmbeddingWidths};
pub use encoder_artifact::{ArtifactConfig, CONFIG_FILE, WEIGHTS_FILE};
pub use error::TrainError;
pub use export_params::{ExportParams, PredictParams};
pub use finetune_params::{FinetuneParams, Freeze, LossMean, RegressionLoss};
pub use history::{History, HistoryRecord};
pub use job::{Job, Training};
pub use pooling::Pooling;

pub use model::{Augmentation, AuxiliaryLoss, Encoded, Encoder, ExpertRows, Model, Representation};
pub use model_factory::{InputShape, ModelFactory, ModelKind, Pretraining, TrainingDevice};
pub use model_input::{InputLayout, ModelInput};
pub use monitor::Monitor;
pub use network::{Network, NetworkBuilder, NetworkValues};
pub use optimizer_params::{GroupRates, IdRows, OptimizerParams};
pub use pooled_features::PooledFeatures;
pub use pooled_numbers::{PooledNumbers, events_and_snapshot};
pub use predictions::PREDICTIONS_FILE;
pub use pretrain_params::{
    DenseTarget, FutureChoice, FutureParams, MaskMode, PretrainParams, SampledSoftmax,
};
pub use schedule::Decay;
pub use sequence_encoder::{SequenceEncoder, SequenceSizes};
pub use table_params::{MemorySize, TableParams, TableUpdates};
pub use table_plan::{TableBudget, TablePlan};
pub use trained::Artifact;
pub use training_params::{Keep, Precision, TrainingParams};
pub use weighting::{
    BilevelAucParams, DwaParams, FinetuneMethod, FinetuneSection, FinetuneWeighting,
    GradNormParams, MethodParams, NameOrSection, PretrainMethod, PretrainSection,
    PretrainWeighting,
};
