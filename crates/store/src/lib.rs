//! Artifacts, results, checkpoints and runs on object storage, addressed by content.
//!
//! [`Store`] is the whole of it: a local folder or a bucket, the same calls and the same layout.

mod artifact;
mod artifact_io;
mod checkpoint;
mod client;
mod collect;
mod digest;
mod digest_path;
mod environment;
mod error;
mod error_mapping;
mod fetch;
mod fetch_bucket;
mod fetch_error;
mod fetch_web;
mod fetched;
mod gc;
mod gc_mark;
mod hit_check;
mod index;
mod index_record;
mod indexed;
mod layout;
mod listing;
mod local_put;
mod newest;
mod object_name;
mod object_stats;
mod objects;
mod pin;
mod refs;
mod result;
mod run_log;
mod store;
mod store_url;
mod temp_folder;
mod transfer;
mod tree;
mod walk;

pub use artifact::{Artifact, ArtifactKind};
pub use checkpoint::Checkpoint;
pub use digest::{Digest, NotADigest, NotARunId, RunId, StageKey};
pub use environment::Environment;
pub use error::{Result, StoreError};
pub use fetch::Fetching;
pub use fetch_error::FetchError;
pub use fetched::Fetched;
pub use gc::{GcMode, GcOptions, GcReport};
pub use hit_check::HitState;
pub use local_put::Durability;
pub use newest::Newest;
pub use refs::RefEntry;
pub use result::{KeyManifest, RESULT_VERSION, StageResult};
pub use store::Store;
pub use store_url::{Cloud, StoreUrl};
