//! Plugin `prepare`: events to a dataset of channels, samples and labels.
//!
//! `tables` and `text` read the inputs; `event_query` sorts the events into `partitions` by entity. Each
//! bucket of them is worked on alone (`bucket`): `events` sorts its rows, `windows` draws the border
//! between past and future, `steps`, `samples` and `labels` make columns, which `raw_files` sets aside.
//! `fit` makes vocabularies and scales of all buckets, `shard` writes the dataset.

mod aggregate;
mod bucket;
mod calendar;
mod card;
mod channel;
mod dates;
mod definitions;
mod dictionary;
mod draft;
mod error;
mod event_query;
mod events;
mod expression;
mod files;
mod fit;
mod fitted;
mod labels;
mod leak;
mod names;
mod params;
mod partitions;
mod plugin;
mod prepare;
mod profile;
mod raw_files;
mod reporter;
mod running;
mod sample_rows;
mod samples;
mod session;
mod shard;
mod source;
mod source_params;
mod spill;
mod split_params;
mod sql_error;
mod steps;
mod summary;
mod tables;
mod text;
mod totals;
mod values;
mod windows;

pub use draft::{Draft, DraftError, DraftRequest, draft};
pub use error::PrepareError;
pub use files::Input;
pub use params::Params;
pub use plugin::plugin;
pub use prepare::{Places, prepare};
pub use reporter::Reporter;
