//! Plugin `evaluate`: metrics from predictions, and from embeddings by a probe; one table for all that
//! may stand in one.
//!
//! `predictions` and `embeddings` read, `probe` turns embeddings into predictions, `comparable` refuses
//! what cannot be compared, `score` and `curves` measure, `uncertainty` says how sure that is, `segments`
//! looks at parts of the test set, `report` and `groups` put together.

mod cell;
mod cholesky;
mod comparable;
mod curves;
mod embeddings;
mod error;
mod groups;
mod json_text;
mod linear_probe;
mod markdown;
mod params;
mod plugin;
mod predictions;
mod probe;
mod report;
mod score;
mod segments;
mod test_set_digest;
mod uncertainty;

pub use plugin::{REVISION, plugin};
pub use report::METRIC_VERSION;
