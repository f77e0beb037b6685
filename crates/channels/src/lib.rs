//! The data model: channel schema, vocabularies, packed sequence batches.
//!
//! A dataset is a folder (see [`layout`]) that `prepare` writes and the trainers read. An entity's
//! steps are stored once; a sample is an entity at a snapshot date: a range of steps, labels,
//! aggregates. [`Dataset::pack`] makes batches of samples for training.

mod card;
mod check;
mod dataset;
pub mod embedding_table;
mod error;
pub mod layout;
mod newest;
mod pack;
mod parquet_file;
pub mod parquet_table;
mod read;
mod schema;
mod stable_hash;
mod statistics;
mod values;
mod vocabulary;
mod write;

pub use card::{
    BadRow, BadRows, Card, CardSummary, ChannelCard, LengthDistribution, SplitCard, TaskCard,
};
pub use dataset::{Dataset, FittedParts, SampleId};
pub use error::DatasetError;
pub use pack::{PackedBatch, signed_log};
pub use schema::{
    Aggregate, Channel, ChannelKind, DenseColumn, DenseSource, FIRST_CODE, MASK_CODE, PADDING_CODE,
    Per, SCHEMA_VERSION, Schema, Split, SplitCounts, Task, TaskKind, Total, UNKNOWN_CODE,
};
pub use stable_hash::{HashPurpose, hashed_code, stable_hash};
pub use statistics::{MAX_BUCKETS, Moments, Scale, ScaleFit};
pub use values::{ChannelValues, Samples, Steps};
pub use vocabulary::{Encoder, Entry, Vocabulary};
pub use write::{ShardWriter, write_schema, write_vocabulary};
