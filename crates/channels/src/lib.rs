//! The data model: channel schema, vocabularies, packed sequence batches.
//!
//! A dataset is a folder (see [`layout`]) that `prepare` writes and the trainers read. An entity's
//! steps are stored once; a sample is an entity at a snapshot date: a range of steps, labels,
//! aggregates. [`Dataset::pack`] makes batches of samples for training.

mod card;
mod check;
mod dataset;
mod error;
pub mod layout;
mod pack;
mod parquet_file;
mod read;
mod schema;
mod statistics;
mod values;
mod vocabulary;
mod write;

pub use card::{Card, ChannelCard, LengthDistribution, SplitCard, TaskCard};
pub use dataset::{Dataset, SampleId};
pub use error::DatasetError;
pub use pack::PackedBatch;
pub use schema::{
    Aggregate, Channel, ChannelKind, DenseColumn, DenseSource, FIRST_CODE, MASK_CODE, PADDING_CODE,
    Per, SCHEMA_VERSION, Schema, Split, SplitCounts, Task, TaskKind, Total, UNKNOWN_CODE,
};
pub use statistics::{MAX_BUCKETS, Moments};
pub use values::{ChannelValues, Samples, Steps};
pub use vocabulary::{Entry, Vocabulary};
